//! xz: streams one after the other, and zeros behind them.

use lzma_rust2::{Action, Status, XzStream};

use super::Moved;
use crate::{Error, ErrorKind, Result, limits};

/// Decodes xz streams.
pub(super) struct Xz {
    stream: XzStream,
}

impl Xz {
    pub(super) fn new() -> Self {
        Self { stream: XzStream::new_mem_limit(true, limits::XZ_MEMORY_KIB) }
    }

    /// Decodes as far as input and output reach.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        let done = self.stream.process(input, output, Action::Run).map_err(damaged)?;
        Ok(Moved { taken: done.bytes_consumed, written: done.bytes_produced })
    }

    /// Whether the file may end here, after everything was taken out.
    pub(super) fn is_complete(&mut self) -> Result<bool> {
        let done = self.stream.process(&[], &mut [], Action::Finish).map_err(damaged)?;
        Ok(done.status == Status::StreamEnd)
    }
}

fn damaged(why: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the xz file is damaged")
        .expected_found(format!("xz streams that need at most {} KiB of memory", limits::XZ_MEMORY_KIB), why)
}
