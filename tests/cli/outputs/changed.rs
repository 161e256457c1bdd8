//! Artifacts that change while they are read: an error that says so, never a figure of a mixture.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use super::super::artifacts::Artifact;
use super::super::distributed::{Setting, figures};
use super::super::json;
use super::{path, text};

/// Bytes of a file that takes a while to read: a hole.
const LARGE_BYTES: u64 = 1 << 30;

/// The demo as a folder with a large file, which is read last.
struct Large {
    artifact: Artifact,
    large: PathBuf,
}

impl Large {
    fn new() -> Self {
        let artifact = Artifact::demo_folder(&[]);
        let large = artifact.path.join("zeros.bin");
        File::create(&large).and_then(|file| file.set_len(LARGE_BYTES)).expect("a file");
        Self { artifact, large }
    }

    /// Runs a command on it, and does something while the large file is being read.
    fn changed_while(&self, arguments: &[&str], change: impl Fn(&Self)) -> Output {
        let child = Command::new(env!("CARGO_BIN_EXE_bitgauge"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("bitgauge starts");
        self.wait_until_read(&child);
        change(self);
        child.wait_with_output().expect("it ends")
    }

    /// Waits until the process has the large file open.
    fn wait_until_read(&self, child: &Child) {
        let descriptors = PathBuf::from(format!("/proc/{}/fd", child.id()));
        let large = self.large.canonicalize().expect("the file");
        let is_large = |descriptor: &Path| fs::read_link(descriptor).is_ok_and(|file| file == large);
        for _ in 0..600_000 {
            let open = fs::read_dir(&descriptors).into_iter().flatten().flatten();
            if open.map(|entry| entry.path()).any(|descriptor| is_large(&descriptor)) {
                return;
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        panic!("the file was not opened within a minute");
    }

    fn expect_told(&self, arguments: &[&str], what: &str, change: impl Fn(&Self)) {
        let output = self.changed_while(arguments, change);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{what}: {stderr}");
        assert!(output.stdout.is_empty() && stderr.contains(what), "{what}: {stderr}");
    }
}

/// Flips a bit of a sign of the weights.
fn flip(artifact: &Path) {
    let weights = artifact.join("model.safetensors");
    let file = File::options().read(true).write(true).open(weights).expect("the weights");
    let (at, mut byte) = (file.metadata().expect("the weights").len() / 2, [0]);
    file.read_exact_at(&mut byte, at).expect("a byte");
    file.write_all_at(&[byte[0] ^ 1], at).expect("a byte");
}

#[test]
fn an_artifact_that_changes_while_it_is_read_gives_no_figure() {
    let changed = "the artifact changed while it was read";
    for command in ["inspect", "eval"] {
        let large = Large::new();
        let documents = large.artifact.beside("documents.json", b"[\"a text to score\"]");
        let artifact = path(&large.artifact.path);
        let eval = ["eval", artifact, "--documents", path(&documents), "--device", "cpu"];
        let arguments = if command == "eval" { &eval[..] } else { &["inspect", artifact] };
        large.expect_told(arguments, "became shorter", |large| {
            File::options().write(true).open(&large.large).and_then(|file| file.set_len(10)).expect("a file");
        });
        File::options()
            .write(true)
            .open(&large.large)
            .and_then(|file| file.set_len(LARGE_BYTES))
            .expect("a file");
        // What was read already is written to, replaced, and removed.
        large.expect_told(arguments, changed, |large| flip(&large.artifact.path));
        large.expect_told(arguments, changed, |large| {
            let (weights, new) =
                (large.artifact.path.join("model.safetensors"), large.artifact.path.with_extension("new"));
            fs::copy(&weights, &new).and_then(|_| fs::rename(&new, &weights)).expect("a file");
        });
        large.expect_told(arguments, changed, |large| {
            fs::remove_file(large.artifact.path.join("modeling_bitpack.py")).expect("a file");
        });
    }
}

/// The weights are loaded after the pass that hashes them.
#[test]
fn weights_that_change_before_they_are_loaded_leave_no_loss() {
    for try_number in 0..8 {
        let setting = Setting::new(&[]);
        let expected = figures(&json(&setting.on_cpu(&[])));
        let file = setting.file("losses.jsonl");
        let mut child = Command::new(env!("CARGO_BIN_EXE_bitgauge"));
        let own = [
            "--format",
            "json",
            "eval",
            path(&setting.artifact.path),
            "--documents",
            path(&setting.documents),
        ];
        let child = child.args(own).args(["--device", "cpu", "--resume", path(&file)]);
        let child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("bitgauge starts");
        // The file is begun when the artifact is inspected. It may be loaded by now, or not.
        while fs::metadata(&file).map_or(0, |metadata| metadata.len()) == 0 {
            std::thread::sleep(Duration::from_micros(100));
        }
        let bytes = fs::read(&setting.artifact.path).expect("the artifact");
        let mut flipped = bytes.clone();
        flipped[bytes.len() / 2..][..1000].iter_mut().for_each(|byte| *byte ^= 0xff);
        fs::write(&setting.artifact.path, flipped).expect("the artifact");
        let output = child.wait_with_output().expect("it ends");
        fs::write(&setting.artifact.path, bytes).expect("the artifact");
        if output.status.code() == Some(0) {
            assert_eq!(figures(&json(&output)), expected, "{try_number}: it was loaded before");
        } else {
            assert!(text(&output.stderr).contains("changed while it was read"), "{}", text(&output.stderr));
            assert!(output.stdout.is_empty());
        }
        // Nothing that the wrong weights gave is in the file.
        assert_eq!(figures(&json(&setting.on_cpu(&["--resume", path(&file)]))), expected, "{try_number}");
    }
}
