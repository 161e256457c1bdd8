//! Files of finished documents that a power cut left behind.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Output;

use serde_json::Value;

use super::super::distributed::{Setting, figures, merge, replace};
use super::super::{json, number};
use super::{contents, expect_refused, path, text};

/// A file of a run that is done, and what the run gave.
struct Done {
    setting: Setting,
    figures: (u64, Value),
    bytes: Vec<u8>,
}

impl Done {
    fn new() -> Self {
        let setting = Setting::new(&[]);
        let file = setting.file("losses.jsonl");
        let report = json(&setting.on_cpu(&["--resume", path(&file), "--tokens-in-flight", "1"]));
        Self { figures: figures(&report), bytes: fs::read(&file).expect("the file"), setting }
    }

    /// Goes on with a file of these bytes. The figures must be those of the run without a fault.
    fn resume(&self, name: &str, bytes: &[u8]) -> Output {
        let file = self.setting.file(name);
        fs::write(&file, bytes).expect("a file");
        let output = self.setting.on_cpu(&["--resume", path(&file)]);
        assert_eq!(figures(&json(&output)), self.figures, "{}", text(&output.stderr));
        assert_eq!(figures(&json(&merge(&[&file]))), self.figures, "what is in the file is whole");
        output
    }

    /// Bytes of the first line.
    fn run_bytes(&self) -> usize {
        self.bytes.iter().position(|&byte| byte == b'\n').expect("a line") + 1
    }

    /// The whole lines, without their ends.
    fn lines(&self) -> Vec<Vec<u8>> {
        self.bytes.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).filter(|line| !line.is_empty()).collect()
    }
}

fn joined(lines: &[Vec<u8>]) -> Vec<u8> {
    lines.iter().flat_map(|line| [&line[..], b"\n"].concat()).collect()
}

#[test]
fn a_torn_first_line_begins_anew_and_the_old_file_is_kept() {
    let done = Done::new();
    let (all, run) = (&done.bytes, done.run_bytes());
    let nuls = |from: usize, to: usize| {
        let mut bytes = all.clone();
        bytes[from..to].fill(0);
        bytes
    };
    let cases = [
        all[..1].to_vec(),
        all[..25].to_vec(),
        all[..run / 2].to_vec(),
        all[..run - 1].to_vec(),
        vec![0; 4096],
        vec![0; run],
        nuls(0, 4096.min(run - 1)),
        nuls(0, all.len()),
        nuls(run - 30, run),
        nuls(40, 60),
        [&all[..run / 2], &[0; 600]].concat(),
        // Documents added behind the torn line.
        [&all[..run / 2], &b"\n"[..], &all[run..]].concat(),
    ];
    for (number, damaged) in cases.iter().enumerate() {
        let name = format!("{number}.jsonl");
        let output = done.resume(&name, damaged);
        let kept = done.setting.file(&format!("{name}.damaged"));
        let stderr = text(&output.stderr);
        assert!(
            stderr.contains("first line is torn") && stderr.contains(&*kept.to_string_lossy()),
            "{number}: {stderr}"
        );
        assert!(fs::read(&kept).expect("the old file") == *damaged, "{number}");
    }
    // A second one does not take the first one's place, and a link stays.
    let link = done.setting.file("link");
    symlink("0.jsonl", &link).expect("a link");
    fs::write(done.setting.file("0.jsonl"), &all[..2]).expect("a file");
    done.setting.on_cpu(&["--resume", path(&link)]);
    assert_eq!(fs::read_link(&link).expect("still a link"), Path::new("0.jsonl"));
    assert!(fs::read(done.setting.file("0.jsonl.damaged")).expect("the first") == cases[0]);
    assert!(fs::read(done.setting.file("0.jsonl.damaged-2")).expect("the second") == all[..2]);
    let torn = done.setting.file("torn");
    fs::write(&torn, &all[..run / 2]).expect("a file");
    expect_refused(&merge(&[&torn]), "first line is torn");
}

#[test]
fn what_is_no_file_of_losses_is_refused_and_stays() {
    let done = Done::new();
    let run = done.run_bytes();
    let other = String::from_utf8(done.bytes.clone()).expect("UTF-8").replacen("\"shard\"", "\"shart\"", 1);
    for bytes in [
        &b"[\"a text\"]"[..],
        b"{\"document\":",
        b"text",
        b"text\n\0\0",
        b"PK\x03\x04\0\0\0",
        b"{\"losses_version\":1}\n",
        b"{\"losses_version\":x\n",
        other.as_bytes(),
        &[&done.bytes[..run], b"text\n"].concat(),
        &[
            &done.bytes[..run],
            b"{\"document\":99,\"tokens\":1,\"nats\":1.0,\"seconds\":0.1,\"device\":\"\"}\n",
        ]
        .concat(),
    ] {
        let file = done.setting.file("other");
        fs::write(&file, bytes).expect("a file");
        let folder = file.parent().expect("a folder");
        let before = contents(folder);
        let output = done.setting.eval(&["--device", "cpu", "--resume", path(&file)]);
        assert!(contents(folder) == before, "{}", String::from_utf8_lossy(bytes));
        expect_refused(&output, "");
    }
}

#[test]
fn torn_lines_and_nuls_cost_only_what_they_hold() {
    let done = Done::new();
    let lines = done.lines();
    type Damage<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);
    let damage: [(&str, Damage); 6] = [
        ("line 4 is torn", &|lines| lines[3].truncate(20)),
        ("line 4 is torn", &|lines| {
            // The next line was added to the torn one.
            let next = lines.remove(4);
            lines[3].truncate(20);
            lines[3].extend(next);
        }),
        ("line 4 is torn", &|lines| lines[3][5..20].fill(0)),
        ("line 4 is torn", &|lines| lines[3].fill(0)),
        ("line 9 is torn", &|lines| {
            // NULs where the file grew, and a document added behind them.
            let last = lines.len() - 1;
            let whole = std::mem::take(&mut lines[last]);
            lines[last] = [vec![0; 700], whole].concat();
        }),
        ("the torn last line was dropped", &|lines| lines.push(vec![0; 300])),
    ];
    for (case, (words, change)) in damage.iter().enumerate() {
        let mut lines = lines.clone();
        change(&mut lines);
        let mut bytes = joined(&lines);
        if words.contains("last") {
            bytes.pop();
        }
        let output = done.resume(&format!("{case}.jsonl"), &bytes);
        let stderr = text(&output.stderr);
        assert!(stderr.contains(words), "{case}: {stderr}");

        // What stands in a whole line is not evaluated again, in front of the damage and behind it.
        let file = done.setting.file("marked.jsonl");
        fs::write(&file, &bytes).expect("a file");
        for document in ["0", "7"] {
            let begin = format!("{{\"document\":{document},");
            let Some(line) = lines.iter().find(|line| line.starts_with(begin.as_bytes())) else { continue };
            let Ok(found) = serde_json::from_slice::<Value>(line) else { continue };
            let line = String::from_utf8(line.clone()).expect("UTF-8");
            let nats = number(&found["nats"]);
            let bytes = fs::read(&file).expect("the file");
            let marked = line.replace(&format!("\"nats\":{nats}"), "\"nats\":12.25");
            assert_ne!(line, marked);
            fs::write(&file, replace_bytes(&bytes, line.as_bytes(), marked.as_bytes())).expect("the file");
            let report = json(&done.setting.on_cpu(&["--resume", path(&file)]));
            let place = document.parse::<usize>().expect("a number");
            assert_eq!(number(&report["evaluation"]["documents"][place]["nats"]), 12.25, "{case}");
        }
    }
    // `merge` tells what is missing then.
    let file = done.setting.file("torn.jsonl");
    let mut torn = lines.clone();
    torn[3].truncate(20);
    fs::write(&file, joined(&torn)).expect("a file");
    let output = merge(&[&file]);
    assert_eq!(output.status.code(), Some(3));
    assert!(text(&output.stderr).contains("line 4 is torn"), "{}", text(&output.stderr));
    // A line that is whole and wrong is no damage of that kind.
    fs::write(&file, &done.bytes).expect("a file");
    replace(&file, "{\"document\":3,", "{\"document\":9,");
    assert_eq!(merge(&[&file]).status.code(), Some(2));
}

fn replace_bytes(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let at = bytes.windows(from.len()).position(|window| window == from).expect("the line");
    [&bytes[..at], to, &bytes[at + from.len()..]].concat()
}
