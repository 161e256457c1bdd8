//! The command `bitgauge`. All that happens here is parsing the arguments and setting the exit
//! status; see `cli`.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: native_eval::EndingAllocator = native_eval::EndingAllocator;

fn main() -> ExitCode {
    native_eval::EndingAllocator::keep_reserve();
    cli::main()
}
