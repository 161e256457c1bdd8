//! Full disks: `/dev/full`, and files that must not grow beyond a limit (`ulimit -f`, in units of 1,024 bytes).

use std::fs;

use bitgauge_core::container::Compressor;

use super::super::artifacts::Artifact;
use super::super::distributed::{Setting, figures};
use super::super::json;
use super::{MODEL, after, expect_refused, path, run, text};

/// The unit of `ulimit -f`.
const UNIT_BYTES: usize = 1024;

#[test]
fn an_evaluation_goes_on_without_room_for_its_file_and_can_be_resumed() {
    let setting = Setting::new(&[]);
    // Enough documents that their losses need more than a unit.
    let texts: Vec<String> = (0..48).map(|i| format!("document number {i} of a run")).collect();
    fs::write(&setting.documents, serde_json::to_vec(&texts).expect("JSON")).expect("a file");
    let whole = setting.file("whole.jsonl");
    let expected = figures(&json(&setting.on_cpu(&["--resume", path(&whole)])));
    let bytes = fs::read(&whole).expect("the file");
    let run_bytes = bytes.iter().position(|&byte| byte == b'\n').expect("a line") + 1;
    let (artifact, documents) = (path(&setting.artifact.path), path(&setting.documents));
    let eval = |limit: usize, extra: &[&str]| {
        let own = ["--format", "json", "eval", artifact, "--documents", documents, "--device", "cpu"];
        let how = ["--tokens-in-flight", "1"];
        run(after(&format!("ulimit -f {limit}"), &[&own[..], &how, extra].concat()))
    };

    // Room for the run and for some documents.
    let limit = run_bytes.div_ceil(UNIT_BYTES);
    let limit = if limit * UNIT_BYTES < run_bytes + 200 { limit + 1 } else { limit };
    assert!(limit * UNIT_BYTES < bytes.len(), "all of it has room: {} bytes", bytes.len());
    let file = setting.file("losses.jsonl");
    let output = eval(limit, &["--resume", path(&file)]);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("warning") && stderr.contains("can't be read or written"), "{stderr}");
    assert_eq!(figures(&json(&output)), expected, "the result is printed");
    let kept = fs::read(&file).expect("the file");
    assert!(kept.len() > run_bytes && kept.ends_with(b"\n"), "whole lines, some documents: {}", kept.len());
    let resumed = setting.on_cpu(&["--resume", path(&file)]);
    assert!(text(&resumed.stderr).contains("are finished"), "{}", text(&resumed.stderr));
    assert_eq!(figures(&json(&resumed)), expected);

    // Not even room for the run: that is said before the documents are evaluated, and nothing is left in the way.
    let file = setting.file("none.jsonl");
    expect_refused(&eval(1, &["--resume", path(&file)]), "can't be read or written");
    assert_eq!(figures(&json(&setting.on_cpu(&["--resume", path(&file)]))), expected);

    // A shard has no result to print.
    let file = setting.file("shard.jsonl");
    expect_refused(&eval(limit, &["--resume", path(&file), "--shard", "0/2"]), "can't be read or written");
}

#[test]
fn a_pack_without_room_goes_on_when_there_is() {
    let folder = tempfile::tempdir().expect("a folder");
    for kind in ["zip", "tar", "folder"] {
        let whole = folder.path().join(format!("whole.{kind}"));
        let pack = |limit: &str, out: &std::path::Path| {
            run(after(&format!("ulimit -f {limit}"), &["pack", MODEL, path(out), "--rescue-fraction", "0.1"]))
        };
        assert_eq!(pack("unlimited", &whole).status.code(), Some(0));
        let weights = |out: &std::path::Path| {
            fs::read(if kind == "folder" { out.join("model.safetensors") } else { out.to_owned() })
        };
        let expected = weights(&whole).expect("the artifact");
        // From nothing to all but the last units.
        let units = expected.len() / UNIT_BYTES;
        for limit in [0, 1, 8, units / 2, units - 1] {
            let out = folder.path().join(format!("{limit}.{kind}"));
            let output = pack(&limit.to_string(), &out);
            expect_refused(&output, "cannot be written");
            assert!(!out.exists());
            let output = pack("unlimited", &out);
            assert_eq!(output.status.code(), Some(0), "{limit}: {}", text(&output.stderr));
            assert!(weights(&out).expect("the artifact") == expected, "{limit} {kind}");
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("a folder")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn an_archive_without_room_to_be_unpacked_is_an_error() {
    let artifact = Artifact::demo_compressed_tar(Compressor::Gzip);
    let documents = artifact.beside("documents.json", b"[\"a text to score\"]");
    let eval = ["eval", path(&artifact.path), "--documents", path(&documents), "--device", "cpu"];
    expect_refused(&run(after("ulimit -f 100", &eval)), "room on the disk");
}
