//! Examples that stand below the help of each command. Each line is at most 80 columns wide, and the test parses it.

/// Of the program.
pub const ALL: &str = "\
Examples:
  bitgauge                                     judge and evaluate a built-in model
  bitgauge inspect model.zip                   is it eligible?
  bitgauge eval model.zip --documents d.jsonl  how good is it?
  bitgauge pack Qwen3-0.6B out.zip --budget binary";

/// Of `inspect`.
pub const INSPECT: &str = "\
Examples:
  bitgauge inspect model.zip
  bitgauge inspect model.gguf --headers-only --weights
  bitgauge inspect a.zip b.tar model-folder
  bitgauge inspect model.zip --report report.json";

/// Of `eval`.
pub const EVAL: &str = "\
Examples:
  bitgauge eval model.zip --documents heldout.jsonl
  bitgauge eval Qwen3-0.6B --documents texts --no-verdict
  bitgauge eval model.zip --documents d.jsonl --window 2048
  bitgauge eval model.zip --documents d.jsonl --resume losses.jsonl
  bitgauge eval model.zip --documents d.jsonl --device all --report report.json";

/// Of `compare`.
pub const COMPARE: &str = "\
Examples:
  bitgauge compare a.json b.json
  bitgauge compare model.zip report.json
  bitgauge compare report.json --best https://coordinator.example";

/// Of `show`.
pub const SHOW: &str = "\
Examples:
  bitgauge show report.json
  bitgauge show report.json --share https://example.org/inspector/";

/// Of `submission`.
pub const SUBMISSION: &str = "\
Examples:
  bitgauge submission report.json --uri https://example.org/model.zip
  bitgauge submission report.json --uri https://example.org/model.zip --verify";

/// Of `task`.
pub const TASK: &str = "\
Examples:
  bitgauge task https://coordinator.example";

/// Of `benchmark`.
pub const BENCHMARK: &str = "\
Examples:
  AUTORESEARCH_SUBMISSION_ARTIFACT_PATH=model.zip bitgauge benchmark
  bitgauge benchmark --tokenizer artifact --device cpu";

/// Of `proxy`.
pub const PROXY: &str = "\
Examples:
  bitgauge proxy --corpus corpus.json";

/// Of `prepare`.
pub const PREPARE: &str = "\
Examples:
  bitgauge prepare
  bitgauge prepare --pack ternary --result limits.json";

/// Of `merge`.
pub const MERGE: &str = "\
Examples:
  bitgauge merge losses/0.jsonl losses/1.jsonl --report report.json";

/// Of `pack`.
pub const PACK: &str = "\
Examples:
  bitgauge pack Qwen3-0.6B out.zip --budget binary --dry-run
  bitgauge pack Qwen3-0.6B out.zip --budget binary
  bitgauge pack Qwen3-0.6B out.zip --budget binary --calibration texts.jsonl
  bitgauge pack Qwen3-0.6B out-folder --bases 2 --scale-group 0";

/// Of `speed`.
pub const SPEED: &str = "\
Examples:
  bitgauge speed
  bitgauge speed --shape qwen3-0.6b --layers 4 --device cpu --profile
  bitgauge speed --matmul 512,4096,4096";

/// Of `devices`.
pub const DEVICES: &str = "\
Examples:
  bitgauge devices
  bitgauge devices model.zip";

/// Of `completions`.
pub const COMPLETIONS: &str = "\
Examples:
  bitgauge completions bash > ~/.local/share/bash-completion/completions/bitgauge
  bitgauge completions fish > ~/.config/fish/completions/bitgauge.fish";

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, Parser};

    use crate::cli::args::Args;

    /// The arguments of each example in a help text: what comes after the program's name, up to a redirection or to
    /// the words that explain it.
    fn examples(help: &str) -> Vec<Vec<&str>> {
        let lines = help.lines().filter_map(|line| line.split_once("bitgauge"));
        let arguments = lines.map(|(_, line)| line.split(" > ").next().unwrap_or_default());
        let arguments = arguments.map(|line| match line.strip_prefix("  ") {
            Some(_) => "",
            None => line.split("  ").next().unwrap_or_default(),
        });
        arguments.map(|line| line.split_whitespace().collect()).collect()
    }

    #[test]
    fn every_command_has_examples_that_fit_and_parse() {
        let program = Args::command();
        let shown = program.get_subcommands().filter(|command| !command.is_hide_set());
        for command in shown.chain([&program]) {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let examples = examples(&help);
            assert!(!examples.is_empty(), "{name}");
            for line in help.lines() {
                assert!(line.chars().count() <= 80, "{name}: {line}");
            }
            for arguments in examples {
                let parsed = Args::try_parse_from(["bitgauge"].iter().chain(&arguments));
                assert!(parsed.is_ok(), "{name}: {arguments:?}: {}", parsed.err().unwrap());
            }
        }
        assert!(Args::try_parse_from(["bitgauge", "inspect"]).is_err());
    }
}
