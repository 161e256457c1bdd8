//! What type each tensor has, and where it lies in the file.

use super::header::{Header, TensorInfo};
use crate::container::TensorEntry;
use crate::tensor::{BlockType, Dtype};
use crate::{Error, ErrorKind, Result};

/// Where each tensor lies in the file `member` of `len` bytes. They follow each other, each at a multiple of the alignment. Where a
/// number of a type has had two meanings, the distances tell which one it is.
///
/// # Errors
/// A type that is not known, a shape that does not fit it, tensors that do not follow each other or reach past the end.
pub(super) fn place(header: &Header, member: usize, len: u64) -> Result<Vec<TensorEntry>> {
    let place = |older| Placing { header, member, len, older }.tensors();
    let has_two_meanings =
        |info: &TensorInfo| BlockType::of_id(info.kind, true) != BlockType::of_id(info.kind, false);
    match place(false) {
        Err(error) if header.tensors.iter().any(has_two_meanings) => place(true).map_err(|_| error),
        other => other,
    }
}

/// Under which meaning of the types' numbers tensors are placed.
struct Placing<'a> {
    header: &'a Header,
    member: usize,
    len: u64,
    older: bool,
}

impl Placing<'_> {
    fn tensors(&self) -> Result<Vec<TensorEntry>> {
        let Self { header, member, len, .. } = *self;
        let mut infos: Vec<&TensorInfo> = header.tensors.iter().collect();
        infos.sort_by_key(|info| info.offset);
        let aligned = |position: u64| position.checked_next_multiple_of(header.alignment);
        let mut position = 0_u64;
        let mut entries = Vec::with_capacity(infos.len());
        for info in infos {
            let (dtype, bytes) = self.size(info)?;
            let start = aligned(position).filter(|start| *start == info.offset).ok_or_else(|| {
                let what = "the tensor does not follow the one in front of it";
                let wanted = format!("offset {:?}", aligned(position));
                fault(info, ErrorKind::BadLayout, what).expected_found(wanted, info.offset)
            })?;
            let end = start.checked_add(bytes).and_then(|end| end.checked_add(header.bytes));
            if end.is_none_or(|end| end > len) {
                return Err(fault(info, ErrorKind::Truncated, "the tensor lies past the end of the file")
                    .expected_found(format!("{bytes} bytes at offset {start} of the data"), len)
                    .hint("the file was cut off: copy it again"));
            }
            position = start + bytes;
            entries.push(TensorEntry {
                name: info.name.clone(),
                dtype,
                shape: info.shape.clone(),
                member,
                offset: header.bytes + start,
                bytes,
            });
        }
        let used = header.bytes + position;
        match used.checked_next_multiple_of(header.alignment) {
            Some(padded) if len <= padded => Ok(entries),
            _ => Err(Error::new(ErrorKind::BadLayout, "bytes follow the last tensor")
                .at(used)
                .expected_found(format!("{used} bytes and padding"), len)),
        }
    }

    /// The type of a tensor and its bytes.
    fn size(&self, info: &TensorInfo) -> Result<(Dtype, u64)> {
        let dtype = dtype(info.kind, self.older).ok_or_else(|| {
            fault(info, ErrorKind::Unsupported, "a tensor's data type is not known")
                .expected_found("a type of ggml's, of which 42 is the last", format!("type {}", info.kind))
        })?;
        let (block, row) = (dtype.block_elements(), info.shape.last().copied().unwrap_or(0));
        let elements = info.shape.iter().try_fold(1_u64, |product, dim| product.checked_mul(*dim));
        let bytes = elements.and_then(|elements| (elements / block).checked_mul(dtype.bytes()));
        match bytes {
            Some(bytes) if row.is_multiple_of(block) && elements != Some(0) => Ok((dtype, bytes)),
            _ => {
                let wanted = format!("rows of a multiple of {block} elements, fewer than 2^64 bytes");
                let found = format!("{:?} of {}", info.shape, dtype.name());
                Err(fault(info, ErrorKind::WrongShape, "a tensor's shape does not fit its data type")
                    .expected_found(wanted, found))
            }
        }
    }
}

fn fault(info: &TensorInfo, kind: ErrorKind, what: &str) -> Error {
    Error::new(kind, what).within(info.name.escape_debug()).at(info.at)
}

/// The data type of this number in ggml.
fn dtype(kind: u32, older: bool) -> Option<Dtype> {
    Some(match kind {
        0 => Dtype::F32,
        1 => Dtype::F16,
        24 => Dtype::I8,
        25 => Dtype::I16,
        26 => Dtype::I32,
        27 => Dtype::I64,
        28 => Dtype::F64,
        30 => Dtype::BF16,
        _ => Dtype::Block(BlockType::of_id(kind, older)?),
    })
}
