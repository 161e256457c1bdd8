//! Ctrl-C and SIGTERM: says what is kept and how to go on, leaves the terminal clean, and ends the process by the
//! signal, so that a shell sees status 130 or 143. A second one ends it at once.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::{flag, low_level};

use super::bars;
use super::print::eprintln;

/// How often the watching thread looks for a signal. On Windows there is nothing to wait for one with.
const INTERVAL: Duration = Duration::from_millis(50);
/// The watching thread does little.
const STACK_BYTES: usize = 256 << 10;
/// What a shell adds to the number of the signal that ended a process.
const SIGNAL_STATUS: i32 = 128;

/// What is kept of the work so far, if it is known.
static KEPT: Mutex<Option<String>> = Mutex::new(None);

/// What to say is kept of the work so far. An interrupt waits while it is locked, for a write to be whole.
pub fn kept() -> MutexGuard<'static, Option<String>> {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says what is kept of the work so far, and how to go on.
pub fn keep(words: impl Into<String>) {
    *kept() = Some(words.into());
}

/// Watches for signals from here on. Those that the parent has told this process to ignore are left alone.
pub fn watch() {
    let (caught, is_second) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&caught);
    let watching = thread::Builder::new().name("interrupt".to_owned()).stack_size(STACK_BYTES);
    let watching = watching.spawn(move || {
        loop {
            if let Ok(signal @ 1..) = i32::try_from(seen.load(Ordering::Relaxed)) {
                end(signal);
            }
            thread::sleep(INTERVAL);
        }
    });
    if watching.is_err() {
        // A signal ends the process without a word then.
        return;
    }
    for signal in [SIGINT, SIGTERM].into_iter().filter(|&signal| !is_ignored(signal)) {
        // In this order: from the first on no signal is lost, and the second does nothing unless the third was here before.
        // What the system refuses to watch for ends the process without a word.
        let _ = flag::register_usize(signal, Arc::clone(&caught), signal.unsigned_abs() as usize);
        let _ = flag::register_conditional_shutdown(signal, SIGNAL_STATUS + signal, Arc::clone(&is_second));
        let _ = flag::register(signal, Arc::clone(&is_second));
    }
}

fn end(signal: i32) -> ! {
    let kept = kept();
    bars::hide();
    match kept.as_deref() {
        Some(kept) => eprintln!("interrupted: {kept}"),
        None => eprintln!("interrupted"),
    }
    // The first process of a container is not ended by a signal that it sends itself, and Windows has no such thing.
    if cfg!(unix) && std::process::id() != 1 {
        let _ = low_level::emulate_default_handler(signal);
    }
    low_level::exit(SIGNAL_STATUS + signal)
}

/// Whether the parent has told this process to ignore a signal, as a shell does to what runs in the background. Known
/// on Linux only.
fn is_ignored(signal: i32) -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
