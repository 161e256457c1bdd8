//! Allocations whose size an input decides. Where memory is short they end in an error, not in an abort.

use crate::{Error, Result};

/// Up to this many bytes nobody is asked: a process that lacks them can't say so either.
const SMALL_BYTES: u64 = 1 << 20;

/// Fails where `bytes` bytes of `what` can't be had at this moment. For structures that are built piece by piece, by
/// code that can't fail: the bound on all of their pieces is asked for beforehand.
pub(crate) fn require(bytes: u64, what: &str) -> Result<()> {
    // WebAssembly's memory never shrinks: there asking would be taking.
    if bytes <= SMALL_BYTES || cfg!(target_arch = "wasm32") {
        return Ok(());
    }
    let room: Vec<u8> = with_room(bytes, what)?;
    // An allocation that nobody looks at may be left out by the compiler.
    std::hint::black_box(&room);
    Ok(())
}

/// Fails where the tree of values that `serde_json` has of a text can't be had.
pub(crate) fn require_tree(text: &[u8], what: &str) -> Result<()> {
    // Objects are B-trees, whose nodes have room for eleven members and are half full or more, but for the last one;
    // vectors have room for twice what they hold.
    let bytes_of = |byte: &u8| match byte {
        b'{' => 700,
        b':' => 160,
        b'[' | b',' => 64,
        _ => 2,
    };
    require(text.iter().map(bytes_of).sum(), what)
}

/// A vector with room for `count` items of `what`.
pub(crate) fn with_room<T>(count: u64, what: &str) -> Result<Vec<T>> {
    let mut items = Vec::new();
    let bytes = count.saturating_mul(size_of::<T>() as u64);
    let reserved = usize::try_from(count).is_ok_and(|count| items.try_reserve_exact(count).is_ok());
    if reserved { Ok(items) } else { Err(Error::no_memory(what, bytes)) }
}

/// Zeros.
pub(crate) fn zeroed(len: u64, what: &str) -> Result<Vec<u8>> {
    let mut bytes = with_room(len, what)?;
    // As many as there is room for, so this fits.
    bytes.resize(len as usize, 0);
    Ok(bytes)
}

/// Appends bytes of `what`.
pub(crate) fn append(bytes: &mut Vec<u8>, more: &[u8], what: &str) -> Result<()> {
    let wanted = bytes.len() as u64 + more.len() as u64;
    bytes.try_reserve(more.len()).map_err(|_| Error::no_memory(what, wanted))?;
    bytes.extend_from_slice(more);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_is_an_error() {
        let most = isize::MAX as u64;
        for bytes in [most, most + 1, u64::MAX] {
            let error = require(bytes, "numbers").unwrap_err();
            assert_eq!(
                (&*error.what, &*error.expected),
                ("not enough memory", &*format!("{bytes} bytes for numbers"))
            );
        }
        assert!(
            with_room::<u64>(most / 4, "numbers").unwrap_err().expected.contains(&(most / 4 * 8).to_string())
        );
        assert_eq!(zeroed(3, "zeros").unwrap(), [0; 3]);
        require(SMALL_BYTES + 1, "a little").unwrap();
    }
}
