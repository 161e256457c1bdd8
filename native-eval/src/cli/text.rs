//! Words, numbers and colours for people.

use bitgauge_core::report::{Outcome, Verdict};
use clap::builder::styling::{AnsiColor, Style};
use indicatif::HumanCount;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// The word before an error message.
pub fn error(word: &str) -> String {
    styled(BAD, word)
}

/// Words of a good outcome.
pub fn good(words: &str) -> String {
    styled(GOOD, words)
}

/// Words of an outcome that is not clear.
pub fn unsure(words: &str) -> String {
    styled(UNSURE, words)
}

/// A heading.
pub fn heading(text: &str) -> String {
    styled(HEADING, text)
}

/// Less important text.
pub fn faint(text: &str) -> String {
    styled(FAINT, text)
}

/// The verdict as a sign and a word, in its colour.
pub fn verdict(verdict: Verdict) -> String {
    let (style, sign) = match verdict {
        Verdict::Eligible => (GOOD, "✓"),
        Verdict::NotEligible => (BAD, "✗"),
        Verdict::Inconclusive => (UNSURE, "?"),
    };
    styled(style, &format!("{sign} {}", verdict.words()))
}

/// A gate's outcome as a sign and a word, in its colour.
pub fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::Pass => styled(GOOD, "✓ pass"),
        Outcome::Fail => styled(BAD, "✗ FAIL"),
        Outcome::NotRun => styled(UNSURE, "? not run"),
    }
}

/// A number with thousands separators.
pub fn count(number: u64) -> String {
    HumanCount(number).to_string()
}

/// A difference with thousands separators; what is over is negative.
pub fn signed(number: i64) -> String {
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", count(number.unsigned_abs()))
}

/// Bytes in decimal units, as disks and downloads are measured: `2.47 MB`.
pub fn bytes(bytes: u64) -> String {
    indicatif::DecimalBytes(bytes).to_string()
}

/// Bits as bytes in decimal units, exact below a kilobyte.
pub fn bits_as_bytes(bits: u64) -> String {
    if bits.is_multiple_of(8) { bytes(bits / 8) } else { format!("{:.1} B", bits as f64 / 8.0) }
}
