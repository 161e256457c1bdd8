//! Printing: results to stdout, everything else to stderr. It never panics and never ends a command.
//!
//! A pipe whose reader has gone ends quietly: whoever reads only the first lines has what they wanted, and the
//! exit status is what it would have been. Anything else that keeps a result from being printed, such as a full
//! disk, is an error that [`finish`] reports, with exit status 2. Until then the command goes on, so that
//! the files it was asked for are written. Notes that can't be written to stderr are dropped.
//!
//! On a terminal, lines of words that are longer than a line break between words ([`wrap`]).

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};
use bitgauge_core::{Error, ErrorKind as Fault};

use super::{Exit, bars, text};

/// How long to wait before writing again to a stream that takes nothing now.
const PAUSE: Duration = Duration::from_millis(5);

/// Columns of what is no terminal.
const DEFAULT_COLUMNS: usize = 80;
/// Fewest columns that lines are broken for.
const LEAST_COLUMNS: usize = 40;
/// Spaces before what a broken line goes on with, beyond those before the line.
const HANGING_INDENT: usize = 4;

/// How much is said on stderr.
static VERBOSITY: AtomicU8 = AtomicU8::new(Verbosity::Normal as u8);
/// Whether long lines are broken between words on a terminal.
static BREAKS_LINES: AtomicBool = AtomicBool::new(false);
/// The first failure to print a result, and the stream.
static FAILURE: Mutex<Option<(&str, io::Error)>> = Mutex::new(None);

/// Prints to stdout, as the macro of the standard library does, but without a panic.
macro_rules! print {
    ($($part:tt)*) => { $crate::cli::print::result(format_args!($($part)*)) };
}

/// Prints a line to stdout.
macro_rules! println {
    () => { $crate::cli::print::result(format_args!("\n")) };
    ($($part:tt)*) => { $crate::cli::print::result(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints a line to stderr: errors and warnings.
macro_rules! eprintln {
    ($($part:tt)*) => { $crate::cli::print::to_stderr(format_args!("{}\n", format_args!($($part)*))) };
}

/// Prints a line beside the result to stderr, unless `--quiet` is given.
macro_rules! note {
    ($($part:tt)*) => {
        $crate::cli::print::aside($crate::cli::print::Verbosity::Normal, format_args!($($part)*))
    };
}

/// Prints a line to stderr if `--verbose` is given.
macro_rules! detail {
    ($($part:tt)*) => {
        $crate::cli::print::aside($crate::cli::print::Verbosity::Verbose, format_args!($($part)*))
    };
}

pub(super) use {detail, eprintln, note, print, println};

/// How much is said on stderr.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verbosity {
    /// Errors and warnings.
    Quiet,
    /// Notes and progress, too.
    Normal,
    /// What is done, on what, and how long it takes, too.
    Verbose,
}

/// Sets how much is said on stderr from here on.
pub fn set_verbosity(verbosity: Verbosity) {
    VERBOSITY.store(verbosity as u8, Ordering::Relaxed);
}

/// Whether this much is to be said on stderr.
pub fn says(verbosity: Verbosity) -> bool {
    verbosity as u8 <= VERBOSITY.load(Ordering::Relaxed)
}

/// From here on, lines that are too long for the terminal break between words.
pub fn break_lines() {
    BREAKS_LINES.store(true, Ordering::Relaxed);
}

/// Columns of the terminal that results are printed on, or what is usual.
pub fn columns() -> usize {
    let size = terminal_size::terminal_size_of(io::stdout());
    size.map_or(DEFAULT_COLUMNS, |(width, _)| usize::from(width.0).max(LEAST_COLUMNS))
}

/// Prints a line beside the result to stderr, where so much is said.
pub fn aside(verbosity: Verbosity, words: Arguments) {
    if says(verbosity) {
        to_stderr(format_args!("{}\n", text::faint(&words.to_string())));
    }
}

/// Prints a part of the result to stdout.
pub fn result(words: Arguments) {
    record("stdout", |words| write(io::stdout().lock(), words), words);
}

/// Prints a result to stderr, where stdout is for another one.
pub fn second_result(words: Arguments) {
    record("stderr", |words| write(io::stderr().lock(), words), words);
}

/// Prints to stderr.
pub fn to_stderr(words: Arguments) {
    // There is no third place to say that it failed.
    let _ = write(io::stderr().lock(), &words.to_string());
}

/// The exit status of a command that would end with `exit`; says what could not be printed.
pub fn finish(exit: Exit) -> Exit {
    record("stdout", |_| retry(|| io::stdout().flush()), format_args!(""));
    let failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failure {
        Some((stream, error)) if error.kind() != ErrorKind::BrokenPipe => {
            let error = Error::new(Fault::Io, "the result can't be printed")
                .within(stream)
                .expected_found("room for all of it", error);
            to_stderr(format_args!("{}: {error}\n", text::error("error")));
            Exit::Fault
        }
        _ => exit,
    }
}

/// Writes unless writing failed before; keeps the first failure.
fn record(stream: &'static str, write: impl FnOnce(&str) -> io::Result<()>, words: Arguments) {
    let mut failure = FAILURE.lock().unwrap_or_else(PoisonError::into_inner);
    if failure.is_none() {
        *failure = write(&words.to_string()).err().map(|error| (stream, error));
    }
}

/// Writes all of it, without its colours where the stream is for none. Progress bars make room for it.
fn write(stream: impl RawStream + AsLockedWrite, words: &str) -> io::Result<()> {
    let breaks = BREAKS_LINES.load(Ordering::Relaxed) && stream.is_terminal();
    // A file gets every byte.
    let words = if stream.is_terminal() { text::harmless(words) } else { words.to_owned() };
    let words = if breaks { wrap(&words, columns()) } else { words };
    bars::aside(|| match AutoStream::choice(&stream) {
        ColorChoice::Never => write_all(stream, anstream::adapter::strip_str(&words).to_string().as_bytes()),
        choice => write_all(AutoStream::new(stream, choice), words.as_bytes()),
    })
}

/// Breaks lines that are longer than `columns` between words; what a line goes on with is indented. A word that is
/// longer stays whole.
fn wrap(words: &str, columns: usize) -> String {
    words.split_inclusive('\n').map(|line| wrap_line(line, columns)).collect()
}

fn wrap_line(line: &str, columns: usize) -> String {
    if text::columns(line.trim_end()) <= columns {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start_matches(' ').len() + HANGING_INDENT;
    let mut wrapped = String::with_capacity(line.len());
    let mut column = 0;
    for word in line.split_inclusive(' ') {
        let width = text::columns(word.trim_end());
        // Not before the first word: that would leave an empty line.
        if column + width > columns && column > indent {
            wrapped.truncate(wrapped.trim_end_matches(' ').len());
            wrapped.push('\n');
            wrapped.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
        wrapped += word;
        column += text::columns(word);
    }
    wrapped
}

/// Like `Write::write_all`, and waits for a pipe or terminal that was set not to block by another process.
fn write_all(mut stream: impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match retry(|| stream.write(bytes))? {
            0 => return Err(ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

fn retry<T>(mut write: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match write() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::thread::sleep(PAUSE),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes three bytes at a time, and every other time none.
    #[derive(Default)]
    struct Slow {
        taken: Vec<u8>,
        calls: usize,
    }

    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.calls += 1;
            match self.calls % 3 {
                0 => Err(ErrorKind::WouldBlock.into()),
                1 => Err(ErrorKind::Interrupted.into()),
                _ => self.taken.write(&bytes[..bytes.len().min(3)]),
            }
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn long_lines_break_between_words_and_escapes_take_no_room() {
        let line = "  rule: one two three\n";
        assert_eq!(wrap(line, 80), line);
        assert_eq!(wrap(line, 14), "  rule: one\n      two\n      three\n");
        assert_eq!(wrap("\u{1b}[2mnote: abc\u{1b}[0m\n", 9), "\u{1b}[2mnote: abc\u{1b}[0m\n");
        assert_eq!(wrap("link https://example.org/abc\n", 12), "link\n    https://example.org/abc\n");
        assert_eq!(wrap("https://example.org/abc\n", 12), "https://example.org/abc\n");
    }

    #[test]
    fn a_stream_that_takes_little_gets_all_in_the_end() {
        let mut slow = Slow::default();
        write_all(&mut slow, b"a line of words\n").unwrap();
        assert_eq!(slow.taken, b"a line of words\n");
        assert!(slow.calls > 10);
        let error = write_all(&mut [0_u8; 4][..], b"five!").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
}
