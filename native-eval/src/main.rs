//! The command `bitgauge`. All that happens here is parsing the arguments and setting the exit
//! status; see `cli`.

#![cfg_attr(not(test), deny(clippy::print_stdout, clippy::print_stderr))]

mod cli;

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: native_eval::EndingAllocator = native_eval::EndingAllocator;

fn main() -> ExitCode {
    quiet_drivers();
    native_eval::EndingAllocator::keep_reserve();
    cli::main()
}

/// Without a login session XDG_RUNTIME_DIR is not set, and a layer of Mesa's Vulkan drivers then prints an error at each
/// start, since it looks for a display there. In a folder that does not exist it finds none, without a word.
fn quiet_drivers() {
    if cfg!(target_os = "linux") && std::env::var_os("XDG_RUNTIME_DIR").is_none() {
        // SAFETY: this is the first that the process does, so no other thread reads or writes the environment.
        unsafe { std::env::set_var("XDG_RUNTIME_DIR", "/nonexistent") };
    }
}
