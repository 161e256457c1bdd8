//! bzip2: streams one after the other.

use bzip2::{Decompress, Status};

use super::Moved;
use crate::{Error, ErrorKind, Result};

/// Decodes bzip2 streams.
#[derive(Default)]
pub(super) struct Bzip2 {
    /// The stream that has begun.
    stream: Option<Decompress>,
    /// Whether a whole stream was read.
    any: bool,
}

impl Bzip2 {
    /// Decodes as far as input and output reach.
    pub(super) fn step(&mut self, input: &[u8], output: &mut [u8]) -> Result<Moved> {
        if self.stream.is_none() && input.is_empty() {
            return Ok(Moved::default());
        }
        let stream = self.stream.get_or_insert_with(|| Decompress::new(false));
        let before = (stream.total_in(), stream.total_out());
        let status = match stream.decompress(input, output) {
            Ok(Status::MemNeeded) => return Err(damaged("not enough memory")),
            Ok(status) => status,
            Err(error) => return Err(damaged(&error.to_string())),
        };
        // Both differences are at most the lengths of the slices.
        let moved = Moved {
            taken: (stream.total_in() - before.0) as usize,
            written: (stream.total_out() - before.1) as usize,
        };
        if status == Status::StreamEnd {
            self.stream = None;
            self.any = true;
        }
        Ok(moved)
    }

    /// Whether the file may end here.
    pub(super) fn is_complete(&self) -> bool {
        self.any && self.stream.is_none()
    }
}

fn damaged(why: &str) -> Error {
    Error::new(ErrorKind::Malformed, "the bzip2 file is damaged").expected_found("bzip2 streams", why)
}
