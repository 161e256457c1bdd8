//! Goes through a tar from header to header, whoever brings the bytes.

use super::header::{self, BLOCK, Header, Kind};
use super::records::{self, Records};
use crate::container::{Compression, FileId, Member, names};
use crate::{Error, ErrorKind, Result, limits};

/// The state between two headers, or between a header and what it says about the next.
#[derive(Debug, Default)]
pub(in crate::container) struct Walker {
    file: FileId,
    /// Offset of the next header.
    position: u64,
    /// A header whose contents say something about the next member, and where those are.
    extension: Option<(Header, u64)>,
    /// Bytes of all extensions so far.
    extension_bytes: u64,
    /// What such contents said.
    long_name: Option<Vec<u8>>,
    long_target: Option<Vec<u8>>,
    records: Option<Records>,
    /// Whether a member must follow, since something was said about it, or about all that follow.
    is_waiting: bool,
    members: Vec<Member>,
    folders: Vec<String>,
    /// The first name that leaves the archive's folder. The validator looks at all headers before it says so.
    leaving: Option<Error>,
    ended: bool,
}

impl Walker {
    /// A walk through the tar that is, or unpacks from, file number `file`.
    pub(in crate::container) fn new(file: FileId) -> Self {
        Self { file, ..Self::default() }
    }

    /// Offset and number of the bytes that [`Walker::take`] wants next; nothing behind the end's mark.
    pub(in crate::container) fn wants(&self) -> Option<(u64, u64)> {
        match &self.extension {
            _ if self.ended => None,
            // With its padding, which the validator's reader takes for a part of it.
            Some((header, offset)) => Some((*offset, header.size.next_multiple_of(BLOCK))),
            None => Some((self.position, BLOCK)),
        }
    }

    /// Whether a tar of this many bytes may end here: before a header, without the mark. Python's reader, and so
    /// the validator, takes that.
    pub(in crate::container) fn may_end_at(&self, bytes: u64) -> bool {
        self.ended || (self.position == bytes && self.position > 0 && !self.is_waiting)
    }

    /// Takes the bytes that were wanted; gives the member whose bytes follow, if any.
    pub(in crate::container) fn take(&mut self, bytes: &[u8]) -> Result<Option<&Member>> {
        let start = self.position;
        if let Some((header, offset)) = self.extension.take() {
            self.take_extension(&header, bytes).map_err(|error| error.at(offset))?;
            return Ok(None);
        }
        if header::is_end(bytes) {
            self.ended = true;
            return Ok(None);
        }
        let header = header::parse(bytes).map_err(|error| error.at(start))?;
        let count = self.members.len();
        self.take_header(header).map_err(|error| error.at(start))?;
        Ok(self.members.get(count).filter(|member| member.hard_link.is_none()))
    }

    fn take_header(&mut self, header: Header) -> Result<()> {
        let data = self.position.checked_add(BLOCK).ok_or_else(too_long)?;
        self.is_waiting = !matches!(header.kind, Kind::File | Kind::Folder | Kind::HardLink);
        match header.kind {
            Kind::File => self.add_file(&header, data),
            Kind::Folder => self.add_folder(&header, data),
            Kind::HardLink => self.add_link(&header, data),
            _ if header.size > limits::TAR_EXTENSION_BYTES => {
                Err(Error::new(ErrorKind::TooLarge, "a tar's long name or pax records are too long")
                    .expected_found(format!("at most {} bytes", limits::TAR_EXTENSION_BYTES), header.size))
            }
            _ if self.extension_bytes + header.size > limits::TAR_EXTENSIONS_BYTES => Err(Error::new(
                ErrorKind::TooLarge,
                "a tar's long names and pax records are too long together",
            )
            .expected_found(format!("at most {} bytes", limits::TAR_EXTENSIONS_BYTES), "more")),
            _ => {
                self.extension_bytes += header.size;
                self.skip(data, header.size)?;
                self.extension = Some((header, data));
                Ok(())
            }
        }
    }

    /// Takes what a header says about the next; `padded` goes on with zeros to a multiple of the block.
    fn take_extension(&mut self, header: &Header, padded: &[u8]) -> Result<()> {
        // Capped.
        let (contents, padding) = padded.split_at(header.size as usize);
        if !header::is_end(padding) {
            return Err(Error::new(ErrorKind::Malformed, "bytes follow a tar's long name or pax records")
                .expected_found("zeros up to the next block", "other bytes"));
        }
        let twice = match header.kind {
            Kind::LongName => self.long_name.replace(header::text(contents).to_vec()).is_some(),
            Kind::LongLink => self.long_target.replace(header::text(contents).to_vec()).is_some(),
            Kind::Records => self.records.replace(records::parse(contents)?).is_some(),
            Kind::GlobalRecords if records::parse(contents)? != Records::default() => {
                return Err(Error::new(ErrorKind::Unsupported, "a tar names all its members alike")
                    .expected_found("path and size for each member", "global pax records of them"));
            }
            _ => false,
        };
        if twice { Err(named_twice("two extensions of a kind")) } else { Ok(()) }
    }

    fn add_file(&mut self, header: &Header, data: u64) -> Result<()> {
        let records = self.records.take().unwrap_or_default();
        let name = self.name(header, records.path)?;
        let bytes = records.size.unwrap_or(header.size);
        if header.size != bytes && header.size != 0 {
            return Err(Error::new(ErrorKind::Malformed, "a tar member has two lengths")
                .within(name.escape_debug())
                .expected_found(format!("{} bytes, as in its header", header.size), bytes));
        }
        self.long_target = None;
        self.skip(data, bytes)?;
        self.add_member(Member {
            name,
            file: self.file,
            offset: data,
            stored_bytes: bytes,
            bytes,
            compression: Compression::Stored,
            crc32: None,
            header: None,
            hard_link: None,
        })
    }

    fn add_member(&mut self, member: Member) -> Result<()> {
        if self.members.len() as u64 >= limits::TAR_MEMBERS_COUNT {
            return Err(Error::new(ErrorKind::TooLarge, "the tar has too many members")
                .expected_found(format!("at most {}", limits::TAR_MEMBERS_COUNT), "more"));
        }
        self.check_name(&member.name)?;
        self.members.push(member);
        Ok(())
    }

    /// Adds another name for the bytes of a file before.
    fn add_link(&mut self, header: &Header, data: u64) -> Result<()> {
        let mut records = self.records.take().unwrap_or_default();
        let (long, by_record) = (self.long_target.take(), records.target.take());
        if long.is_some() && by_record.is_some() {
            return Err(named_twice("a GNU long link and a pax linkpath"));
        }
        let name = self.name(header, records.path)?;
        let place = |error: Error| error.within(name.escape_debug());
        check_empty(header, records.size, "a hard link has contents").map_err(place)?;
        let stored = long.or(by_record).unwrap_or_else(|| header.target.clone());
        let shown = String::from_utf8_lossy(&stored);
        let target = plain(&shown);
        let found = self.members.iter().position(|member| member.name == target);
        let found = found.filter(|_| !shown.starts_with('/')).ok_or_else(|| {
            let error = Error::new(ErrorKind::Missing, "a hard link leads to no file before it");
            place(error.expected_found("the name of a file", shown.escape_debug()))
        })?;
        self.skip(data, 0)?;
        let target = self.members[found].clone();
        self.add_member(Member { name, hard_link: Some(target.hard_link.unwrap_or(found)), ..target })
    }

    fn add_folder(&mut self, header: &Header, data: u64) -> Result<()> {
        let records = self.records.take().unwrap_or_default();
        let name = self.name(header, records.path)?;
        self.long_target = None;
        check_empty(header, records.size, "a folder has contents")
            .map_err(|error| error.within(name.escape_debug()))?;
        self.skip(data, 0)?;
        // The root itself.
        if name.is_empty() {
            return Ok(());
        }
        self.check_name(&name)?;
        if self.folders.len() as u64 >= limits::TAR_MEMBERS_COUNT {
            return Err(Error::new(ErrorKind::TooLarge, "the tar has too many folders")
                .expected_found(format!("at most {}", limits::TAR_MEMBERS_COUNT), "more"));
        }
        self.folders.push(name);
        Ok(())
    }

    /// Checks a name, unless the archive is refused for an earlier one anyway.
    fn check_name(&self, name: &str) -> Result<()> {
        if self.leaving.is_some() { Ok(()) } else { names::check(name) }
    }

    /// The member's name without `.` components, as `tar -C folder .` writes them, and without a final slash.
    fn name(&mut self, header: &Header, path: Option<Vec<u8>>) -> Result<String> {
        let long_name = self.long_name.take();
        if long_name.is_some() && path.is_some() {
            return Err(named_twice("a GNU long name and a pax path"));
        }
        let is_path = path.is_some();
        let stored = long_name.or(path).unwrap_or_else(|| header.name.clone());
        let name = String::from_utf8(stored).map_err(|error| {
            let shown = String::from_utf8_lossy(error.as_bytes()).escape_debug().to_string();
            Error::new(ErrorKind::BadName, "a member name is not UTF-8")
                .within(shown)
                .expected_found("UTF-8", &error)
        })?;
        // Where the validator's reader drops final slashes.
        let drops_slash = is_path || header.kind == Kind::Folder;
        let shown = if drops_slash { name.trim_end_matches('/') } else { &name };
        if let Err(error) = names::check_stays(shown).map_err(|error| error.at(self.position)) {
            self.leaving.get_or_insert(error);
        }
        names::check_length(&name)?;
        // An absolute path stays one, to be refused.
        if name.starts_with('/') {
            return Ok(name);
        }
        Ok(plain(&name))
    }

    /// Moves to the header behind these contents.
    fn skip(&mut self, data: u64, bytes: u64) -> Result<()> {
        let end = bytes.checked_next_multiple_of(BLOCK).and_then(|bytes| data.checked_add(bytes));
        self.position = end.ok_or_else(too_long)?;
        Ok(())
    }

    /// The members, in storage order, of a tar of this many bytes.
    pub(in crate::container) fn finish(self, bytes: u64) -> Result<Vec<Member>> {
        if !self.may_end_at(bytes) || (self.ended && self.is_waiting) {
            return Err(Error::new(ErrorKind::Truncated, "the tar ends too early")
                .at(self.position)
                .expected_found("a header and what it announces", format!("the end after {bytes} bytes"))
                .hint("the file was cut off: copy or pack it again"));
        }
        if let Some(error) = self.leaving {
            return Err(error);
        }
        let files = self.members.iter().map(|member| (member.name.as_str(), false));
        names::check_all(files.chain(self.folders.iter().map(|name| (name.as_str(), true))))?;
        Ok(self.members)
    }
}

/// A path without empty and `.` components.
fn plain(path: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    parts.join("/")
}

/// Refuses contents of a member that has none, by its header or its records.
fn check_empty(header: &Header, by_record: Option<u64>, what: &str) -> Result<()> {
    if header.size == 0 && by_record.unwrap_or_default() == 0 {
        return Ok(());
    }
    Err(Error::new(ErrorKind::Malformed, what).expected_found("0 bytes", header.size))
}

fn too_long() -> Error {
    Error::new(ErrorKind::TooLarge, "a tar member is too long").expected_found("offsets below 2^64", "more")
}

fn named_twice(found: &str) -> Error {
    Error::new(ErrorKind::Malformed, "a tar member is described twice")
        .expected_found("one description", found)
}
