//! Reads one member from its beginning to its end.

use bitgauge_core::Result;
use bitgauge_core::container::{Compression, Inflater, Member};
use flate2::Crc;

use super::storage::Storage;

/// Compressed bytes read at once.
const INPUT_BYTES: u64 = 256 << 10;

/// A position in the uncompressed bytes of a member, with what inflating needs to go on from there.
#[derive(Debug)]
pub(super) struct Reader {
    member: Member,
    position: u64,
    crc: Crc,
    inflater: Inflater,
    /// Compressed bytes that were read, and how many of them are used up.
    input: Vec<u8>,
    used: usize,
}

impl Reader {
    pub(super) fn new(member: &Member) -> Self {
        let inflater = Inflater::of(member);
        Self { member: member.clone(), position: 0, crc: Crc::new(), inflater, input: Vec::new(), used: 0 }
    }

    /// Uncompressed bytes given so far.
    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// Fills `out` with the next bytes; there must be as many left. With the last of them the
    /// stream's end and the archive's checksum are checked.
    pub(super) fn read(&mut self, storage: &mut Storage, out: &mut [u8]) -> Result<()> {
        match self.member.compression {
            Compression::Stored => {
                storage.read(self.member.file, self.member.offset + self.position, out)?;
            }
            _ => self.inflate(storage, out)?,
        }
        self.crc.update(out);
        self.position += out.len() as u64;
        if self.position < self.member.bytes {
            return Ok(());
        }
        self.member.check_crc32(self.crc.sum())
    }

    fn inflate(&mut self, storage: &mut Storage, out: &mut [u8]) -> Result<()> {
        let is_last = self.position + out.len() as u64 == self.member.bytes;
        let mut filled = 0;
        loop {
            if self.used == self.input.len() {
                let left = self.member.stored_bytes - self.inflater.taken();
                self.input.resize(left.min(INPUT_BYTES) as usize, 0);
                self.used = 0;
                storage.read(
                    self.member.file,
                    self.member.offset + self.inflater.taken(),
                    &mut self.input,
                )?;
            }
            let step = self.inflater.inflate(&self.input[self.used..], &mut out[filled..])?;
            self.used += step.taken;
            filled += step.written;
            if filled == out.len() && !is_last {
                return Ok(());
            }
            if step.taken == 0 && step.written == 0 {
                // Nothing moves any more: the end, or compressed bytes that end too early.
                return self.inflater.finish();
            }
        }
    }
}
