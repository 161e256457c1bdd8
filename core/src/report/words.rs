//! How reports are worded for people, the same in the terminal and on the page: counts, sizes, shares, signs, margins.

use super::compare::Figure;
use super::{Estimate, Gate, Outcome, Report, Unit, Verdict};
use crate::accounting::Bucket;
use crate::container::ContainerKind;

/// What stands in a table's cell where nothing is known.
pub const UNKNOWN: &str = "–";
/// The sign of a number below zero.
pub const MINUS: &str = "−";
const GOOD: &str = "✓";
const BAD: &str = "✗";
const UNSURE: &str = "?";

impl Verdict {
    /// The sign beside the word.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Eligible => GOOD,
            Self::NotEligible => BAD,
            Self::Inconclusive => UNSURE,
        }
    }
}

impl Outcome {
    /// The sign beside the word.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Pass => GOOD,
            Self::Fail => BAD,
            Self::NotRun => UNSURE,
        }
    }
}

/// `number` with a comma between groups of three digits.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() * 4 / 3);
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// A difference with grouped digits; what is over is negative: `24,660`, `−71,321`.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { MINUS } else { "" };
    format!("{sign}{}", count(number.unsigned_abs()))
}

/// `1 gate`, `2,000 gates`.
pub fn plural(number: u64, one: &str) -> String {
    format!("{} {one}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A count with its unit, which is in the plural unless it counts one.
pub fn counted(number: u64, unit: Unit) -> String {
    plural(number, unit.name().trim_end_matches('s'))
}

/// Bytes in decimal units, as disks and downloads are measured: `2.49 MB`.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, unit)) => format!("{:.2} {unit}", bytes as f64 / *size as f64),
        None => format!("{bytes} B"),
    }
}

/// Bits as bytes in decimal units; a part of a byte shows below a kilobyte.
pub fn bits_as_bytes(bits: u64) -> String {
    if bits < 8_000 && !bits.is_multiple_of(8) {
        return format!("{:.1} B", bits as f64 / 8.0);
    }
    bytes(bits / 8)
}

/// `part` of `whole` in per cent with two digits, or [`UNKNOWN`] when there is no whole.
pub fn percent(part: u64, whole: u64) -> String {
    if whole == 0 {
        return UNKNOWN.into();
    }
    format!("{:.2} %", 100.0 * part as f64 / whole as f64)
}

/// The dimensions of a tensor: `256 × 70`.
pub fn shape(dimensions: &[u64]) -> String {
    dimensions.iter().map(u64::to_string).collect::<Vec<_>>().join(" × ")
}

/// A layer's number, or what lies outside the layers.
pub fn layer(number: Option<u32>) -> String {
    number.map_or_else(|| "embeddings, final norm and head".into(), |number| number.to_string())
}

/// A bucket of the report's accounting.
pub fn bucket(bucket: Bucket, report: &Report) -> &'static str {
    let method = report.model.as_ref().and_then(|model| model.quant_method.as_deref());
    let is_gguf = report.artifact.kind == ContainerKind::Gguf || method == Some("gguf");
    if is_gguf && bucket == Bucket::Headers { "GGUF metadata and tokenizer" } else { bucket.words() }
}

/// What is left under a gate's limit, or how far over it the artifact is; nothing of a gate that wants none of
/// something.
pub fn margin(gate: &Gate) -> Option<String> {
    let margin = gate.margin.filter(|_| gate.wanted != Some(0))?;
    let word = if margin < 0 { "over" } else { "left" };
    Some(format!("{} {word}", count(margin.unsigned_abs())))
}

/// How sure a perplexity is: `18.50 to 21.24, standard error 0.66, over 24 documents`.
pub fn uncertainty(estimate: &Estimate) -> String {
    let [low, high] = estimate.perplexities();
    let error = estimate.perplexity() * estimate.standard_error;
    let documents = plural(estimate.documents, "document");
    format!("{low:.4} to {high:.4}, standard error {error:.4}, over {documents}")
}

/// How sure a difference of two losses is, and what that says of the competition's rule, without saying which is the
/// lower: `0.0150 nats, 0.0130 to 0.0170 over 24 documents: inside 0.02 nats`.
pub fn difference(difference: &Estimate) -> String {
    let [low, high] = difference.interval().map(|nats| if difference.nats < 0.0 { -nats } else { nats });
    let (low, high) = (low.min(high), low.max(high));
    let documents = plural(difference.documents, "document");
    let band = difference.band().words();
    let words = format!("{:.4} nats, {low:.4} to {high:.4} over {documents}: {band}", difference.nats.abs());
    words.replace('-', MINUS)
}

/// A figure of two reports that are compared; of a hash, both ends.
pub fn figure(figure: &Figure) -> String {
    match figure {
        Figure::Text(hash) if is_sha256(hash) => short_hash(hash),
        Figure::Text(words) => words.clone(),
        Figure::Count(number, unit) => format!("{} {unit}", count(*number)).trim_end().to_owned(),
        Figure::Measured(value) => format!("{value:.4}"),
        Figure::Gate(outcome, got, unit) => match got {
            Some(got) => format!("{}, {}", outcome.words(), counted(*got, *unit)),
            None => outcome.words().to_owned(),
        },
        Figure::Verdict(verdict) => verdict.words().to_owned(),
    }
}

/// Both ends of a hash in hex.
pub fn short_hash(hash: &str) -> String {
    match (hash.get(..8), hash.get(56..)) {
        (Some(first), Some(last)) => format!("{first}…{last}"),
        _ => hash.to_owned(),
    }
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_grouped_from_the_right() {
        let cases = [(7, "7"), (999, "999"), (1_000, "1,000"), (65_536, "65,536"), (1_000_000, "1,000,000")];
        for (number, expected) in cases {
            assert_eq!(count(number), expected);
        }
        assert_eq!((signed(-71_321).as_str(), signed(24_660).as_str()), ("−71,321", "24,660"));
    }

    #[test]
    fn sizes_have_the_unit_that_a_person_would_choose() {
        assert_eq!((bytes(999).as_str(), bytes(2_492_547).as_str()), ("999 B", "2.49 MB"));
        assert_eq!((bits_as_bytes(12).as_str(), bits_as_bytes(8_000_000).as_str()), ("1.5 B", "1.00 MB"));
        assert_eq!((percent(1, 8).as_str(), percent(1, 0).as_str()), ("12.50 %", "–"));
        assert_eq!((plural(1, "gate").as_str(), plural(2_000, "file").as_str()), ("1 gate", "2,000 files"));
        assert_eq!(
            (counted(1, Unit::Bytes).as_str(), counted(0, Unit::Files).as_str()),
            ("1 byte", "0 files")
        );
        assert_eq!((shape(&[2, 3]).as_str(), shape(&[]).as_str()), ("2 × 3", ""));
    }

    #[test]
    fn margins_are_left_or_over() {
        let gate = |margin, wanted| Gate { margin: Some(margin), wanted: Some(wanted), ..Gate::default() };
        assert_eq!(margin(&gate(1_000, 5_000)).as_deref(), Some("1,000 left"));
        assert_eq!(margin(&gate(0, 5_000)).as_deref(), Some("0 left"));
        assert_eq!(margin(&gate(-1_000, 5_000)).as_deref(), Some("1,000 over"));
        assert_eq!((margin(&gate(-2, 0)), margin(&Gate::default())), (None, None));
    }

    #[test]
    fn figures_are_short() {
        let hash = "0123456789abcdef".repeat(4);
        assert_eq!(figure(&Figure::Text(hash)), "01234567…89abcdef");
        assert_eq!(figure(&Figure::Count(1_000, "")), "1,000");
        assert_eq!(figure(&Figure::Gate(Outcome::NotRun, None, Unit::Files)), "not run");
        assert_eq!(figure(&Figure::Gate(Outcome::Fail, Some(1), Unit::Tensors)), "fail, 1 tensor");
    }

    #[test]
    fn the_headers_of_a_gguf_file_are_its_metadata() {
        let mut report = Report::default();
        assert_eq!(bucket(Bucket::Headers, &report), "safetensors headers");
        report.artifact.kind = ContainerKind::Gguf;
        assert_eq!(bucket(Bucket::Headers, &report), "GGUF metadata and tokenizer");
        assert_eq!(bucket(Bucket::Code, &report), "code");
    }
}
