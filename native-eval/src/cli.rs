//! The command line: arguments, the exit status, and one module per command.
//!
//! stdout carries only the result; progress, hints and errors go to stderr.

mod args;
mod bars;
mod bench;
mod benchmark;
mod compare;
mod contract;
mod demo;
mod device;
mod devices;
mod eval;
mod inspect;
mod interrupt;
mod merge;
mod output;
mod pack;
mod prepare;
mod print;
mod progress;
mod proxy;
mod show;
mod subject;
mod submission;
mod table;
mod task;
mod text;
mod version;

use std::process::ExitCode;

use bitgauge_core::report::Verdict;
use clap::Parser;

use args::{Args, Command, Format};
use print::{Verbosity, eprintln};

/// What the process tells its caller. The numbers are part of the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Exit {
    /// The artifact is eligible, or the command did what it was asked.
    Done = 0,
    /// The artifact was judged and is not eligible.
    NotEligible = 1,
    /// Wrong usage, an IO error or malformed input: nothing was judged.
    Fault = 2,
    /// No gate failed, but one could not run.
    Inconclusive = 3,
}

impl From<Verdict> for Exit {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Eligible => Self::Done,
            Verdict::NotEligible => Self::NotEligible,
            Verdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// A failure that ends a command, ready to be printed.
#[derive(Debug)]
struct Failure(String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.to_string())
    }
}

/// Parses the arguments, runs the command, reports its failure. Wrong usage exits with 2.
pub fn main() -> ExitCode {
    native_eval::outlive_file_limits();
    interrupt::watch();
    let exit = match Args::try_parse() {
        Ok(args) => run(args).unwrap_or_else(|Failure(message)| {
            eprintln!("{}: {message}", text::error("error"));
            Exit::Fault
        }),
        Err(unparsed) => args::print_unparsed(&unparsed),
    };
    ExitCode::from(print::finish(exit) as u8)
}

fn run(args: Args) -> Result<Exit, Failure> {
    let format = args.format;
    match (args.quiet, args.verbose) {
        (true, _) => print::set_verbosity(Verbosity::Quiet),
        (_, true) => print::set_verbosity(Verbosity::Verbose),
        _ => {}
    }
    if format == Format::Human && args.command.as_ref().is_none_or(Command::is_for_people) {
        print::break_lines();
    }
    match args.command {
        None => demo::run(format),
        Some(Command::Inspect(options)) => inspect::run(&options, format),
        Some(Command::Eval(options)) => eval::run(&options, format),
        Some(Command::Compare(options)) => compare::run(&options, format),
        Some(Command::Show(options)) => show::run(&options, format),
        Some(Command::Submission(options)) => submission::run(&options, format),
        Some(Command::Task(options)) => task::run(&options, format),
        Some(Command::Benchmark(options)) => benchmark::run(&options, format),
        Some(Command::Proxy(options)) => proxy::run(&options, format),
        Some(Command::Prepare(options)) => prepare::run(&options, format),
        Some(Command::Merge(options)) => merge::run(&options, format),
        Some(Command::Pack(options)) => pack::run(&options, format),
        Some(Command::Speed(options)) => bench::run(&options, format),
        Some(Command::Devices { artifact }) => devices::run(artifact.as_deref(), format),
        Some(Command::Completions { shell }) => {
            args::print_completions(shell);
            Ok(Exit::Done)
        }
        Some(Command::Man { folder }) => {
            args::write_manual(&folder)?;
            Ok(Exit::Done)
        }
    }
}
