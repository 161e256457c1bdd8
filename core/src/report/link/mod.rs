//! A report in the fragment of a link: `https://host/inspector/#r=AWVs...`.
//!
//! What follows `#r=` is base64url without padding of: a version byte, the report packed by the
//! schema of that version, and the CRC-32 of all before it. Every version is read for ever; a change
//! of what is written is another version. Version 2 is version 1 with the artifact's source behind it; version 3 says
//! which of a source, the standard error of the mean loss and the windows follow, and leaves out the rate, which the
//! others tell.
//! What has neither is still written as version 1, what has only a source as version 2. A link carries gates, sizes and figures by layer, not
//! the weights one by one. It says what somebody claims; nothing in it proves that it is true.

mod gates;
mod layers;
mod wire;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use self::wire::{Reader, Writer};
use super::{ArtifactSummary, Evaluation, ModelSummary, Report, SCHEMA_VERSION, SourceUrl, Verdict};
use crate::accounting::{Accounting, Bucket, Entry};
use crate::container::ContainerKind;
use crate::contract::Rules;
use crate::crc32::Crc32;
use crate::{Error, ErrorKind, Result, limits};

/// The schema of a report without a source.
const VERSION: u8 = 1;
/// The schema of one with a source.
const VERSION_WITH_SOURCE: u8 = 2;
/// The schema of one that says how sure its perplexity is, and maybe has a source.
const VERSION_WITH_ERROR: u8 = 3;
/// What stands before the report in a link's fragment.
const KEY: &str = "r=";
/// The same where something between the writer and the reader has escaped it.
const ESCAPED_KEY: &str = "r%3d";
/// What texts put behind a link, or a mail program adds to it.
const DECORATIONS: &str = ".,;:!?)>]}\"'&*|`/\\";
/// Bytes of the CRC-32 at the end.
const CHECKSUM_BYTES: usize = 4;
/// How much of a report goes into a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// Verdict, gates, accounting, evaluation: up to 400 characters, and those of a source.
    Summary,
    /// Also the figures by layer.
    Full,
}

/// The fragment of a link that carries a report, without `#`.
pub fn encode(report: &Report, detail: Detail) -> String {
    let mut out = Writer::new();
    let source = report.artifact.source.as_ref();
    let precise = report.evaluation.as_ref().map(|e| (e.estimate(), e.window.zip(e.stride)));
    let precise = precise.filter(|precise| *precise != (None, None));
    out.byte(match (&precise, source) {
        (Some(_), _) => VERSION_WITH_ERROR,
        (None, Some(_)) => VERSION_WITH_SOURCE,
        (None, None) => VERSION,
    });
    write_artifact(&mut out, report);
    out.option(report.model.as_ref(), write_model);
    gates::write(&mut out, &report.gates, &known_counts(&report.artifact, report.model.as_ref()));
    write_accounting(&mut out, &report.accounting);
    let has_rate = precise.is_none();
    out.option(report.evaluation.as_ref(), |out, evaluation| write_evaluation(out, evaluation, has_rate));
    layers::write(&mut out, if detail == Detail::Full { &report.layers } else { &[] });
    match (precise, source) {
        (Some((estimate, windows)), source) => {
            let marks = [source.is_some(), estimate.is_some(), windows.is_some()];
            out.byte(marks.into_iter().rev().fold(0, |marks, mark| marks << 1 | u8::from(mark)));
            if let Some(source) = source {
                out.text(source.as_str());
            }
            if let Some(estimate) = estimate {
                out.bytes(&(estimate.standard_error as f32).to_le_bytes());
            }
            if let Some((window, stride)) = windows {
                out.number(window);
                out.number(stride);
            }
        }
        (None, Some(source)) => out.text(source.as_str()),
        (None, None) => {}
    }
    let mut bytes = out.into_bytes();
    let checksum = crc32(&bytes);
    bytes.extend(checksum);
    format!("{KEY}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The report that a link's fragment carries, or nothing when the fragment is of another kind.
/// A `#` before it is passed over, and so is what texts put behind a link.
///
/// What a link does not carry is empty: members, weights, rules, details.
///
/// # Errors
/// A text that is too long or damaged, another version, values that contradict each other or the
/// schema. Control characters are refused, so that all text can be shown as it is.
pub fn decode(fragment: &str) -> Result<Option<Report>> {
    let fragment = fragment.strip_prefix('#').unwrap_or(fragment);
    let Some(text) = text_of(fragment) else { return Ok(None) };
    let undecorated = undecorated(text).and_then(|text| read(text).ok());
    undecorated.map_or_else(|| read(text), Ok).map(Some).map_err(|error| error.within("the link"))
}

/// The fragment of a link in a text that holds one, with its `#` written as it is or escaped.
pub fn find_fragment(text: &str) -> Option<&str> {
    let after = |mark: &str| text.find(mark).map(|at| &text[at + mark.len()..]);
    let candidates = [Some(text), after("#"), after("%23")];
    candidates.into_iter().flatten().find(|fragment| text_of(fragment).is_some())
}

/// What follows the key of a fragment.
fn text_of(fragment: &str) -> Option<&str> {
    let escaped = fragment.get(..ESCAPED_KEY.len()).filter(|key| key.eq_ignore_ascii_case(ESCAPED_KEY));
    fragment.strip_prefix(KEY).or_else(|| escaped.map(|key| &fragment[key.len()..]))
}

/// The link's text without a decoration behind it, if there is one. The checksum says whether all of it was there.
fn undecorated(text: &str) -> Option<&str> {
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_')?;
    text[end..].starts_with(|c: char| c.is_whitespace() || DECORATIONS.contains(c)).then_some(&text[..end])
}

fn read(text: &str) -> Result<Report> {
    if text.len() > limits::LINK_CHARACTERS {
        return Err(Error::new(ErrorKind::TooLarge, "the link is too long")
            .expected_found(format!("at most {} characters", limits::LINK_CHARACTERS), text.len()));
    }
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|error| {
        Error::new(ErrorKind::Malformed, "the link's text is damaged")
            .expected_found("letters, digits, - and _ (base64url)", error)
            .hint("copy the whole link again")
    })?;
    let (&version, _) = bytes.split_first().ok_or_else(|| truncated(0))?;
    if !(VERSION..=VERSION_WITH_ERROR).contains(&version) {
        return Err(Error::new(ErrorKind::Unsupported, "the link has another version")
            .expected_found(format!("version {VERSION} to {VERSION_WITH_ERROR}"), version)
            .hint("open it with a newer bitgauge"));
    }
    let split = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or_else(|| truncated(bytes.len()))?;
    let (content, checksum) = bytes.split_at(split);
    if crc32(content) != checksum {
        return Err(Error::new(ErrorKind::Checksum, "the link is damaged")
            .expected_found(format!("checksum {checksum:02x?}"), format!("{:02x?}", crc32(content)))
            .hint("copy the whole link again"));
    }
    // The version stays in, so that offsets in errors are those of the whole.
    let mut from = Reader::new(content);
    from.byte()?;
    let mut report = read_report(&mut from, version)?;
    match version {
        VERSION => {}
        VERSION_WITH_SOURCE => report.artifact.source = Some(read_source(&mut from)?),
        _ => read_precise(&mut from, &mut report)?,
    }
    from.finish()?;
    Ok(report)
}

fn read_source(from: &mut Reader) -> Result<SourceUrl> {
    SourceUrl::parse(&from.text()?)
}

/// What version 3 adds: a source, the standard error of the mean loss with the interval that follows from it, windows.
fn read_precise(from: &mut Reader, report: &mut Report) -> Result<()> {
    let marks = from.byte()?;
    let [has_source, has_error, has_windows] = [1, 2, 4].map(|mark| marks & mark != 0);
    if has_source {
        report.artifact.source = Some(read_source(from)?);
    }
    let error = has_error.then(|| from.short_float()).transpose()?;
    let windows = if has_windows { Some((from.number()?, from.number()?)) } else { None };
    let is_sound = |evaluation: &&mut Evaluation| {
        error.is_none_or(|error| error >= 0.0 && evaluation.scored_documents > 1) && (2..8).contains(&marks)
    };
    let Some(evaluation) = report.evaluation.as_mut().filter(is_sound) else {
        let expected = "of an evaluation of two documents or more";
        return Err(from.fault("a standard error or windows are of nothing", expected, marks));
    };
    evaluation.standard_error_nats = error;
    (evaluation.window, evaluation.stride) = windows.unzip();
    if let Some(estimate) = evaluation.estimate() {
        let [low, high] = estimate.perplexities();
        (evaluation.heldout_ppl_low, evaluation.heldout_ppl_high) = (Some(low), Some(high));
    }
    Ok(())
}

fn crc32(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let mut crc = Crc32::new();
    crc.update(bytes);
    crc.sum().to_le_bytes()
}

fn truncated(found: usize) -> Error {
    Error::new(ErrorKind::Truncated, "the link ends too early")
        .expected_found("a report", format!("{found} bytes"))
        .hint("copy the whole link again")
}

fn read_report(from: &mut Reader, version: u8) -> Result<Report> {
    let (bitgauge_version, artifact, rules) = read_artifact(from)?;
    let model = from.option(read_model)?;
    let gates = gates::read(from, &known_counts(&artifact, model.as_ref()))?;
    let parameters = model.as_ref().and_then(|model| model.parameters);
    let accounting = read_accounting(from, artifact.size_bytes, parameters)?;
    let evaluation = from.option(|from| read_evaluation(from, version != VERSION_WITH_ERROR))?;
    let layers = layers::read(from)?;
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        bitgauge_version,
        artifact,
        pack: rules,
        verdict: Verdict::of(&gates),
        gates,
        model,
        accounting,
        layers,
        manifest: None,
        weights: Vec::new(),
        tensors: None,
        notes: Vec::new(),
        evaluation,
    })
}

/// Counts that gates repeat: the artifact's bytes, the model's parameters.
fn known_counts(artifact: &ArtifactSummary, model: Option<&ModelSummary>) -> [Option<u64>; 2] {
    [Some(artifact.size_bytes), model.and_then(|model| model.parameters)]
}

fn write_artifact(out: &mut Writer, report: &Report) {
    let artifact = &report.artifact;
    out.text(&report.bitgauge_version);
    out.text(&artifact.name);
    // Their places in `ALL`, where new ones are appended.
    out.byte(artifact.kind as u8 | (report.pack as u8) << 4);
    out.number(artifact.size_bytes);
    out.option(artifact.sha256.as_deref(), Writer::sha256);
}

fn read_artifact(from: &mut Reader) -> Result<(String, ArtifactSummary, Rules)> {
    let version = from.text()?;
    let name = from.text()?;
    let byte = from.byte()?;
    let kind = from.entry(&ContainerKind::ALL, byte & 0xf, "a kind of artifact")?;
    let rules = from.entry(&Rules::ALL, byte >> 4, "a pack")?;
    let size_bytes = from.number()?;
    if size_bytes.checked_mul(8).is_none() {
        return Err(from.fault("the artifact's size is out of range", "less than 2^61 bytes", size_bytes));
    }
    let sha256 = from.option(Reader::sha256)?;
    Ok((
        version,
        ArtifactSummary { name, kind, size_bytes, sha256, source: None, members: Vec::new() },
        rules,
    ))
}

fn write_model(out: &mut Writer, model: &ModelSummary) {
    out.text(&model.model_type);
    out.option(model.parameters, Writer::number);
    out.option(model.quant_method.as_deref(), Writer::text);
}

fn read_model(from: &mut Reader) -> Result<ModelSummary> {
    Ok(ModelSummary {
        model_type: from.text()?,
        parameters: from.option(Reader::number)?,
        quant_method: from.option(Reader::text)?,
    })
}

/// Only buckets that hold anything, as a bit set and their bits.
fn write_accounting(out: &mut Writer, accounting: &Accounting) {
    let filled = |bucket: Bucket| accounting.buckets.iter().find(|e| e.bucket == bucket && e.bits > 0);
    let set = (0..).zip(Bucket::ALL).map(|(i, bucket)| u64::from(filled(bucket).is_some()) << i).sum();
    out.number(set);
    for entry in Bucket::ALL.into_iter().filter_map(filled) {
        out.number(entry.bits);
    }
    out.number(accounting.saved_by_compression_bits);
    out.number(accounting.binary_parameters);
    out.number(accounting.rescue_parameters);
    out.number(accounting.unpacked_parameters);
}

fn read_accounting(from: &mut Reader, size_bytes: u64, parameters: Option<u64>) -> Result<Accounting> {
    let set = from.number()?;
    if set >> Bucket::ALL.len() != 0 {
        return Err(from.fault("a bucket is not known", format!("{} buckets", Bucket::ALL.len()), set));
    }
    let mut buckets = Bucket::ALL.map(|bucket| Entry { bucket, bits: 0 }).to_vec();
    for (i, entry) in buckets.iter_mut().enumerate() {
        if set >> i & 1 == 1 {
            entry.bits = from.number()?;
        }
    }
    let saved_by_compression_bits = from.number()?;
    let total_bits = 8 * size_bytes;
    let sum: u128 = buckets.iter().map(|entry| u128::from(entry.bits)).sum();
    if sum != u128::from(total_bits) + u128::from(saved_by_compression_bits) {
        return Err(from.fault("the buckets do not sum to the artifact's size", total_bits, sum));
    }
    Ok(Accounting {
        buckets,
        saved_by_compression_bits,
        total_bits,
        binary_parameters: from.number()?,
        rescue_parameters: from.number()?,
        unpacked_parameters: from.number()?,
        bits_per_parameter: parameters.filter(|&p| p > 0).map(|p| total_bits as f64 / p as f64),
    })
}

fn write_evaluation(out: &mut Writer, evaluation: &Evaluation, has_rate: bool) {
    for value in [evaluation.heldout_ppl, evaluation.cross_entropy_nats] {
        out.float(value);
    }
    // Seven digits of these are enough.
    let rate = has_rate.then_some(evaluation.tokens_per_second);
    for value in std::iter::once(evaluation.seconds).chain(rate) {
        out.bytes(&(value as f32).to_le_bytes());
    }
    for number in [evaluation.scored_documents, evaluation.scored_tokens, evaluation.max_tokens] {
        out.number(number);
    }
    out.sha256(&evaluation.documents_sha256);
    out.text(&evaluation.device);
    out.text(&evaluation.precision);
}

fn read_evaluation(from: &mut Reader, has_rate: bool) -> Result<Evaluation> {
    let [heldout_ppl, cross_entropy_nats] = [from.float()?, from.float()?];
    let seconds = from.short_float()?;
    let rate = has_rate.then(|| from.short_float()).transpose()?;
    let [scored_documents, scored_tokens] = [from.number()?, from.number()?];
    let fed = scored_documents as f64 + scored_tokens as f64;
    let tokens_per_second = rate.unwrap_or(if seconds > 0.0 { fed / seconds } else { 0.0 });
    Ok(Evaluation {
        heldout_ppl,
        cross_entropy_nats,
        standard_error_nats: None,
        heldout_ppl_low: None,
        heldout_ppl_high: None,
        cut_tokens: None,
        window: None,
        stride: None,
        scored_documents,
        scored_tokens,
        max_tokens: from.number()?,
        documents_sha256: from.sha256()?,
        device: from.text()?,
        precision: from.text()?.into(),
        seconds,
        tokens_per_second,
        documents: Vec::new(),
    })
}
