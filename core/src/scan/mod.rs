//! One pass over an artifact's bytes in file order: SHA-256 of the archive and of every member,
//! checksums recorded by the archive, and validity of every packed tensor's payload.
//!
//! Push based, so that it serves a file on disk, a browser's stream and a download alike:
//! [`Scan::begin_file`], [`Scan::push`] with pieces of any length, [`Scan::finish`].

mod checks;
mod ranges;

use std::collections::VecDeque;
use std::ops::Range;

use self::checks::{Check, TensorCheck, tensor_checks};
pub use ranges::RangeHashes;
pub use sha2::{Digest, Sha256};

use crate::container::{
    Artifact, Compressed, Compression, ContainerKind, FileId, Inflater, Member, Unpacker,
};
use crate::crc32::Crc32;
use crate::format::Statistics;
use crate::inventory::Inventory;
use crate::{Error, ErrorKind, Result, order};

/// Bytes inflated at a time.
const INFLATE_PIECE: usize = 64 << 10;

/// What a complete pass found. That there is one proves the payload valid.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Findings {
    /// SHA-256 of the archive in hex; `None` for a folder.
    pub file: Option<String>,
    /// SHA-256 of each member's uncompressed bytes in hex, in the order of [`Artifact::members`].
    pub members: Vec<Option<String>>,
    /// What the values of each packed weight add up to, in the order of [`Inventory::weights`].
    pub weights: Vec<Statistics>,
    /// Whether each weight that is not stored in binary form holds at most two values in every group of 128 columns, in
    /// the order of [`Inventory::weights`].
    pub two_valued: Vec<bool>,
    /// SHA-256 of each tensor's stored bytes in hex, in the order of [`Artifact::tensors`]; empty unless
    /// [`Scan::hash_tensors`] asked for them.
    pub tensors: Vec<String>,
    /// Whether the two tensors of [`Inventory::tied_pair`] hold other bytes.
    pub heads_differ: bool,
}

/// What [`Scan::leave_hashes`] leaves to others: the ranges to hash, and then their hashes.
#[derive(Debug, Clone, PartialEq)]
pub struct Left<T> {
    /// Of each member that is stored as it is, in the order of [`Artifact::members`].
    pub members: Vec<T>,
    /// Of the archive itself; `None` for a folder.
    pub file: Option<T>,
}

impl Findings {
    /// Puts in the hashes in hex of the ranges that [`Scan::leave_hashes`] gave.
    ///
    /// # Errors
    /// There are more or fewer hashes of members than were left.
    pub fn complete(&mut self, hashes: Left<String>) -> Result<()> {
        let missing: Vec<_> = self.members.iter_mut().filter(|member| member.is_none()).collect();
        if missing.len() != hashes.members.len() {
            return Err(Error::new(ErrorKind::Io, "hashes of members are missing")
                .expected_found(missing.len(), hashes.members.len()));
        }
        missing.into_iter().zip(hashes.members).for_each(|(missing, hash)| *missing = Some(hash));
        self.file = hashes.file;
        Ok(())
    }
}

/// A pass over an artifact's bytes.
pub struct Scan<'a> {
    artifact: &'a Artifact,
    /// What is left to check of each member.
    checks: Vec<VecDeque<TensorCheck>>,
    /// The members by file and offset; and which of them, in the current file, still lie ahead.
    in_order: Vec<usize>,
    ahead: Range<usize>,
    /// The member that is passing by, and hard links to it.
    current: Vec<MemberScan<'a>>,
    /// What the last deflated member was inflated with.
    spare: Option<(Inflater, Vec<u8>)>,
    /// Whether others hash what needs no unpacking.
    leaves_hashes: bool,
    file_hash: Option<Sha256>,
    /// For a compressed tar, what unpacks it.
    unpacker: Option<Unpacker>,
    /// Bytes of the current file, or of the tar that it unpacks to, that passed by.
    position: u64,
    findings: Findings,
    /// [`Inventory::tied_pair`], and the hashes of those that passed by.
    tied_pair: Option<[usize; 2]>,
    tied_hashes: Vec<String>,
}

/// The member that is passing by.
struct MemberScan<'a> {
    index: usize,
    member: &'a Member,
    inflater: Option<(Inflater, Vec<u8>)>,
    /// `None` where others hash it.
    hash: Option<Sha256>,
    crc: Crc32,
    /// Uncompressed bytes so far.
    position: u64,
    checks: VecDeque<TensorCheck>,
    /// Of its tensors, in their order; of none unless asked for.
    tensor_hashes: RangeHashes,
    /// Of its tensors of [`Inventory::tied_pair`].
    tied_hashes: RangeHashes,
    /// Weights whose tensors passed by whole, and what those add up to.
    statistics: Vec<(usize, Statistics)>,
    /// Weights that hold two values.
    two_valued: Vec<usize>,
}

impl<'a> Scan<'a> {
    /// A pass over the artifact of `inventory`.
    pub fn new(inventory: &Inventory<'a>) -> Self {
        let artifact = inventory.artifact;
        Self {
            artifact,
            checks: tensor_checks(inventory),
            leaves_hashes: false,
            in_order: in_order(&artifact.members),
            ahead: 0..0,
            current: Vec::new(),
            spare: None,
            file_hash: (artifact.kind != ContainerKind::Folder).then(Sha256::new),
            unpacker: None,
            position: 0,
            findings: Findings {
                file: None,
                members: vec![None; artifact.members.len()],
                weights: vec![Statistics::default(); inventory.weights.len()],
                two_valued: vec![false; inventory.weights.len()],
                tensors: Vec::new(),
                heads_differ: false,
            },
            // In two data types equal values are other bytes.
            tied_pair: inventory.tied_pair.filter(|&[embedding, head]| {
                artifact.tensors[embedding].dtype == artifact.tensors[head].dtype
            }),
            tied_hashes: Vec::new(),
        }
    }

    /// Leaves to others the hashes that need no more than the files' own bytes, for [`Findings::complete`]. Gives the
    /// range of each, from its first byte to that behind the last, in the files laid end to end; `lengths` are
    /// theirs. To be called before anything is pushed.
    pub fn leave_hashes(&mut self, lengths: &[u64]) -> Left<(u64, u64)> {
        self.leaves_hashes = true;
        let mut total = 0;
        let start_of = |len: &u64| {
            total += len;
            total - len
        };
        let starts: Vec<u64> = lengths.iter().map(start_of).collect();
        let members = self.artifact.members.iter().filter(|member| self.is_left(member)).map(|member| {
            let start = starts[member.file] + member.offset;
            (start, start + member.stored_bytes)
        });
        Left { members: members.collect(), file: self.file_hash.take().map(|_| (0, total)) }
    }

    /// Whether others hash this member.
    fn is_left(&self, member: &Member) -> bool {
        self.leaves_hashes && self.artifact.compressed.is_none() && member.compression == Compression::Stored
    }

    /// Asks for the hash of every tensor, which costs as much as that of all bytes. To be called before anything
    /// is pushed.
    pub fn hash_tensors(&mut self) {
        self.findings.tensors = vec![String::new(); self.artifact.tensors.len()];
    }

    /// The tensors of a member that are to be hashed.
    fn tensors_to_hash(&self, member: usize) -> std::ops::Range<usize> {
        if self.findings.tensors.is_empty() {
            return 0..0;
        }
        let first = |member: usize| self.artifact.tensors.partition_point(|tensor| tensor.member < member);
        first(member)..first(member + 1)
    }

    /// Starts the next file. An archive is one file; each member of a folder is its own.
    ///
    /// # Errors
    /// The previous file ended inside a member; a compression that this build can't read.
    pub fn begin_file(&mut self, file: FileId) -> Result<()> {
        self.end_file()?;
        self.unpacker =
            self.artifact.compressed.map(|compressed| Unpacker::new(compressed.compressor)).transpose()?;
        let members = &self.artifact.members;
        let of_file = |wanted: FileId| self.in_order.partition_point(|&i| members[i].file < wanted);
        self.ahead = of_file(file)..of_file(file + 1);
        self.position = 0;
        Ok(())
    }

    /// Takes the next bytes of the current file.
    ///
    /// # Errors
    /// The first fault found in them: an invalid payload, a checksum that differs, bad deflate data.
    pub fn push(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(hash) = &mut self.file_hash {
            hash.update(bytes);
        }
        let Some(mut unpacker) = self.unpacker.take() else { return self.push_stored(bytes) };
        unpacker.push(bytes, &mut |piece| self.push_stored(piece))?;
        self.unpacker = Some(unpacker);
        Ok(())
    }

    /// Takes bytes that members lie in.
    fn push_stored(&mut self, mut bytes: &[u8]) -> Result<()> {
        loop {
            self.open_next_member();
            let Some(MemberScan { member, .. }) = self.current.first() else { break };
            let start = member.offset;
            let end = start + member.stored_bytes;
            let skip = start.saturating_sub(self.position).min(bytes.len() as u64);
            let take = end.saturating_sub(self.position + skip).min(bytes.len() as u64 - skip);
            // Both are at most the slice's length.
            let (skip, take) = (skip as usize, take as usize);
            for current in &mut self.current {
                current.push(&bytes[skip..skip + take]).map_err(|e| e.within(&current.member.name))?;
            }
            self.position += (skip + take) as u64;
            bytes = &bytes[skip + take..];
            if self.position < end {
                break;
            }
            self.close_member()?;
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Ends the pass.
    ///
    /// # Errors
    /// Bytes are missing.
    pub fn finish(mut self) -> Result<Findings> {
        self.end_file()?;
        self.findings.file = self.file_hash.take().map(hex);
        self.findings.heads_differ = self.tied_hashes.windows(2).any(|pair| pair[0] != pair[1]);
        Ok(self.findings)
    }

    fn open_next_member(&mut self) {
        if !self.current.is_empty() {
            return;
        }
        let Some(index) = self.ahead.next().map(|at| self.in_order[at]) else { return };
        self.open_member(index);
        let is_linked = |next: usize| self.artifact.members[next].hard_link.is_some();
        while let Some(next) =
            self.in_order[self.ahead.clone()].first().copied().filter(|next| is_linked(*next))
        {
            self.ahead.start += 1;
            self.open_member(next);
        }
    }

    fn open_member(&mut self, index: usize) {
        let member = &self.artifact.members[index];
        let inflater = (member.compression != Compression::Stored).then(|| {
            let new = || (Inflater::new(0, 0), vec![0; INFLATE_PIECE]);
            let (mut inflater, buffer) = self.spare.take().unwrap_or_else(new);
            inflater.restart(member);
            (inflater, buffer)
        });
        self.current.push(MemberScan {
            index,
            member,
            inflater,
            hash: (!self.is_left(member)).then(Sha256::new),
            crc: Crc32::new(),
            position: 0,
            checks: std::mem::take(&mut self.checks[index]),
            tensor_hashes: RangeHashes::new(
                self.artifact.tensors[self.tensors_to_hash(index)]
                    .iter()
                    .map(|tensor| (tensor.offset, tensor.offset + tensor.bytes)),
            ),
            tied_hashes: RangeHashes::new(
                (self.tied_pair.iter().flatten())
                    .map(|&tensor| &self.artifact.tensors[tensor])
                    .filter(|tensor| tensor.member == index)
                    .map(|tensor| (tensor.offset, tensor.offset + tensor.bytes)),
            ),
            statistics: Vec::new(),
            two_valued: Vec::new(),
        });
    }

    fn close_member(&mut self) -> Result<()> {
        for mut current in std::mem::take(&mut self.current) {
            for (weight, statistics) in current.statistics.drain(..) {
                self.findings.weights[weight].merge(&statistics);
            }
            current.two_valued.iter().for_each(|&weight| self.findings.two_valued[weight] = true);
            let (index, name, inflater) = (current.index, &current.member.name, current.end_inflating()?);
            let (hash, [tensor_hashes, tied]) = current.finish().map_err(|e| e.within(name))?;
            self.tied_hashes.extend(tied);
            self.spare = inflater.or(self.spare.take());
            self.findings.members[index] = hash;
            let tensors = self.tensors_to_hash(index);
            for (place, hash) in self.findings.tensors[tensors].iter_mut().zip(tensor_hashes) {
                *place = hash;
            }
        }
        Ok(())
    }

    /// What is still open when a file ends can only be empty or cut off.
    fn end_file(&mut self) -> Result<()> {
        if let (Some(unpacker), Some(compressed)) = (self.unpacker.take(), self.artifact.compressed) {
            unpacker.finish()?;
            check_unchanged(&unpacker, compressed)?;
        }
        self.push_nothing()?;
        match self.current.first() {
            Some(current) => Err(Error::new(ErrorKind::Truncated, "the file ended inside a member")
                .within(&current.member.name)
                .expected_found(format!("{} bytes", current.member.bytes), current.position)),
            None => Ok(()),
        }
    }

    /// Opens and closes members without bytes.
    fn push_nothing(&mut self) -> Result<()> {
        self.push_stored(&[])
    }
}

impl MemberScan<'_> {
    fn push(&mut self, mut stored: &[u8]) -> Result<()> {
        let Some((mut inflater, mut buffer)) = self.inflater.take() else { return self.push_plain(stored) };
        loop {
            let step = inflater.inflate(stored, &mut buffer)?;
            self.push_plain(&buffer[..step.written])?;
            stored = &stored[step.taken..];
            if step.taken == 0 && step.written == 0 {
                break;
            }
        }
        self.inflater = Some((inflater, buffer));
        Ok(())
    }

    /// Takes uncompressed bytes.
    fn push_plain(&mut self, mut bytes: &[u8]) -> Result<()> {
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.crc.update(bytes);
        self.tensor_hashes.push(bytes);
        self.tied_hashes.push(bytes);
        while let Some(tensor) = self.checks.front_mut() {
            let skip = tensor.start.saturating_sub(self.position).min(bytes.len() as u64) as usize;
            let end = tensor.end.saturating_sub(self.position).min(bytes.len() as u64) as usize;
            tensor.check.push(&bytes[skip..end])?;
            self.position += end as u64;
            bytes = &bytes[end..];
            if self.position < tensor.end {
                break;
            }
            if let Some(done) = self.checks.pop_front() {
                match done.check {
                    Check::Payload(check) => self.statistics.push((done.weight, check.finish()?)),
                    Check::Values(check, _) if check.holds() => self.two_valued.push(done.weight),
                    Check::Finite(_) | Check::Values(..) => {}
                }
            }
        }
        self.position += bytes.len() as u64;
        Ok(())
    }

    /// Checks that the compressed stream ended, and gives back what it was inflated with.
    fn end_inflating(&mut self) -> Result<Option<(Inflater, Vec<u8>)>> {
        let inflater = self.inflater.take();
        if let Some((inflater, _)) = &inflater {
            inflater.finish().map_err(|error| error.within(&self.member.name))?;
        }
        Ok(inflater)
    }

    /// SHA-256 in hex, of the member, of its tensors, and of those of the tied pair.
    fn finish(self) -> Result<(Option<String>, [Vec<String>; 2])> {
        self.member.check_crc32(self.crc.sum())?;
        Ok((self.hash.map(hex), [self.tensor_hashes.finish(), self.tied_hashes.finish()]))
    }
}

/// The tar must be as long as when its structure was read.
fn check_unchanged(unpacker: &Unpacker, compressed: Compressed) -> Result<()> {
    if unpacker.written() == compressed.unpacked_bytes {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, "the compressed tar changed while it was read")
        .expected_found(format!("{} bytes when unpacked", compressed.unpacked_bytes), unpacker.written())
        .hint("inspect it again"))
}

/// The numbers of the members, by file and offset.
fn in_order(members: &[Member]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..members.len()).collect();
    order::sort_by_key(&mut order, |&i| (members[i].file, members[i].offset));
    order
}

/// A finished hash in hex.
pub fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
