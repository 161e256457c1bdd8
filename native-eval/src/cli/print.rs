//! Printing: results to stdout, everything else to stderr. It never panics and never ends a command.
//!
//! A pipe whose reader has gone ends quietly: whoever reads only the first lines has what they wanted, and the
//! exit status is what it would have been. Anything else that keeps a result from being printed, such as a full
//! disk, is an error that [`finish`] reports, with exit status 2. Until then the command goes on, so that
//! the files it was asked for are written. Notes that can't be written to stderr are dropped.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anstream::stream::{AsLockedWrite, RawStream};
use anstream::{AutoStream, ColorChoice};
use bitgauge_core::{Error, ErrorKind as Fault};

use super::{Exit, text};

/// How long to wait before writing again to a stream that takes nothing now.
const PAUSE: Duration = Duration::from_millis(5);

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

/// Prints a line to stderr.
macro_rules! eprintln {
    ($($part:tt)*) => { $crate::cli::print::note(format_args!("{}\n", format_args!($($part)*))) };
}

pub(super) use {eprintln, print, println};

/// Prints a part of the result to stdout.
pub fn result(words: Arguments) {
    record("stdout", |words| write(io::stdout().lock(), words), words);
}

/// Prints a result to stderr, where stdout is for another one.
pub fn second_result(words: Arguments) {
    record("stderr", |words| write(io::stderr().lock(), words), words);
}

/// Prints a note to stderr.
pub fn note(words: Arguments) {
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
            note(format_args!("{}: {error}\n", text::error("error")));
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

/// Writes all of it, without its colours where the stream is for none.
fn write(stream: impl RawStream + AsLockedWrite, words: &str) -> io::Result<()> {
    match AutoStream::choice(&stream) {
        ColorChoice::Never => write_all(stream, anstream::adapter::strip_str(words).to_string().as_bytes()),
        choice => write_all(AutoStream::new(stream, choice), words.as_bytes()),
    }
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
    fn a_stream_that_takes_little_gets_all_in_the_end() {
        let mut slow = Slow::default();
        write_all(&mut slow, b"a line of words\n").unwrap();
        assert_eq!(slow.taken, b"a line of words\n");
        assert!(slow.calls > 10);
        let error = write_all(&mut [0_u8; 4][..], b"five!").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::WriteZero);
    }
}
