//! Words in their colours, for people.

use bitgauge_core::report::{Outcome, Verdict};
use clap::builder::styling::{AnsiColor, Style};
use unicode_width::UnicodeWidthStr;

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const UNSURE: Style = AnsiColor::Yellow.on_default().bold();
const HEADING: Style = Style::new().bold();
const FAINT: Style = Style::new().dimmed();

fn styled(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// Columns that a line takes on a terminal; its colours take none.
pub fn columns(line: &str) -> usize {
    anstream::adapter::strip_str(line).to_string().width()
}

/// The beginning of a line that takes at most so many columns.
pub fn cut(line: &str, columns: usize) -> String {
    if line.width() <= columns {
        return line.to_owned();
    }
    let mut beginning = String::new();
    for character in line.chars() {
        beginning.push(character);
        if beginning.width() >= columns {
            beginning.pop();
            break;
        }
    }
    beginning + "…"
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
    let style = match verdict {
        Verdict::Eligible => GOOD,
        Verdict::NotEligible => BAD,
        Verdict::Inconclusive => UNSURE,
    };
    styled(style, &format!("{} {}", verdict.sign(), verdict.words()))
}

/// A gate's outcome as a sign and a word, in its colour.
pub fn outcome(outcome: Outcome) -> String {
    let word = if outcome == Outcome::Fail { "FAIL" } else { outcome.words() };
    marked(outcome, word)
}

/// Words behind the sign of an outcome, in its colour.
pub fn marked(outcome: Outcome, words: &str) -> String {
    let style = match outcome {
        Outcome::Pass => GOOD,
        Outcome::Fail => BAD,
        Outcome::NotRun => UNSURE,
    };
    styled(style, &format!("{} {words}", outcome.sign()))
}
