//! Every command with arguments that it does something with, in a folder that holds what they name.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::json;
use tempfile::TempDir;

use crate::loopback::{Page, Server};
use crate::{path, text};

/// The demo artifact.
pub const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/model.zip");
/// Its documents.
pub const DOCUMENTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../demo/documents.json");
/// A dense model that can be packed.
pub const DENSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/models/qwen3_tied");

/// A folder with what the commands read, and a coordinator.
pub struct Workplace(TempDir, Server);

/// A command line that ends well.
pub struct Line {
    /// The arguments without `--format`.
    pub arguments: Vec<String>,
    /// Those whose output is to be looked at.
    pub formats: &'static [&'static str],
    /// The exit status.
    pub status: i32,
}

/// Every format.
const ALL: &[&str] = &["human", "json", "quiet"];
/// Where the format changes nothing, or all are too slow.
const ONE: &[&str] = &["human"];

impl Workplace {
    /// Makes the folder.
    pub fn new() -> Self {
        let tasks = json!([{"id": "1", "slug": "qwen3-27b-binary-frontier"}]);
        let coordinator = Server::start(vec![Page::json("/api/v1/tasks", &tasks)]);
        let workplace = Self(tempfile::tempdir().expect("a folder"), coordinator);
        workplace.file("documents.json", br#"["A text of a few words.", "Another text."]"#);
        let words: Vec<String> = (0..495).map(|word| format!("w{word}")).collect();
        let corpus = json!({"math": vec![words.join(" "); 4]});
        workplace.file("corpus.json", corpus.to_string().as_bytes());
        let config = json!({
            "pack_name": "qwen3_27b_binary_frontier", "quant_mode": "binary",
            "secondary_metric_name": "compression_ratio", "quality_floor": 0.76, "allow_runtime_patch": false,
            "reference_model_id": "Qwen/Qwen3.6-27B", "reference_parameter_count": 27_000_000_000_u64,
            "native_bits_per_parameter": 1.0, "max_non_native_fraction": 0.1,
            "rescue_bits_per_parameter": 4.0, "ppl_resolution_nats": 0.02,
        });
        workplace.file("config.json", config.to_string().as_bytes());
        let report = workplace.run(&["--format", "json", "inspect", DEMO, "--headers-only"]);
        workplace.file("report.json", &report.stdout);
        let eval = workplace.run(&[
            "eval",
            DEMO,
            "--documents",
            "documents.json",
            "--device",
            "cpu",
            "--resume",
            "losses.jsonl",
            "--report",
            "evaluated.json",
        ]);
        assert_eq!(eval.status.code(), Some(0), "{}", text(&eval.stderr));
        workplace
    }

    /// Where it is.
    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// Writes a file.
    pub fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let file = self.folder().join(name);
        fs::write(&file, bytes).expect("a file");
        file
    }

    /// A command that begins in the folder, in an environment of its own.
    pub fn command(&self, program: &str) -> Command {
        let variables = [
            ("SUBMISSION_ARTIFACT_PATH", DEMO),
            ("HELDOUT_DATASET", "validator-private-shard"),
            ("PRIVATE_HELDOUT_MANIFEST", DOCUMENTS),
            ("HELDOUT_DOCUMENT_COUNT", "1"),
            ("EVAL_DEVICE", "cpu"),
            ("EVAL_MAX_TOKENS", "8"),
        ];
        let mut command = Command::new(program);
        command.current_dir(self.folder()).env("NO_COLOR", "1");
        command.envs(variables.map(|(name, value)| (format!("AUTORESEARCH_{name}"), value)));
        command
    }

    /// Runs bitgauge to its end.
    pub fn run(&self, arguments: &[&str]) -> Output {
        self.command(env!("CARGO_BIN_EXE_bitgauge")).args(arguments).output().expect("bitgauge starts")
    }

    /// Runs a line of the shell, in which `"$0"` is bitgauge and `"$@"` are the arguments, under a limit of time that
    /// ends a hang.
    pub fn shell(&self, line: &str, arguments: &[&str]) -> Output {
        let mut command = self.command("timeout");
        command.args(["--signal=KILL", "120", "bash", "-c", line, env!("CARGO_BIN_EXE_bitgauge")]);
        command.args(arguments).output().expect("a shell")
    }

    /// One line for every command, the demo, help and version; checked against the commands that the help lists.
    pub fn lines(&self) -> Vec<Line> {
        let eval = ["eval", DEMO, "--documents", "documents.json", "--device", "cpu"];
        let shard = ["--shard", "0/2", "--resume", "shard.jsonl"];
        let bench = ["bench", "--layers", "1", "--documents", "1", "--tokens", "4", "--device", "cpu"];
        let mut lines = vec![
            line(&["--version"], ONE, 0),
            line(&["--help"], ONE, 0),
            // Seconds of work.
            line(&[], ONE, 0),
            line(&["inspect", DEMO], ALL, 0),
            line(&["inspect", DEMO, "--weights", "--share", "https://example.org/"], ALL, 0),
            line(&eval, ALL, 0),
            line(&[&eval[..], &shard].concat(), ALL, 0),
            line(&["compare", DEMO, "report.json"], ALL, 3),
            line(&["show", "report.json"], ALL, 3),
            line(&["show", "evaluated.json", "--share", "https://example.org/"], ALL, 0),
            line(&["submission", "evaluated.json", "--uri", "https://example.org/m.zip"], ALL, 0),
            line(&["task", &self.1.address], ALL, 0),
            line(&["compare", "evaluated.json", "--best", &self.1.address], ALL, 0),
            line(&["benchmark", "--tokenizer", "artifact"], ALL, 0),
            line(&["proxy", "--config", "config.json", "--corpus", "corpus.json"], ALL, 0),
            line(&["merge", "losses.jsonl"], ALL, 0),
            line(&["pack", DENSE, "packed.zip", "--force", "--fit", "mean"], ALL, 0),
            line(&["pack", DENSE, "dry.zip", "--dry-run"], ALL, 0),
            line(&bench, ALL, 0),
            line(&[&["speed"], &bench[1..]].concat(), ONE, 0),
            line(&["inspect", DEMO, DENSE], ALL, 1),
            line(&[&eval[..], &["--no-verdict"]].concat(), ALL, 0),
            line(&["devices", DEMO], ALL, 0),
            line(&["bench", "--matmul", "2,32,128", "--device", "cpu"], ALL, 0),
            line(&["devices"], ALL, 0),
            // `quiet` prints nothing.
            line(&["prepare"], &["human", "json"], 0),
        ];
        let shells = ["bash", "elvish", "fish", "powershell", "zsh"];
        lines.extend(shells.map(|shell| line(&["completions", shell], ONE, 0)));
        let help = text(&self.run(&["--help"]).stdout);
        let listed = help.lines().skip_while(|line| !line.starts_with("Commands:")).skip(1);
        // What is further in goes on with the line before.
        let listed = listed.take_while(|line| !line.is_empty()).filter(|line| !line.starts_with("   "));
        let listed = listed.filter_map(|line| line.split_whitespace().next());
        let listed: Vec<&str> = listed.filter(|name| *name != "help").collect();
        assert!(listed.len() >= 12, "{help}");
        for name in listed {
            assert!(
                lines.iter().any(|line| line.arguments.first().is_some_and(|first| first == name)),
                "{name}"
            );
            lines.push(line(&[name, "--help"], ONE, 0));
        }
        lines
    }

    /// Gives `proxy` an environment of its own: its artifact and documents are others.
    pub fn prepare(&self, command: &mut Command, line: &Line) {
        if line.arguments.first().is_some_and(|name| name == "proxy") {
            command
                .env("AUTORESEARCH_SUBMISSION_ARTIFACT_PATH", "")
                .env("AUTORESEARCH_HELDOUT_DATASET", "math");
            command.env_remove("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST");
        }
    }
}

impl Line {
    /// The arguments for each format.
    pub fn with_formats(&self) -> Vec<Vec<&str>> {
        let with = |format: &&'static str| {
            ["--format", format].into_iter().chain(self.arguments.iter().map(String::as_str)).collect()
        };
        self.formats.iter().map(with).collect()
    }

    /// Whether it takes seconds: the demo.
    pub fn is_slow(&self) -> bool {
        self.arguments.is_empty()
    }
}

fn line(arguments: &[&str], formats: &'static [&'static str], status: i32) -> Line {
    Line { arguments: arguments.iter().map(|part| (*part).to_owned()).collect(), formats, status }
}

/// A file's path as an argument.
pub fn argument(file: &Path) -> &str {
    path(file)
}
