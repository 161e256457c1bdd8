//! Whole sessions in a terminal of 80 and of 120 columns: no line is broken by the terminal, no progress bar stays, and no
//! driver says a word. What the screens showed is left in the folder `sessions` of cargo's folder for tests.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use super::commands::{DEMO, DENSE, Workplace};
use super::screen::Screen;

/// What bars are drawn with.
const BAR: [char; 2] = ['█', '░'];

/// A command in a terminal of so many columns. Gives its exit status and all that it wrote.
fn in_terminal(workplace: &Workplace, columns: usize, arguments: &[&str]) -> (Option<i32>, String) {
    let quoted: Vec<String> = arguments.iter().map(|argument| format!("'{argument}'")).collect();
    let line =
        format!("stty cols {columns} rows 50; exec {} {}", env!("CARGO_BIN_EXE_bitgauge"), quoted.join(" "));
    let mut command = workplace.command("script");
    command.args(["--quiet", "--return", "--command", &line, "/dev/null"]);
    // As where nobody is logged in: that is where Mesa's layer complains.
    command.env_remove("XDG_RUNTIME_DIR").env_remove("NO_COLOR").env("TERM", "xterm");
    let output = command.stdin(Stdio::null()).output().expect("`script` of util-linux starts");
    (output.status.code(), crate::text(&output.stdout))
}

/// Runs a session at both widths; each screen must have these words. Gives what was written.
fn session(name: &str, arguments: &[&str], status: i32, words: &[&str]) -> Vec<String> {
    let workplace = Workplace::new();
    let run = |columns| {
        let (code, written) = in_terminal(&workplace, columns, arguments);
        let screen = Screen::after(columns, &written);
        keep(&format!("{name}.{columns}.txt"), &screen.text());
        let shown = screen.text();
        assert_eq!(code, Some(status), "{name}: {shown}");
        assert!(screen.broken.is_empty(), "{name} at {columns}: {:#?}", screen.broken);
        assert!(!shown.contains(BAR), "{name} at {columns} leaves a bar:\n{shown}");
        assert!(!shown.contains("XDG_RUNTIME_DIR"), "{name}: {shown}");
        for word in words {
            assert!(shown.contains(word), "{name} at {columns}: {word} is missing from\n{shown}");
        }
        written
    };
    [80, 120].map(run).to_vec()
}

/// Leaves a screen to be looked at.
fn keep(name: &str, text: &str) {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sessions");
    fs::create_dir_all(&folder).expect("a folder");
    fs::write(folder.join(name), text).expect("a file");
}

#[test]
fn the_demo_and_an_evaluation_show_bars_and_leave_none() {
    let written = session("demo", &[], 0, &["✓ eligible", "heldout_ppl", "tokens/s"]);
    assert!(written.iter().all(|written| written.contains(BAR)), "there were bars");
    let eval = ["eval", DEMO, "--documents", "documents.json", "-v"];
    let written = session("eval", &eval, 0, &["device: ", "inspecting: ", "heldout_ppl"]);
    assert!(written.iter().all(|written| written.contains(BAR)), "there were bars");
    let quiet = session("eval-quiet", &[&eval[..4], &["-q", "--no-verdict"]].concat(), 0, &["heldout_ppl"]);
    assert!(quiet.iter().all(|written| !written.contains(BAR) && !written.contains("eligible")));
}

#[test]
fn inspecting_fits_the_terminal() {
    session("inspect", &["inspect", DEMO], 0, &["✓ pass  size under the model's own budget", "21,713"]);
    session("weights", &["inspect", DEMO, "--weights"], 0, &["model.layers.0.mlp.down_proj.weight"]);
    session("failed", &["inspect", DENSE], 1, &["✗ FAIL", "rule:"]);
    let several = ["inspect", DEMO, DENSE, "missing.zip"];
    session("several", &several, 2, &["✓ eligible", "✗ not eligible", "error: "]);
}

#[test]
fn comparing_packing_and_devices_fit_the_terminal() {
    session("compare", &["compare", DEMO, "report.json"], 3, &["undecided", "Figures that differ"]);
    session(
        "pack",
        &["pack", DENSE, "packed.zip", "--force"],
        0,
        &["weights packed", "bitgauge inspect packed.zip"],
    );
    let dry = ["pack", DENSE, "dry.zip", "--dry-run"];
    session("dry-run", &dry, 0, &["nothing is written", "bits per parameter", "time", "about"]);
    session("devices", &["devices", DEMO], 0, &["cpu", "memory", "fits"]);
}
