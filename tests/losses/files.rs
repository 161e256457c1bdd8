//! What a file of losses must say to be continued, and to be merged.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::report::Report;
use bitgauge_core::{Error, ErrorKind};
use bitgauge_eval::{EvaluateOptions, Finished, Tally};
use native_eval::{LossFile, Resumed, Run, Shard, merge};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Lengths of the documents: 1 has nothing to score.
const LENGTHS: [usize; 6] = [5, 1, 3, 4, 2, 8];

fn ids() -> Vec<Vec<u32>> {
    LENGTHS.iter().map(|&len| (0..len as u32).collect()).collect()
}

fn options() -> EvaluateOptions {
    EvaluateOptions { max_tokens: 8, tokens_in_flight: None, documents_sha256: "ab".repeat(32) }
}

fn report() -> Report {
    let mut report = Report { schema_version: 1, bitgauge_version: "1.2.3".into(), ..Report::default() };
    report.artifact.sha256 = Some("cd".repeat(32));
    report
}

fn run(shard: Shard) -> Run {
    Run::new(shard, &ids(), &options(), "f32", report()).expect("few documents")
}

fn finished(document: u64) -> Finished {
    let tokens = LENGTHS[document as usize] as u64 - 1;
    Finished { document, tokens, nats: 2.0 * tokens as f64, seconds: 0.5, device: "cpu".into() }
}

/// A folder for files of losses.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().expect("a temporary folder"))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A file of a shard with these documents finished.
    fn file(&self, name: &str, shard: Shard, documents: &[u64]) -> PathBuf {
        let path = self.path(name);
        let mut file = LossFile::open(&path, &run(shard), &ids()).expect("a new file").file;
        let documents: Vec<_> = documents.iter().map(|&document| finished(document)).collect();
        file.append(&documents).expect("room");
        path
    }
}

fn open(path: &Path, run: &Run) -> bitgauge_core::Result<(Tally, bool)> {
    LossFile::open(path, run, &ids()).map(|resumed| (resumed.tally, !resumed.warnings.is_empty()))
}

fn missing(tally: &Tally) -> Vec<usize> {
    tally.missing().collect()
}

#[test]
fn a_run_goes_on_where_it_stopped() {
    let folder = Folder::new();
    let path = folder.file("a", Shard::WHOLE, &[0, 3]);
    let (tally, torn) = open(&path, &run(Shard::WHOLE)).expect("the same run");
    assert_eq!((missing(&tally), torn), (vec![2, 4, 5], false));
    assert_eq!(tally.get(3), Some(&finished(3)));
    // The run, the document without anything to score, and two more.
    let text = fs::read_to_string(&path).expect("the file");
    assert_eq!(text.lines().count(), 4);

    // Each piece of a torn last line is dropped, and the file goes on behind the whole ones.
    let line = serde_json::to_string(&finished(4)).expect("JSON");
    for cut in [1, line.len() / 2, line.len()] {
        fs::write(&path, format!("{text}{}", &line[..cut])).expect("the file");
        let Resumed { mut file, tally, warnings } =
            LossFile::open(&path, &run(Shard::WHOLE), &ids()).expect("torn");
        assert_eq!((missing(&tally), warnings.len()), (vec![2, 4, 5], 1));
        file.append(&[finished(5)]).expect("room");
        drop(file);
        let (tally, torn) = open(&path, &run(Shard::WHOLE)).expect("whole again");
        assert_eq!((missing(&tally), torn), (vec![2, 4], false));
    }
}

#[test]
fn only_one_process_adds_to_a_file() {
    let folder = Folder::new();
    let path = folder.path("a");
    let first = LossFile::open(&path, &run(Shard::WHOLE), &ids()).expect("a new file");
    let error = open(&path, &run(Shard::WHOLE)).expect_err("it is open");
    assert!(error.what.contains("another process"), "{error}");
    drop(first);
    assert!(open(&path, &run(Shard::WHOLE)).is_ok());
}

/// What a file's first line or a document's line becomes.
type Change = fn(&mut Value);

#[test]
fn a_file_of_another_run_is_refused() {
    let folder = Folder::new();
    let path = folder.file("a", Shard::WHOLE, &[0]);
    let text = fs::read_to_string(&path).expect("the file");
    let (first, rest) = text.split_once('\n').expect("two lines");
    let cases: [(Change, &str); 10] = [
        (|run| run["report"]["artifact"]["sha256"] = "ee".into(), "the artifact"),
        (|run| run["report"]["pack"] = "ternary".into(), "the limits"),
        (|run| run["documents_sha256"] = "ee".into(), "the documents"),
        (|run| run["token_ids_sha256"] = "ee".into(), "the token ids"),
        (|run| run["max_tokens"] = 9.into(), "the longest document"),
        (|run| run["precision"] = "f16".into(), "the precision"),
        (|run| run["shard"] = "0/2".into(), "the number of shards"),
        (|run| run["documents"] = 7.into(), "the number of documents"),
        (|run| run["report"]["bitgauge_version"] = "1.2.4".into(), "the version of bitgauge"),
        (|run| run["losses_version"] = 2.into(), "has another version"),
    ];
    for (change, what) in cases {
        let mut run_of_file: Value = serde_json::from_str(first).expect("JSON");
        change(&mut run_of_file);
        // Document 1 is not in shard 0/2.
        let kept: String =
            rest.lines().filter(|line| !line.contains("\"document\":1")).map(|l| format!("{l}\n")).collect();
        fs::write(&path, format!("{run_of_file}\n{kept}")).expect("the file");
        let error = open(&path, &run(Shard::WHOLE)).expect_err(what);
        assert!(error.what.contains(what), "not {what}: {error}");
        assert!(error.place.contains('a') && !error.expected.is_empty(), "{error}");
    }
    fs::write(&path, &text).expect("the file");
    assert!(open(&path, &run(Shard::WHOLE)).is_ok());
    // Documents of the same lengths, one token of them another, and lengths that shift between two.
    let of = |change: fn(&mut Vec<Vec<u32>>)| {
        let mut other = ids();
        change(&mut other);
        let run = Run::new(Shard::WHOLE, &other, &options(), "f32", report()).expect("few documents");
        open(&path, &run).map(drop)
    };
    assert!(of(|_| ()).is_ok());
    assert!(of(|ids| ids[5][7] = 9).expect_err("another token").what.contains("the token ids"));
    assert!(of(|ids| ids[2].swap(0, 1)).expect_err("another order").what.contains("the token ids"));
    let shifted = of(|ids| {
        let last = ids[2].remove(2);
        ids[3].insert(0, last);
    });
    assert!(shifted.expect_err("another cut").what.contains("the token ids"));
}

#[test]
fn a_folders_artifact_is_known_by_its_files() {
    let folder = Folder::new();
    let path = folder.path("a");
    let of = |files: &[(&str, Option<&str>)]| {
        let mut report = report();
        report.artifact.sha256 = None;
        report.artifact.members = (files.iter())
            .map(|(name, sha256)| bitgauge_core::report::MemberSummary {
                name: (*name).into(),
                sha256: sha256.map(str::to_owned),
                ..Default::default()
            })
            .collect();
        Run::new(Shard::WHOLE, &ids(), &options(), "f32", report).expect("few documents")
    };
    let own = of(&[("a", Some("11")), ("b", Some("22"))]);
    open(&path, &own).expect("a new file");
    assert!(open(&path, &own).is_ok());
    for other in [
        of(&[("a", Some("11")), ("b", Some("23"))]),
        of(&[("a", Some("11")), ("c", Some("22"))]),
        of(&[("a", Some("11"))]),
        of(&[("a", Some("11")), ("b", None)]),
    ] {
        assert!(open(&path, &other).expect_err("another artifact").what.contains("the artifact"));
    }
}

#[test]
fn a_line_that_is_no_loss_of_the_run_is_refused() {
    let folder = Folder::new();
    let second = Shard { index: 1, count: 2 };
    let path = folder.file("a", second, &[3]);
    let text = fs::read_to_string(&path).expect("the file");
    let line = |document: u64, tokens: u64, nats: f64| {
        json!({"document": document, "tokens": tokens, "nats": nats, "seconds": 0.5, "device": "cpu"})
            .to_string()
    };
    let with = |line: &str| {
        fs::write(&path, format!("{text}{line}\n")).expect("the file");
        open(&path, &run(second))
    };
    assert!(with(&line(5, 7, 0.0)).is_ok(), "the longest document, without any loss");
    let cases = [
        (line(3, 3, 1.0), "a document is there twice"),
        (line(1, 0, 0.0), "a document is there twice"),
        (line(0, 4, 1.0), "does not belong to the run"),
        (line(7, 4, 1.0), "does not belong to the run"),
        (line(5, 8, 1.0), "a document is too long"),
        (line(5, 6, 1.0), "document 5 has another length"),
        (line(5, 0, 0.5), "a loss is not a number"),
        (line(5, 7, 1.0).replace("1.0", "1e999"), "holds no losses"),
        ("{}".into(), "holds no losses"),
        (line(5, 7, 1.0).replace('}', ",\"more\":1}"), "holds no losses"),
    ];
    for (line, what) in cases {
        let error = with(&line).expect_err(what);
        assert!(error.what.contains(what), "not {what}: {error}");
    }
    let (tally, torn) = with("").expect("a line of which all is lost");
    assert_eq!((missing(&tally), torn), (vec![0, 2, 4, 5], true));
    let bytes = [text.as_bytes(), b"\xff\n"].concat();
    fs::write(&path, bytes).expect("the file");
    let error = open(&path, &run(second)).expect_err("no text");
    let place = format!("line {}", text.lines().count() + 1);
    assert!(error.kind == ErrorKind::Malformed && error.place.contains(&place), "{error}");
}

#[test]
fn more_documents_than_a_file_holds_are_refused_before_they_are_counted() {
    let folder = Folder::new();
    let path = folder.file("a", Shard::WHOLE, &[]);
    let text = fs::read_to_string(&path).expect("the file");
    let error = |documents: u64| -> Error {
        fs::write(&path, text.replace("\"documents\":6", &format!("\"documents\":{documents}")))
            .expect("the file");
        open(&path, &run(Shard::WHOLE)).expect_err("another number")
    };
    assert_eq!(error(1 << 24).kind, ErrorKind::BadValue);
    assert_eq!(error((1 << 24) + 1).kind, ErrorKind::TooLarge);
    assert_eq!(error(u64::MAX).kind, ErrorKind::TooLarge);
}

#[test]
fn shards_merge_to_the_whole() {
    let folder = Folder::new();
    let shard = |index| Shard { index, count: 2 };
    let even = folder.file("even", shard(0), &[4, 0, 2]);
    let odd = folder.file("odd", shard(1), &[3, 5]);
    let merged = merge(&[odd.clone(), even.clone()]).expect("shards of one run");
    assert!(merged.incomplete().is_none() && merged.warnings.is_empty());
    let evaluation = merged.report().expect("something is scored").evaluation.expect("an evaluation");
    assert_eq!((evaluation.cross_entropy_nats, evaluation.scored_documents), (2.0, 5));
    assert_eq!((evaluation.scored_tokens, evaluation.max_tokens), (4 + 2 + 3 + 1 + 7, 8));
    // Half a second for each that was scored.
    assert_eq!((evaluation.seconds, evaluation.documents_sha256), (2.5, "ab".repeat(32)));

    let error = merge(&[even.clone(), odd.clone(), even.clone()]).expect_err("twice");
    assert!(
        error.what.contains("in two files") && error.hint.as_ref().is_some_and(|hint| hint.contains("even")),
        "{error}"
    );
    assert_eq!(merge(&[]).expect_err("nothing").kind, ErrorKind::Missing);
    assert_eq!(merge(&[folder.path("none")]).expect_err("no file").kind, ErrorKind::Io);
    let other = Run::new(shard(0), &ids(), &options(), "f16", report()).expect("few documents");
    let path = folder.path("other");
    open(&path, &other).expect("a new file");
    let error = merge(&[odd.clone(), path.clone()]).expect_err("another precision");
    assert!(error.what.contains("the precision") && error.place.contains("other"), "{error}");

    let text = fs::read_to_string(&even).expect("the file");
    fs::write(&even, &text[..text.len() - 1]).expect("the file");
    let merged = merge(&[odd, even.clone()]).expect("a torn line is left out");
    assert!(matches!(merged.warnings.as_slice(), [(path, _)] if *path == even), "{:?}", merged.warnings);
    let error = merged.incomplete().expect("one is missing");
    assert_eq!((error.expected.as_str(), error.found.as_str()), ("all 6", "1 missing: 2"));
    assert!(error.hint.as_ref().is_some_and(|hint| hint.ends_with("--resume: 0/2")), "{error}");
}

#[test]
fn eight_of_the_missing_documents_are_named() {
    let folder = Folder::new();
    for (count, named) in
        [(8, "8 missing: 0, 1, 2, 3, 4, 5, 6, 7"), (9, "9 missing: 0, 1, 2, 3, 4, 5, 6, 7, …")]
    {
        let ids = vec![vec![1, 2]; count];
        let run = Run::new(Shard::WHOLE, &ids, &options(), "f32", report()).expect("few documents");
        let path = folder.path(&count.to_string());
        LossFile::open(&path, &run, &ids).expect("a new file");
        let error = merge(&[path]).expect("one file").incomplete().expect("all are missing");
        assert_eq!(error.found, named);
    }
}

#[test]
fn a_shard_is_an_index_below_a_count() {
    for (text, wanted) in [
        ("0/1", Some((0, 1))),
        ("3/4", Some((3, 4))),
        ("4/4", None),
        ("5/4", None),
        ("0/0", None),
        ("1", None),
        ("/", None),
        ("a/b", None),
        ("-1/4", None),
    ] {
        let found = text.parse::<Shard>();
        assert_eq!(found.as_ref().ok().map(|shard| (shard.index, shard.count)), wanted, "{text}");
        match found {
            Ok(shard) => assert_eq!(shard.to_string(), text),
            Err(why) => assert!(why.contains(&format!("`{text}`")), "{why}"),
        }
    }
    let shard = Shard { index: 2, count: 3 };
    let of: Vec<u64> = (0..9).filter(|&document| shard.has(document)).collect();
    assert_eq!(of, [2, 5, 8]);
}
