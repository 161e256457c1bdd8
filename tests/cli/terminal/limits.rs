//! Limits of threads and memory, and numbers that ask for too much.

use std::fs::File;
use std::io::{BufWriter, Write};

use super::commands::{DEMO, DOCUMENTS, Workplace, argument};
use crate::text;

#[test]
fn numbers_that_ask_for_too_much_are_refused_by_the_arguments() {
    let workplace = Workplace::new();
    let eval = ["eval", DEMO, "--documents", "documents.json", "--device", "cpu"];
    let cases: [&[&str]; 9] = [
        &["--threads", "0"],
        &["--threads", "1025"],
        &["--threads", "4096"],
        &["--threads", "65535"],
        &["--threads", "4294967296"],
        &["--tokens-in-flight", "1048577"],
        &["--max-tokens", "1048577"],
        &["--shard", "0/0", "--resume", "r"],
        &["--shard", "4294967296/4294967297", "--resume", "r"],
    ];
    for extra in cases {
        let output = workplace.run(&[&eval[..], extra].concat());
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{extra:?}: {stderr}");
        assert!(stderr.contains("invalid value") && stderr.contains(extra[0]), "{extra:?}: {stderr}");
    }
    for extra in [
        &["--documents", "65536", "--tokens", "1048576"][..],
        &["--documents", "65", "--tokens", "1048576"],
        &["--matmul", "1048576,1048576,1048576"],
        &["--matmul", "1,1048576,4096"],
    ] {
        let output = workplace.run(&[&["bench", "--device", "cpu"], extra].concat());
        assert_eq!(output.status.code(), Some(2), "{extra:?}: {}", text(&output.stderr));
    }
    let output = workplace
        .run(&[&eval[..], &["--threads", "64", "--shard", "0/4294967295", "--resume", "s"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn threads_that_can_not_be_started_are_an_error() {
    let workplace = Workplace::new();
    // A thread's stack takes 2 MiB of it. A GPU has the process's threads bring weights to it.
    for (line, device) in [
        (r#"ulimit -v 1000000; exec "$0" "$@" --threads 1024"#, "cpu"),
        (r#"ulimit -v 1000000; RAYON_NUM_THREADS=1024 exec "$0" "$@""#, "cpu"),
        (r#"ulimit -v 1000000; RAYON_NUM_THREADS=1024 exec "$0" "$@""#, "gpu:0"),
    ] {
        let arguments = ["eval", DEMO, "--documents", "documents.json", "--device", device];
        let output = workplace.shell(line, &arguments);
        let stderr = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{line}, {device}: {stderr}");
        let words = ["the system can't start 1024 threads", "there is not enough memory"];
        assert!(words.iter().any(|words| stderr.contains(words)), "{line}: {stderr}");
    }
}

/// Runs with so many KiB of address space.
fn with_memory(workplace: &Workplace, kib: u64, arguments: &[&str]) -> (Option<i32>, String) {
    let output = workplace.shell(&format!(r#"ulimit -v {kib}; exec "$0" "$@""#), arguments);
    (output.status.code(), text(&output.stderr))
}

/// The least memory, in KiB, that the command starts with at all.
fn bare_kib(workplace: &Workplace) -> u64 {
    let starts = |kib: &u64| with_memory(workplace, *kib, &["--version"]).0 == Some(0);
    (10_000..1_000_000).step_by(1000).find(starts).expect("a limit that is wide enough")
}

/// Runs a command under rising limits. Each time it succeeds or says that memory is short, and both happen.
fn for_every_limit(workplace: &Workplace, extra_kib: &[u64], arguments: &[&str], status: i32) {
    let bare = bare_kib(workplace);
    let mut seen = [false; 2];
    for extra in extra_kib {
        let (code, stderr) = with_memory(workplace, bare + extra, arguments);
        let is_short = code == Some(2)
            && ["not enough memory", "no memory", "can't start"].iter().any(|words| stderr.contains(words));
        assert!(is_short || code == Some(status), "{bare} + {extra} KiB, {arguments:?}: {code:?} {stderr}");
        seen[usize::from(is_short)] = true;
    }
    assert_eq!(seen, [true, true], "{bare} KiB and more, {arguments:?}");
}

#[test]
fn too_little_memory_is_an_error_not_an_abort() {
    let workplace = Workplace::new();
    let steps: Vec<u64> = (0..16).map(|step| step * 4_000).chain([600_000]).collect();
    let eval =
        ["eval", DEMO, "--documents", DOCUMENTS, "--max-tokens", "16", "--device", "cpu", "--threads", "2"];
    for_every_limit(&workplace, &steps, &eval, 0);
    for_every_limit(&workplace, &steps, &["pack", super::commands::DENSE, "out.zip", "--force"], 0);
}

#[test]
fn the_longest_inputs_take_no_more_memory_than_there_is() {
    let workplace = Workplace::new();
    let documents = workplace.folder().join("long.json");
    let mut file = BufWriter::new(File::create(&documents).expect("a file"));
    file.write_all(b"[").expect("a file");
    for _ in 0..1_000_000 {
        file.write_all(br#""a document of a hundred characters, more or less, as there are many of them in this long file.","#)
            .expect("a file");
    }
    file.write_all(br#""the end"]"#).expect("a file");
    file.flush().expect("a file");
    let eval = ["eval", DEMO, "--documents", argument(&documents), "--tokenizer", "absent"];
    // With enough memory the next fault comes up.
    let bare = bare_kib(&workplace);
    for extra in [50_000, 150_000, 300_000] {
        let (code, stderr) = with_memory(&workplace, bare + extra, &eval);
        assert_eq!(code, Some(2), "{extra}: {stderr}");
        assert!(stderr.contains("not enough memory") || stderr.contains("absent"), "{extra}: {stderr}");
    }
    assert!(with_memory(&workplace, bare + 50_000, &eval).1.contains("not enough memory"));
    assert!(with_memory(&workplace, bare + 2_000_000, &eval).1.contains("absent"));
}
