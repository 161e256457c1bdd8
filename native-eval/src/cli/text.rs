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

/// Somebody else's text, such as a name in an artifact, in one line and without what could change the terminal.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// These words without control characters but for line breaks, tabs, and plain styles and colours: nothing that moves
/// the cursor, hides text or names the window.
pub fn harmless(words: &str) -> String {
    let mut out = String::with_capacity(words.len());
    let mut rest = words;
    while let Some(character) = rest.chars().next() {
        let style = style_at(rest);
        let (kept, taken) = match character {
            _ if style > 0 => (&rest[..style], style),
            '\n' | '\t' => (&rest[..1], 1),
            c if c.is_control() => (" ", c.len_utf8()),
            c => (&rest[..c.len_utf8()], c.len_utf8()),
        };
        out += kept;
        rest = &rest[taken..];
    }
    out
}

/// Bytes of the style or colour that these words begin with.
fn style_at(words: &str) -> usize {
    let Some((code, _)) = words.strip_prefix("\x1b[").and_then(|rest| rest.split_once('m')) else { return 0 };
    let is_number = code.bytes().all(|byte| byte.is_ascii_digit());
    match code.parse() {
        Ok(0..=4_u8 | 30..=37 | 90..=97) if is_number => "\x1b[m".len() + code.len(),
        _ => 0,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_change_the_terminal_is_left_out() {
        let ours = format!("{}\n\t{} é", good("yes"), faint("no"));
        assert_eq!(harmless(&ours), ours);
        for (hostile, wanted) in [
            ("a\x1b[2Jb\x1b[1Ac", "a [2Jb [1Ac"),
            ("\x1b[8mhidden\x1b[+1m", " [8mhidden [+1m"),
            ("\x1b]0;title\x07\r\u{9b}1A\x1b", " ]0;title   1A "),
        ] {
            assert_eq!(harmless(hostile), wanted);
        }
        assert_eq!(plain("a\n\x1b[1mb"), "a  [1mb");
    }
}
