//! The threads of the process.

use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, Scope, ScopedJoinHandle};

use bitgauge_core::{Error, ErrorKind};
use bitgauge_eval::memory::ask;
use bitgauge_eval::{BackendError, CpuBackend};
use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// Most threads that share the work on a CPU.
pub const MAX_THREADS: usize = 1024;
/// Address space of a thread: 2 MiB of stack, and what guards it.
const THREAD_BYTES: usize = (2 << 20) + (128 << 10);
/// What their first requests for memory take.
const SPARE_BYTES: usize = 4 << 20;

/// Starts the threads of the whole process, one for each core, unless they are started.
///
/// # Errors
/// The system has no room for them.
pub fn start_threads() -> Result<(), BackendError> {
    static ARE_STARTED: Mutex<bool> = Mutex::new(false);
    let mut are_started = ARE_STARTED.lock().unwrap_or_else(PoisonError::into_inner);
    if *are_started {
        return Ok(());
    }
    expect_room(cores())?;
    match ThreadPoolBuilder::new().num_threads(cores()).build_global() {
        Err(error) if is_refused(&error) => return Err(not_started(cores(), &error)),
        // The other error is that somebody else has started them.
        _ => *are_started = true,
    }
    Ok(())
}

/// The CPU with `threads` threads of its own, or with those of the whole process.
///
/// # Errors
/// The system has no room for so many threads.
pub fn open_cpu(threads: Option<usize>) -> Result<CpuBackend, BackendError> {
    let pool = match threads {
        Some(threads) => Some(own_threads(threads)?),
        None => start_threads().map(|()| None)?,
    };
    Ok(CpuBackend::new(pool))
}

/// So many threads of their own.
///
/// # Errors
/// The system has no room for them.
fn own_threads(threads: usize) -> Result<ThreadPool, BackendError> {
    let threads = threads.min(MAX_THREADS);
    expect_room(threads)?;
    ThreadPoolBuilder::new().num_threads(threads).build().map_err(|error| not_started(threads, &error))
}

/// Starts a thread of a scope.
///
/// # Errors
/// The system has no room for it.
pub fn spawn_scoped<'scope, T: Send + 'scope>(
    scope: &'scope Scope<'scope, '_>,
    work: impl FnOnce() -> T + Send + 'scope,
) -> Result<ScopedJoinHandle<'scope, T>, BackendError> {
    expect_room(1)?;
    Builder::new().spawn_scoped(scope, work).map_err(|error| not_started(1, &error))
}

/// Asks for the memory that threads start with, and gives it back. A thread that is started without enough for its
/// signal stack ends the process: Rust's library does not let that fail.
fn expect_room(threads: usize) -> Result<(), BackendError> {
    let room = ask(|| Vec::<u8>::new().try_reserve_exact(threads * THREAD_BYTES + SPARE_BYTES));
    room.map_err(|_| not_started(threads, &"there is not enough memory"))
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
    Error::new(ErrorKind::Unsupported, format!("the system can't start {threads}"))
        .expected_found(format!("room for {threads}"), error)
        .hint("--threads asks for fewer; ulimit -u and ulimit -v are limits")
        .into()
}
