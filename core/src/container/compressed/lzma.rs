//! The format before xz, `.lzma`: one stream, ended by its mark.

use lzma_rust2::{Action, LzmaStream, Status};

use super::Moved;
use crate::{Error, ErrorKind, Result, limits};

/// Decodes one stream behind its header.
pub(super) struct Lzma {
    stream: LzmaStream,
    has_ended: bool,
}

impl Lzma {
    pub(super) fn new() -> Self {
        Self { stream: LzmaStream::new_mem_limit(limits::XZ_MEMORY_KIB, None), has_ended: false }
    }

    /// Decodes as far as input and output reach.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        if self.has_ended {
            return Ok(Moved::default());
        }
        let done = self.stream.process(input, output, Action::Run).map_err(|why| {
            let expected = format!("a stream that needs at most {} KiB of memory", limits::XZ_MEMORY_KIB);
            Error::new(ErrorKind::Malformed, "the .lzma file is damaged").expected_found(expected, why)
        })?;
        self.has_ended = done.status == Status::StreamEnd;
        Ok(Moved { taken: done.bytes_consumed, written: done.bytes_produced })
    }

    /// Whether the file may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.has_ended
    }
}
