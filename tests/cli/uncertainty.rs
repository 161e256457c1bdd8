//! How sure a perplexity and a difference are, and the losses of single documents.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::report::{Estimate, Report};
use serde_json::Value;

use crate::artifacts::{Artifact, Change};
use crate::{bitgauge, json, number, path, text};

/// Evaluates a demo on its first documents, and gives its report's file.
fn evaluated(changes: &[Change]) -> (Artifact, PathBuf) {
    let artifact = Artifact::demo(changes);
    let all: Vec<Value> = serde_json::from_str(include_str!("../../demo/documents.json")).expect("documents");
    let documents = artifact.beside("documents.json", &serde_json::to_vec(&all[..6]).expect("JSON"));
    let report = documents.with_file_name("report.json");
    let output = bitgauge(&[
        "eval",
        path(&artifact.path),
        "--documents",
        path(&documents),
        "--device",
        "cpu",
        "--max-tokens",
        "96",
        "--report",
        path(&report),
        "--per-document",
        path(&documents.with_file_name("each.csv")),
    ]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let human = text(&output.stdout);
    assert!(human.contains("95 % interval  ") && human.contains("over 6 documents"), "{human}");
    assert!(human.contains("Documents with the lowest and the highest perplexity"), "{human}");
    (artifact, report)
}

fn read(report: &Path) -> Report {
    Report::from_json(&fs::read_to_string(report).expect("a report")).expect("a report")
}

fn compare(a: &str, b: &str) -> Value {
    json(&bitgauge(&["--format", "json", "compare", a, b]))
}

fn width(difference: &Value) -> f64 {
    number(&difference["high"]) - number(&difference["low"])
}

#[test]
fn a_pair_is_compared_document_by_document() {
    let (_demo, a) = evaluated(&[]);
    // One byte of every layer's first signs.
    let (_changed, b) = evaluated(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let [left, right] = [&a, &b].map(|report| read(report).evaluation.expect("an evaluation"));
    let found = compare(path(&a), path(&b));
    let difference = &found["decision"]["difference"];
    let [alone_left, alone_right] = [&left, &right].map(|side| side.estimate().expect("six documents"));
    let unpaired = Estimate::unpaired(&alone_left, &alone_right);
    let [low, high] = unpaired.interval();
    assert!(width(difference) < 0.1 * (high - low), "{difference} {unpaired:?}");
    assert_eq!((difference["documents"].as_u64(), difference["band"].as_str()), (Some(6), Some("inside")));
    assert!((number(&difference["nats"]) - number(&found["decision"]["nats"])).abs() < 1e-12);
    // Losses in another order are of other documents, so the pairs are wrong and the interval is wide.
    let mut shuffled = read(&b);
    let evaluation = shuffled.evaluation.as_mut().expect("an evaluation");
    evaluation.documents.rotate_left(1);
    let wrong = a.with_file_name("wrong.json");
    fs::write(&wrong, shuffled.to_json()).expect("a file");
    assert!(width(&compare(path(&a), path(&wrong))["decision"]["difference"]) > 5.0 * width(difference));
    let human = text(&bitgauge(&["compare", path(&a), path(&b)]).stdout);
    assert!(human.contains("over 6 documents: inside 0.02 nats"), "{human}");

    // An interval in the report is that of its documents.
    let [low, high] = alone_left.perplexities();
    assert_eq!((left.heldout_ppl_low, left.heldout_ppl_high), (Some(low), Some(high)));
    assert!(low < left.heldout_ppl && left.heldout_ppl < high);
}

#[test]
fn the_loss_of_every_document_goes_to_a_file() {
    let (artifact, report) = evaluated(&[]);
    let evaluation = read(&report).evaluation.expect("an evaluation");
    let csv = fs::read_to_string(report.with_file_name("each.csv")).expect("a table");
    let mut lines = csv.lines();
    assert_eq!(lines.next(), Some("document,name,tokens,nats,nats_per_token,perplexity,begins"));
    for (number, (line, loss)) in lines.zip(&evaluation.documents).enumerate() {
        let wanted = format!("[{number}]\",{},{},{}", loss.tokens, loss.nats, loss.nats / loss.tokens as f64);
        assert!(line.starts_with(&format!("{number},\"")) && line.contains(&wanted), "{line}: {wanted}");
    }
    assert_eq!(csv.lines().count(), 1 + evaluation.documents.len());
    let documents = report.with_file_name("documents.json");
    let eval = |file: &str| {
        let artifact = path(&artifact.path);
        let own = ["eval", artifact, "--documents", path(&documents), "--device", "cpu", "--max-tokens", "8"];
        bitgauge(&[&own[..], &["--per-document", path(&report.with_file_name(file))]].concat())
    };
    assert_eq!(eval("each.jsonl").status.code(), Some(0));
    let rows = fs::read_to_string(report.with_file_name("each.jsonl")).expect("rows");
    let rows: Vec<Value> = rows.lines().map(|row| serde_json::from_str(row).expect("JSON")).collect();
    assert_eq!((rows.len(), rows[5]["document"].as_u64(), rows[5]["tokens"].as_u64()), (6, Some(5), Some(7)));
    for (file, words) in
        [("each.txt", "a name that ends in .csv or .jsonl"), ("documents.json", "documents.json")]
    {
        let refused = eval(file);
        assert_eq!(refused.status.code(), Some(2), "{file}");
        assert!(text(&refused.stderr).contains(words), "{}", text(&refused.stderr));
    }
}

#[test]
fn links_carry_what_ranks() {
    let (demo, a) = evaluated(&[]);
    let (_changed, b) = evaluated(&[Change::Invert("layers.3.mlp.down_proj.weight.sign", 1000)]);
    let link = |report: &Path| {
        let shown = bitgauge(&[
            "--format",
            "quiet",
            "show",
            path(report),
            "--share",
            "https://example.org/inspector/",
        ]);
        let stderr = text(&shown.stderr);
        stderr.lines().next().expect("a link").to_owned()
    };
    let links = [link(&a), link(&b)];
    assert!(
        links.iter().all(|link| link.len() <= 1_900 + "https://example.org/inspector/#".len()),
        "{links:?}"
    );
    let (by_report, by_link) = (compare(path(&a), path(&b)), compare(&links[0], &links[1]));
    for figure in ["winner", "reason", "nats", "smaller", "bytes"] {
        assert_eq!(by_link["decision"][figure], by_report["decision"][figure], "{figure}");
    }
    // Without the documents it is less sure.
    assert!(width(&by_link["decision"]["difference"]) > 5.0 * width(&by_report["decision"]["difference"]));
    let shown = json(&bitgauge(&["--format", "json", "show", &links[0]]));
    let whole: Value = serde_json::from_slice(&fs::read(&a).expect("a report")).expect("JSON");
    for figure in ["heldout_ppl", "scored_tokens", "documents_sha256", "device", "precision", "max_tokens"] {
        assert_eq!(shown["evaluation"][figure], whole["evaluation"][figure], "{figure}");
    }
    assert_eq!(shown["artifact"]["sha256"], whole["artifact"]["sha256"]);
    for figure in ["heldout_ppl_low", "heldout_ppl_high", "standard_error_nats"] {
        let [short, long] = [&shown, &whole].map(|report| number(&report["evaluation"][figure]));
        assert!((short / long - 1.0).abs() < 1e-6, "{figure}: {short} {long}");
    }

    let same = bitgauge(&["compare", path(&a), &links[0]]);
    assert!(text(&same.stdout).starts_with("A and B are the same artifact"), "{}", text(&same.stdout));
    assert_eq!((&by_link["same_artifact"], &by_report["same_artifact"]), (&false.into(), &false.into()));
    let eval = bitgauge(&[
        "eval",
        path(&demo.path),
        "--device",
        "cpu",
        "--max-tokens",
        "8",
        "--share",
        "https://example.org/",
    ]);
    let stdout = text(&eval.stdout);
    let shared = stdout.lines().last().and_then(|line| line.strip_prefix("share  "));
    let other_length = bitgauge(&["compare", path(&a), shared.expect("a link on the last line")]);
    let words = "undecided: the perplexities are of different documents";
    assert!(text(&other_length.stdout).contains(words), "{}", text(&other_length.stdout));
}

#[test]
fn reports_that_differ_in_length_alone_say_so() {
    let artifact = Artifact::demo(&[]);
    let evaluated = |tokens: &str| {
        let report = artifact.beside(&format!("{tokens}.json"), b"");
        let own = ["eval", path(&artifact.path), "--device", "cpu", "--max-tokens", tokens];
        let output = bitgauge(&[&own[..], &["--report", path(&report)]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        report
    };
    let human = bitgauge(&["compare", path(&evaluated("8")), path(&evaluated("9"))]);
    let human = text(&human.stdout);
    assert!(human.contains("undecided: the documents were cut differently: at 8 and 9 tokens"), "{human}");
}
