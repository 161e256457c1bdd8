//! `bitgauge inspect`: the verdict, gate by gate.

use bitgauge_core::Error;
use bitgauge_core::contract::Pack;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::Report;
use bitgauge_core::scan::{Findings, Scan};
use native_eval::Source;

use super::args::{Format, InspectOptions};
use super::{Exit, Failure, output, progress};

/// Inspects one artifact.
pub fn run(options: &InspectOptions, format: Format) -> Result<Exit, Failure> {
    let mut source = Source::open(&options.artifact)?;
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).map_err(|error| error.within(source.name()))?;
    let reading = Reading::of(options.headers_only, options.hash_tensors);
    let findings = read(&mut source, &inventory, reading)?;
    let mut report = report(&source, &inventory, options.pack.into(), findings.as_ref());
    report.artifact.source = options.source.clone();
    if let Some(path) = &options.report {
        output::write_report(&report, path)?;
    }
    output::print_report(&report, format, options.weights);
    if let Some(base) = &options.share {
        output::print_link(&report, base, format);
    }
    Ok(report.verdict.into())
}

/// The report of an artifact that is open as `source`.
pub fn report(source: &Source, inventory: &Inventory, pack: Pack, findings: Option<&Findings>) -> Report {
    bitgauge_core::inspect::report(source.name(), inventory, pack, findings)
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
    for file in 0..source.file_count() {
        scan.begin_file(file)?;
        source.stream_file(file, &mut |bytes| {
            bar.inc(bytes.len() as u64);
            scan.push(bytes)
        })?;
    }
    bar.finish_and_clear();
    scan.finish().map_err(|error| error.within(source.name()))
}
