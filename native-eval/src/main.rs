//! The command `bitgauge`. All that happens here is parsing the arguments and setting the exit
//! status; see `cli`.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::main()
}
