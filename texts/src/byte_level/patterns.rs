//! How a text is cut into pieces before byte pairs are merged: the regular expressions of known tokenizers, by hand.

use bitgauge_core::{Error, ErrorKind, Result};

use super::categories::{is_letter, is_mark, is_number};

/// Longest run of white space, in characters: the tokenizers library gives up at a million.
const WHITE_COUNT: usize = 500_000;

/// One of the regular expressions.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    text: &'static str,
    words: Words,
    /// Whether endings count in any case.
    any_case: bool,
    /// Most digits of a number.
    digits: usize,
}

/// What a word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Words {
    /// Letters or numbers, either with a space before.
    Gpt2,
    /// Letters, and any one character before that is no letter, number or end of a line.
    Letters,
    /// The same of letters and marks.
    Marks,
}

/// GPT-2's, which the byte-level step has of its own.
pub(super) static GPT2: &Pattern = &PATTERNS[0];
pub(super) static PATTERNS: [Pattern; 4] = [
    Pattern {
        text: r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        words: Words::Gpt2,
        any_case: false,
        digits: usize::MAX,
    },
    Pattern {
        text: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        words: Words::Letters,
        any_case: true,
        digits: 1,
    },
    Pattern {
        text: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        words: Words::Marks,
        any_case: true,
        digits: 1,
    },
    Pattern {
        text: r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        words: Words::Letters,
        any_case: true,
        digits: 3,
    },
];

#[cfg(test)]
impl Pattern {
    /// The regular expression.
    pub fn text(&self) -> &'static str {
        self.text
    }

    /// The same, but for endings of small letters alone.
    pub fn small_endings(&self) -> Self {
        Self { any_case: false, ..self.clone() }
    }
}

impl Pattern {
    /// The pattern of this text, if it is one of those that are known.
    pub fn known(text: &str) -> Option<&'static Self> {
        PATTERNS.iter().find(|pattern| pattern.text == text)
    }

    /// Tells `piece` each piece of a text; together they are all of it.
    ///
    /// # Errors
    /// A run of white space of more than 500,000 characters; those of `piece`.
    pub fn split<'t>(&self, mut text: &'t str, mut piece: impl FnMut(&'t str) -> Result<()>) -> Result<()> {
        while let Some(first) = text.chars().next() {
            let (next, rest) = text.split_at(self.first(text, first)?);
            piece(next)?;
            text = rest;
        }
        Ok(())
    }

    /// Bytes of the first piece of a text, whose first character this is.
    fn first(&self, text: &str, first: char) -> Result<usize> {
        let is_gpt2 = self.words == Words::Gpt2;
        if let Some(ending) = ending(text, self.any_case) {
            return Ok(ending);
        }
        let after = &text[first.len_utf8()..];
        let second = after.chars().next();
        let spaced = if first == ' ' { after } else { text };
        let begin = spaced.chars().next();
        let found = |rest: &str, run: usize| text.len() - rest.len() + run;
        let is_word = |c: char| self.is_word(c);
        // Words: from the first character on, or after one of another kind.
        if is_word(first) {
            return Ok(run(text, is_word));
        }
        let is_before =
            if is_gpt2 { first == ' ' } else { !matches!(first, '\r' | '\n') && !is_number(first) };
        if is_before && second.is_some_and(is_word) {
            return Ok(found(after, run(after, is_word)));
        }
        // Numbers, GPT-2's with a space before.
        let number = if is_gpt2 { spaced } else { text };
        if number.chars().next().is_some_and(is_number) {
            let digits = number.chars().take(self.digits).take_while(|c| is_number(*c));
            return Ok(found(number, digits.map(char::len_utf8).sum()));
        }
        // Anything else that shows, with a space before and, but GPT-2's, with the ends of lines after it.
        let shows = |c: char| !c.is_whitespace() && !is_word(c) && !is_number(c);
        if begin.is_some_and(shows) {
            let end = found(spaced, run(spaced, shows));
            let lines = if is_gpt2 { 0 } else { run(&text[end..], |c| matches!(c, '\r' | '\n')) };
            return Ok(end + lines);
        }
        white(text, !is_gpt2)
    }

    fn is_word(&self, c: char) -> bool {
        is_letter(c) || (self.words == Words::Marks && is_mark(c))
    }
}

/// Bytes of the characters in front that are of a kind.
fn run(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

/// Bytes of an apostrophe and the ending after it, if a text begins so.
fn ending(text: &str, any_case: bool) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let lower = |c: char| match c {
        // The long s folds to s.
        '\u{17f}' if any_case => 's',
        c if any_case => c.to_ascii_lowercase(),
        c => c,
    };
    let mut chars = rest.chars();
    let first = chars.next()?;
    let second = match lower(first) {
        's' | 't' | 'm' | 'd' => return Some(1 + first.len_utf8()),
        'r' | 'v' => 'e',
        'l' => 'l',
        _ => return None,
    };
    chars.next().is_some_and(|c| lower(c) == second).then_some(3)
}

/// Bytes of the white space that a text begins with, as far as it is one piece: through the last end of a line where lines
/// count, else all but the last character, which goes with what follows.
fn white(text: &str, lines: bool) -> Result<usize> {
    let end = run(text, char::is_whitespace);
    let space = &text[..end];
    if space.len() > WHITE_COUNT && space.chars().count() > WHITE_COUNT {
        return Err(Error::new(ErrorKind::TooLarge, "a document can't be tokenized").expected_found(
            format!("at most {WHITE_COUNT} characters of white space in a row"),
            space.chars().count(),
        ));
    }
    if let (true, Some(last)) = (lines, space.rfind(['\r', '\n'])) {
        return Ok(last + 1);
    }
    if end == text.len() {
        return Ok(end);
    }
    let last = space.char_indices().next_back().map_or(0, |(last, _)| last);
    Ok(if last > 0 { last } else { end })
}
