//! The progress bars that are on the terminal, and room for what is written beside them.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget};

/// All bars.
static BARS: LazyLock<MultiProgress> =
    // indicatif hides the bars by itself when stderr is not a terminal.
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
/// How many there are.
static COUNT: AtomicUsize = AtomicUsize::new(0);

/// Puts a bar on the terminal.
pub fn add(bar: ProgressBar) -> ProgressBar {
    COUNT.fetch_add(1, Ordering::AcqRel);
    BARS.add(bar)
}

/// Takes one off that [`add`] gave.
pub fn remove(bar: &ProgressBar) {
    BARS.remove(bar);
    COUNT.fetch_sub(1, Ordering::AcqRel);
}

/// Writes something while no bar is on the terminal.
pub fn aside<T>(write: impl FnOnce() -> T) -> T {
    if COUNT.load(Ordering::Acquire) == 0 { write() } else { BARS.suspend(write) }
}

/// Takes all bars off the terminal for good.
pub fn hide() {
    // A terminal that has gone needs no cleaning.
    let _ = BARS.clear();
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}
