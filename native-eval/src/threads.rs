//! The threads of the process.

use std::io;

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

use crate::backend::BackendError;

/// Most threads that share the work on a CPU.
pub const MAX_THREADS: usize = 1024;

/// Starts the threads of the whole process, one for each core, unless they are started.
///
/// # Errors
/// The system has no room for them.
pub fn start_threads() -> Result<(), BackendError> {
    let built = ThreadPoolBuilder::new().num_threads(cores()).build_global();
    match built {
        Err(error) if is_refused(&error) => Err(not_started(cores(), &error)),
        // The other error is that they are started already.
        _ => Ok(()),
    }
}

/// So many threads of their own.
///
/// # Errors
/// The system has no room for them.
pub(crate) fn own_threads(threads: usize) -> Result<ThreadPool, BackendError> {
    let threads = threads.min(MAX_THREADS);
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| not_started(threads, &error))
}

/// The error for a thread that could not be started.
pub fn no_thread(error: &io::Error) -> BackendError {
    not_started(1, error)
}

/// Cores that this process may use, or what RAYON_NUM_THREADS says instead.
fn cores() -> usize {
    let named = std::env::var("RAYON_NUM_THREADS").ok().and_then(|number| number.parse().ok());
    let number = named.filter(|&number| number > 0);
    let available = || std::thread::available_parallelism().map_or(1, usize::from);
    number.unwrap_or_else(available).min(MAX_THREADS)
}

fn is_refused(error: &ThreadPoolBuildError) -> bool {
    std::error::Error::source(error).is_some()
}

fn not_started(threads: usize, error: &dyn std::fmt::Display) -> BackendError {
    let threads = if threads == 1 { "a thread".to_owned() } else { format!("{threads} threads") };
    BackendError(format!(
        "the system can't start {threads}\n  expected: room for {threads}\n  found:    {error}\n  \
         hint:     --threads asks for fewer; ulimit -u and ulimit -v are limits"
    ))
}
