//! Progress bars on stderr, shown only when it is a terminal.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

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

fn bar(what: &'static str, total: u64, template: &str) -> ProgressBar {
    // indicatif hides the bar by itself when stderr is no terminal.
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar.set_message(what);
    bar
}
