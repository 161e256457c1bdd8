//! The command `bitgauge`. All that happens here is parsing the arguments and setting the exit
//! status; see `cli`.

#![deny(clippy::print_stdout, clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
