//! What is left of a file of losses when the machine loses power.

use std::fs;
use std::path::Path;

use bitgauge_core::ErrorKind;
use bitgauge_core::report::Report;
use bitgauge_eval::{EvaluateOptions, Finished};
use native_eval::{LossFile, Resumed, Run, Shard};

const LENGTHS: [usize; 4] = [5, 1, 3, 4];

fn ids() -> Vec<Vec<u32>> {
    LENGTHS.iter().map(|&len| (0..len as u32).collect()).collect()
}

fn run(ids: &[Vec<u32>]) -> Run {
    let options =
        EvaluateOptions { max_tokens: 8, tokens_in_flight: None, documents_sha256: "ab".repeat(32) };
    let mut report = Report { schema_version: 1, bitgauge_version: "1.2.3".into(), ..Report::default() };
    report.artifact.sha256 = Some("cd".repeat(32));
    Run::new(Shard::WHOLE, ids, &options, "f32", report).expect("few documents")
}

fn open(path: &Path) -> bitgauge_core::Result<Resumed> {
    LossFile::open(path, &run(&ids()), &ids())
}

fn finished(document: u64) -> Finished {
    let tokens = LENGTHS[document as usize] as u64 - 1;
    Finished { document, tokens, nats: 2.0, seconds: 0.5, device: "cpu".into() }
}

/// The text of a file in which document 0 is finished.
fn sound(path: &Path) -> String {
    open(path).expect("a new file").file.append(&[finished(0)]).expect("room");
    let text = fs::read_to_string(path).expect("the file");
    assert_eq!(text.lines().count(), 3);
    text
}

fn missing(resumed: &Resumed) -> Vec<usize> {
    resumed.tally.missing().collect()
}

#[test]
fn a_torn_first_line_is_kept_aside_and_the_run_begins_anew() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("losses");
    let text = sound(&path);
    let first = text.lines().next().expect("a line").to_owned();
    let begin = text.lines().take(2).map(|line| format!("{line}\n")).collect::<String>();
    let torn: [&[u8]; 7] = [
        b"{",
        b"{\"losses_ver",
        &first.as_bytes()[..first.len() / 2],
        first.as_bytes(),
        b"\0\0\0\0\0\0",
        b"{\"losses_version\":\0\0\0\0\n",
        b"{\"los\0\0\0\n{\"document\":0",
    ];
    for (number, bytes) in (1..).zip(torn) {
        fs::write(&path, bytes).expect("the file");
        let resumed = open(&path).unwrap_or_else(|error| panic!("{number}: {error}"));
        let name = if number == 1 { "losses.damaged".to_owned() } else { format!("losses.damaged-{number}") };
        let kept = folder.path().join(name);
        assert_eq!(resumed.warnings.len(), 1);
        assert!(resumed.warnings[0].contains(&*kept.canonicalize().expect("it is kept").to_string_lossy()));
        assert_eq!(fs::read(&kept).expect("it is kept"), bytes);
        assert_eq!(
            (missing(&resumed), fs::read_to_string(&path).expect("the file")),
            (vec![0, 2, 3], begin.clone())
        );
    }
    // What was never such a file is left alone.
    let others: [&[u8]; 7] =
        [b"hello\n", b"hello", b"[1, 2", b"{\"other\": 1}\n", b"{\"other\": ", b"x\0\0", b"{\"other\0\n"];
    for bytes in others {
        fs::write(&path, bytes).expect("the file");
        let error = open(&path).map(|_| ()).expect_err("not ours");
        assert_eq!(error.kind, ErrorKind::Malformed, "{error}");
        assert!(error.place.contains("line 1"), "{error}");
        assert_eq!(fs::read(&path).expect("the file"), bytes);
    }
}

#[test]
fn torn_lines_are_left_out_and_whole_ones_behind_them_are_not() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("losses");
    let text = sound(&path);
    let line = serde_json::to_string(&finished(3)).expect("JSON");
    let with = |more: &[u8]| {
        fs::write(&path, [text.as_bytes(), more].concat()).expect("the file");
        let resumed = open(&path).map_err(|error| error.kind)?;
        Ok((missing(&resumed), resumed.warnings.len()))
    };
    let behind = |torn: &str| format!("{torn}{line}\n").into_bytes();
    assert_eq!(with(&behind("")), Ok((vec![2], 0)));
    assert_eq!(with(&behind("{\"document\":2,\"tok")), Ok((vec![2], 1)));
    assert_eq!(with(&behind("\0\0\0\0")), Ok((vec![2], 1)));
    assert_eq!(with(&behind("{\"docum")), Ok((vec![2], 1)));
    // Nothing of a document is left, or NULs alone.
    assert_eq!(with(b"{\"document\":2,\"tok\n"), Ok((vec![2, 3], 1)));
    assert_eq!(with(b"\0\0\0\0\n"), Ok((vec![2, 3], 1)));
    assert_eq!(with(b"not ours\n"), Err(ErrorKind::Malformed));
    assert_eq!(with(b"{\"document\":2}\n"), Err(ErrorKind::Malformed));
    // Without its end a line is torn, and what is added begins at its place.
    assert_eq!(with(line.as_bytes()), Ok((vec![2, 3], 1)));
    assert_eq!(fs::read_to_string(&path).expect("the file"), text);
    fs::write(&path, format!("{text}{{\"docu")).expect("the file");
    open(&path).expect("the same run").file.append(&[finished(2)]).expect("room");
    let added = serde_json::to_string(&finished(2)).expect("JSON");
    assert_eq!(fs::read_to_string(&path).expect("the file"), format!("{text}{added}\n"));
}

#[test]
fn other_token_ids_of_the_same_lengths_are_another_run() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("losses");
    sound(&path);
    let mut others = ids();
    others[3][1] += 1;
    let error = LossFile::open(&path, &run(&others), &others).map(|_| ()).expect_err("another run");
    assert!(error.what.contains("the token ids"), "{error}");
    // A document's end may not move to the next one, either.
    let moved = [vec![vec![0, 1, 2, 3]], vec![vec![4, 0]], ids()[2..].to_vec()].concat();
    let whole = |ids: &[Vec<u32>]| serde_json::to_value(run(ids)).expect("JSON")["token_ids_sha256"].clone();
    assert_ne!(whole(&moved), whole(&ids()));
}
