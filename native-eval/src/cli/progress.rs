//! Progress bars on stderr, shown only when it is a terminal. A bar appears with the first thing that is done, and nothing
//! of it is left when it ends.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bitgauge_core::report::words;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::bars;
use super::print::{Verbosity, detail, says};

/// What a bar counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Bytes,
    Steps,
}

/// How far one part of a command's work is.
pub struct Bar {
    what: &'static str,
    unit: Unit,
    total: AtomicU64,
    bar: OnceLock<ProgressBar>,
    is_finished: AtomicBool,
}

/// A bar over `total` bytes with rate and remaining time.
pub fn bytes(what: &'static str, total: u64) -> Bar {
    Bar::new(what, Unit::Bytes, total)
}

/// A bar over steps with the remaining time.
pub fn steps(what: &'static str) -> Bar {
    Bar::new(what, Unit::Steps, 0)
}

impl Bar {
    fn new(what: &'static str, unit: Unit, total: u64) -> Self {
        Self {
            what,
            unit,
            total: AtomicU64::new(total),
            bar: OnceLock::new(),
            is_finished: AtomicBool::new(false),
        }
    }

    /// So much more of all is done.
    pub fn add(&self, done: u64) {
        if let Some(bar) = self.shown() {
            bar.inc(done);
        }
    }

    /// So much of so much is done.
    pub fn set(&self, done: u64, total: u64) {
        self.set_total(total);
        if let Some(bar) = self.shown() {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    /// There is so much to do.
    pub fn set_total(&self, total: u64) {
        self.total.store(total, Ordering::Relaxed);
    }

    /// What stands before the bar.
    pub fn say(&self, words: String) {
        if let Some(bar) = self.shown() {
            bar.set_message(words);
        }
    }

    /// Takes it off the terminal for good; says how long it took where that is wanted.
    pub fn finish(&self) {
        if self.is_finished.swap(true, Ordering::AcqRel) {
            return;
        }
        let Some(bar) = self.bar.get() else { return };
        let (done, seconds) = (bar.position(), bar.elapsed().as_secs_f64());
        bar.finish_and_clear();
        if says(Verbosity::Normal) {
            bars::remove(bar);
        }
        match self.unit {
            Unit::Bytes => detail!("{}: {} in {seconds:.2} s", self.what, words::bytes(done)),
            Unit::Steps => detail!("{}: {seconds:.2} s", self.what),
        }
    }

    /// The bar, from the first call on until it is finished; nothing while there is nothing to do.
    fn shown(&self) -> Option<&ProgressBar> {
        let total = self.total.load(Ordering::Relaxed);
        if total == 0 || self.is_finished.load(Ordering::Acquire) {
            return None;
        }
        Some(self.bar.get_or_init(|| self.new_bar(total)))
    }

    fn new_bar(&self, total: u64) -> ProgressBar {
        let template = match self.unit {
            Unit::Bytes => {
                "{msg:11} {wide_bar} {decimal_bytes:>9} of {decimal_total_bytes:9} {decimal_bytes_per_sec:>12}, {eta} left"
            }
            Unit::Steps => "{msg:11} {wide_bar} {percent:>3} %, {eta} left",
        };
        // Nothing is drawn before it is among all bars: they would not know of that, and leave it behind.
        let bar =
            ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::hidden()).with_message(self.what);
        let bar = match ProgressStyle::with_template(template) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        };
        if says(Verbosity::Normal) { bars::add(bar) } else { bar }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.finish();
    }
}
