//! Copied into the instrumented tree: which mutant is switched on.
//!
//! `MUTANT` is the number of the one mutant that is on. `MUTANT_TRACE` names a file that the number of
//! each mutant that was reached is appended to, once per process.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// More than there are mutants.
const MOST: usize = 8192;

/// None is on, and nothing is traced.
const IDLE: u32 = u32::MAX;
/// Whether one is on has not been asked for yet.
const UNKNOWN: u32 = u32::MAX - 1;
/// What is reached is traced.
const TRACING: u32 = u32::MAX - 2;

static ACTIVE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(UNKNOWN);
static TRACE: OnceLock<File> = OnceLock::new();
static REACHED: [AtomicBool; MOST] = [const { AtomicBool::new(false) }; MOST];

/// Whether mutant `number` is on.
#[inline]
pub fn on(number: u32) -> bool {
    pick(&[number]) == 1
}

/// The place in `numbers`, counted from 1, of the mutant that is on; 0 if none of them is.
#[inline]
pub fn pick(numbers: &[u32]) -> usize {
    let active = ACTIVE.load(Relaxed);
    if active == IDLE { 0 } else { look(active, numbers) }
}

#[cold]
fn look(active: u32, numbers: &[u32]) -> usize {
    let active = if active == UNKNOWN { start() } else { active };
    if active == TRACING {
        numbers.iter().for_each(|&number| trace(number));
        return 0;
    }
    numbers.iter().position(|&number| number == active).map_or(0, |place| place + 1)
}

/// Reads the environment.
fn start() -> u32 {
    let number = |text: String| text.parse().expect("MUTANT is a number");
    let mut active = std::env::var("MUTANT").map_or(IDLE, number);
    if let Ok(path) = std::env::var("MUTANT_TRACE") {
        let file = OpenOptions::new().create(true).append(true).open(path).expect("the trace opens");
        TRACE.get_or_init(|| file);
        active = TRACING;
    }
    ACTIVE.store(active, Relaxed);
    active
}

fn trace(number: u32) {
    if !REACHED[number as usize].swap(true, Relaxed) {
        let mut file = TRACE.get().expect("the trace is open");
        file.write_all(format!("{number}\n").as_bytes()).expect("the trace takes a line");
    }
}
