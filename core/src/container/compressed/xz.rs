//! xz: streams one after the other, and zeros behind them.

use lzma_rust2::{Action, Status, XzStream};

use super::Moved;
use crate::{Error, ErrorKind, Result, limits};

/// Decodes xz streams.
#[derive(Default)]
pub(super) struct Xz {
    /// The stream that has begun.
    stream: Option<XzStream>,
    /// Whether a whole stream was read.
    any: bool,
    /// Whether zeros follow the last stream. Nothing else may follow them, not even a stream: the validator's reader
    /// takes none.
    is_padded: bool,
}

impl Xz {
    /// Decodes as far as input and output reach.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        if self.stream.is_none() && self.any {
            let zeros = input.iter().take_while(|byte| **byte == 0).count();
            self.is_padded |= zeros > 0;
            if self.is_padded {
                return Ok(Moved { taken: zeros, written: 0 });
            }
        }
        if self.stream.is_none() && input.is_empty() {
            return Ok(Moved::default());
        }
        let new = || XzStream::new_mem_limit(false, limits::XZ_MEMORY_KIB);
        let done =
            self.stream.get_or_insert_with(new).process(input, output, Action::Run).map_err(damaged)?;
        if done.status == Status::StreamEnd {
            self.stream = None;
            self.any = true;
        }
        Ok(Moved { taken: done.bytes_consumed, written: done.bytes_produced })
    }

    /// Whether the file may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.any && self.stream.is_none()
    }

    /// Whether zeros follow the last stream.
    pub(super) fn is_padded(&self) -> bool {
        self.is_padded
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the xz file is damaged")
        .expected_found(format!("xz streams that need at most {} KiB of memory", limits::XZ_MEMORY_KIB), why)
}
