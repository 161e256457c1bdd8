//! Progress bars on stderr, shown only when it is a terminal.

use std::sync::LazyLock;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// All bars.
static BARS: LazyLock<MultiProgress> =
    // indicatif hides the bars by itself when stderr is not a terminal.
    LazyLock::new(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));

/// A bar over `total` bytes with rate and remaining time.
pub fn bytes(what: &'static str, total: u64) -> ProgressBar {
    bar(
        what,
        total,
        "{msg:11} {wide_bar} {decimal_bytes:>9} of {decimal_total_bytes:9} {decimal_bytes_per_sec:>12}, {eta} left",
    )
}

/// A bar over `total` steps with the remaining time.
pub fn steps(what: &'static str, total: u64) -> ProgressBar {
    bar(what, total, "{msg:11} {wide_bar} {percent:>3} %, {eta} left")
}

/// Takes all bars off the terminal for good.
pub fn hide() {
    // A terminal that has gone needs no cleaning.
    let _ = BARS.clear();
    BARS.set_draw_target(ProgressDrawTarget::hidden());
}

fn bar(what: &'static str, total: u64, template: &str) -> ProgressBar {
    let bar = BARS.add(ProgressBar::new(total));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
