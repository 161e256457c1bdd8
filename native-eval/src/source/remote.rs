//! Opens artifacts on other hosts.

use std::path::Path;
use std::sync::Arc;

use bitgauge_core::container::{Artifact, Compressor, Pause, Root, TarStream, Window, open};
use bitgauge_core::report::SourceUrl;
use bitgauge_core::scan::Findings;
use bitgauge_core::{Error, ErrorKind, Result};

use super::Source;
use super::storage::Storage;
use crate::hub::{self, Access, Found, Remote};

impl Source {
    /// Opens what a path or an address names: `https://…`, `hf://OWNER/REPO[@REVISION][/FILE]`, or the hub's pages.
    ///
    /// # Errors
    /// Those of [`Source::open`], and what other hosts say.
    pub fn open_at(place: &Path, access: Access) -> Result<Self> {
        let Some(address) = place.to_str().filter(|_| hub::is_address(place)) else {
            return Self::open(place);
        };
        match hub::find(address, access)? {
            Found::Local { path, name } => Ok(Self { name, ..Self::open(&path)? }),
            Found::Remote(remote) => Self::open_remote(remote),
        }
    }

    fn open_remote(mut remote: Remote) -> Result<Self> {
        let mut window = Window::new(remote.files());
        let beginning = std::mem::take(&mut remote.beginning);
        if remote.root == Root::File {
            window.feed(0, 0, beginning)?;
        }
        let opened = loop {
            match open(&window, remote.root) {
                Ok(artifact) => break Ok(artifact),
                Err(Pause::Failed(error)) => break Err(error),
                Err(Pause::Unpack(compressor)) => break unpack(&mut remote, &window, compressor),
                Err(Pause::Need(needs)) => {
                    for (need, bytes) in needs.iter().zip(remote.fetch(&needs)?) {
                        window.feed(need.file, need.offset, bytes)?;
                    }
                }
            }
        };
        let is_folder = remote.root == Root::Folder;
        let artifact = opened.map_err(|error| if is_folder { error.within(&remote.name) } else { error })?;
        let (name, window_name) = (remote.name.clone(), window.files().first().map(|(name, _)| name.clone()));
        let source =
            Self::of(window_name.unwrap_or_default(), artifact, &window, Storage::Remote(Arc::new(remote)));
        let place = if is_folder { Some(name.clone()) } else { source.place.clone() };
        Ok(Self { name, place, ..source })
    }

    /// Where it is on another host, as a report can carry it: one file's address, with the commit if it has one.
    pub fn address(&self) -> Option<SourceUrl> {
        self.remote().filter(|remote| remote.root == Root::File)?.source()
    }

    pub(super) fn remote(&self) -> Option<&Remote> {
        match &self.storage {
            Storage::Remote(remote) => Some(remote),
            _ => None,
        }
    }

    /// Compares what a pass found with the hashes that the host tells.
    ///
    /// # Errors
    /// Other bytes came than the host names.
    pub fn expect_told_hashes(&self, findings: &Findings) -> Result<()> {
        let Some(remote) = self.remote() else { return Ok(()) };
        let compare = |told: Option<String>, found: Option<&String>, name: &str| match (told, found) {
            (Some(told), Some(found)) if told != *found => {
                Err(Error::new(ErrorKind::Checksum, "the received file is not the one that the host names")
                    .within(name)
                    .expected_found(told, found)
                    .hint("try again; if it stays so, the host's file is damaged"))
            }
            _ => Ok(()),
        };
        if remote.root == Root::File {
            return compare(remote.sha256(0), findings.file.as_ref(), &self.name);
        }
        let mut members = self.artifact.members.iter().zip(&findings.members);
        members
            .try_for_each(|(member, found)| compare(remote.sha256(member.file), found.as_ref(), &member.name))
    }
}

/// The structure of a compressed tar, all of which comes for it and is kept for what follows.
fn unpack(remote: &mut Remote, window: &Window, compressor: Compressor) -> Result<Artifact> {
    remote.keep_while_open();
    let mut tar = TarStream::new(window.name(0), compressor)?;
    remote.stream(0, &mut |bytes| tar.push(bytes))?;
    tar.finish()
}
