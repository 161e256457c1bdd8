//! `bitgauge inspect`: the verdict, gate by gate.

mod hashing;
mod several;

use std::io::Read;
use std::path::Path;

use bitgauge_core::contract::{Rules, proxy};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::Transformers;
use bitgauge_core::report::Report;
use bitgauge_core::scan::{Findings, Scan};
use bitgauge_core::{Error, ErrorKind, limits};
use native_eval::{Access, Source, input, is_address, read_json, read_layout};

use self::hashing::Hashing;

use super::args::{Format, InspectOptions};
use super::{Exit, Failure, output, progress};

/// Inspects one artifact or several.
pub fn run(options: &InspectOptions, format: Format) -> Result<Exit, Failure> {
    options.transformers.check_share(options.share.as_deref())?;
    match options.artifacts.as_slice() {
        [artifact] => run_one(artifact, options, format),
        _ => several::run(options, format),
    }
}

fn run_one(artifact: &Path, options: &InspectOptions, format: Format) -> Result<Exit, Failure> {
    let reading = Reading::of(options.headers_only, options.hash_tensors);
    let file = output::check_file(options.report.as_deref(), &options.artifacts)?;
    let settings = Settings { rules: options.pack.into(), reading, access: options.remote.access(false) };
    let mut report = inspected(artifact, options.layout.as_deref(), options.transformers.into(), &settings)?;
    report.artifact.source = options.source.clone().or(report.artifact.source);
    let written = output::write_report(&report, file.as_ref());
    output::print_report(&report, format, options.weights);
    if let Some(base) = &options.share {
        output::print_link(&report, base, format);
    }
    written?;
    Ok(report.verdict.into())
}

/// How an artifact is inspected.
pub struct Settings {
    /// Whose limits apply.
    pub rules: Rules,
    /// What is read of it.
    pub reading: Reading,
    /// How it is read if it is on another host.
    pub access: Access,
}

/// The report of the artifact at `path` for this version of transformers.
///
/// # Errors
/// What [`Source::open_at`] and a pass over the bytes find; a saved report is not an artifact and is refused.
pub fn inspected(
    path: &Path,
    layout: Option<&Path>,
    transformers: Transformers,
    settings: &Settings,
) -> Result<Report, Error> {
    let &Settings { rules, reading, access } = settings;
    if let Some(report) = inspected_json(path, rules, access)? {
        return Ok(report);
    }
    let mut source = open(path, layout, transformers, access)?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of_version(&artifact, source.transformers())
        .map_err(|error| error.within(source.name()))?;
    let findings = read(&mut source, &inventory, reading)?;
    source.expect_unchanged()?;
    let mut report = report(&source, &inventory, rules, findings.as_ref());
    report.artifact.source = source.address();
    Ok(report)
}

/// Opens an artifact for this version of transformers, whose weights lie as the file `layout` says if there is one.
///
/// # Errors
/// What [`Source::open_at`] finds; a file that can't be read or is no layout.
pub fn open(
    path: &Path,
    layout: Option<&Path>,
    transformers: Transformers,
    access: Access,
) -> Result<Source, Error> {
    let mut source = Source::open_at(path, access)?;
    source.set_transformers(transformers);
    if let Some(layout) = layout {
        source.set_layout(read_layout(layout)?);
    }
    Ok(source)
}

/// The report of a proxy's artifact; nothing when the file is of another kind.
fn inspected_json(path: &Path, rules: Rules, access: Access) -> Result<Option<Report>, Error> {
    let text =
        if is_address(path) { read_json(path, access, limits::PROXY_BYTES)? } else { json_on_disk(path)? };
    let Some(text) = text else { return Ok(None) };
    if Report::is_written_in(&text) {
        return Err(Error::new(ErrorKind::Unsupported, "this is a saved report, not an artifact")
            .within(path.display())
            .hint("`bitgauge show` prints it, `bitgauge compare` compares it with another"));
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    proxy::inspect(&name, &text, rules).map(Some)
}

/// The text of a file on disk that is meant as JSON; nothing when the file is of another kind.
fn json_on_disk(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    /// White space and the first character.
    const BEGINNING_BYTES: u64 = 512;
    let Some(bytes) = input::open_text(path).ok().filter(|_| path.is_file()) else { return Ok(None) };
    let fault = |error: std::io::Error| {
        Error::new(ErrorKind::Io, "the file cannot be read")
            .within(path.display())
            .expected_found("a readable file", error)
    };
    let mut text = Vec::new();
    (&bytes).take(BEGINNING_BYTES).read_to_end(&mut text).map_err(fault)?;
    if !proxy::looks_like_json(&text) {
        return Ok(None);
    }
    // One byte over the cap, so that it is seen to be too long.
    (&bytes).take(limits::PROXY_BYTES + 1 - text.len() as u64).read_to_end(&mut text).map_err(fault)?;
    Ok(Some(text))
}

/// The report of an artifact that is open as `source`.
pub fn report(source: &Source, inventory: &Inventory, rules: Rules, findings: Option<&Findings>) -> Report {
    bitgauge_core::inspect::report(source.name(), inventory, rules, findings)
}

/// How much of an artifact is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Its structure.
    Headers,
    /// Every byte.
    Payload,
    /// Every byte, with a hash for each tensor.
    Tensors,
}

impl Reading {
    /// What the options ask for.
    pub fn of(headers_only: bool, hash_tensors: bool) -> Self {
        match (headers_only, hash_tensors) {
            (true, _) => Self::Headers,
            (false, false) => Self::Payload,
            (false, true) => Self::Tensors,
        }
    }
}

/// What a pass over the artifact finds, if one is wanted.
pub fn read(source: &mut Source, inventory: &Inventory, reading: Reading) -> Result<Option<Findings>, Error> {
    match reading {
        Reading::Headers => Ok(None),
        Reading::Payload | Reading::Tensors => scan(source, inventory, reading).map(Some),
    }
}

/// Reads every byte once: hashes, checksums, payload.
pub fn scan(source: &mut Source, inventory: &Inventory, reading: Reading) -> Result<Findings, Error> {
    let bar = progress::bytes("inspecting", inventory.artifact.size_bytes);
    let mut scan = Scan::new(inventory);
    if reading == Reading::Tensors {
        scan.hash_tensors();
    }
    let left = scan.leave_hashes(source.file_lengths());
    let hashes = std::thread::scope(|scope| {
        let mut hashing = Hashing::start(scope, left);
        for file in 0..source.file_count() {
            scan.begin_file(file)?;
            source.stream_file(file, &mut |bytes| {
                bar.add(bytes.len() as u64);
                hashing.push(bytes);
                scan.push(bytes)
            })?;
        }
        Ok::<_, Error>(hashing.finish())
    })?;
    bar.finish();
    source.expect_unchanged()?;
    let mut findings = scan.finish().map_err(|error| error.within(source.name()))?;
    findings.complete(hashes)?;
    source.expect_told_hashes(&findings)?;
    Ok(findings)
}
