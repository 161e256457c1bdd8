//! From matrices in memory to stored bytes.

use super::matrix::Bitpacked;
use super::part::Parts;

/// The bytes of the five parts, exactly as the format stores them; a part that the format leaves
/// out is empty. The inverse of [`super::decode`].
///
/// `matrix` must hold what `decode` would accept.
pub fn encode(matrix: &Bitpacked) -> Parts<Vec<u8>> {
    Parts::new([
        bytes_of(&matrix.sign, |word| word.to_le_bytes()),
        bytes_of(&matrix.scale, |scale| scale.to_le_bytes()),
        bytes_of(&matrix.rescue_rows, |row| row.to_le_bytes()),
        matrix.rescue_code.clone(),
        bytes_of(&matrix.rescue_scale, |scale| scale.to_le_bytes()),
    ])
}

fn bytes_of<T: Copy, const N: usize>(elements: &[T], write: impl Fn(T) -> [u8; N]) -> Vec<u8> {
    elements.iter().flat_map(|&element| write(element)).collect()
}
