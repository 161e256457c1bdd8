//! Archives and what CPython's `zipfile` and `tarfile` made of them (`archives.py`): none that Python refuses may be
//! taken here, none be read otherwise, and none that Python reads be refused but for a reason that docs/loading.md names.

use std::collections::BTreeMap;

use bitgauge_core::Result;
use bitgauge_core::container::{ContainerKind, Root, Window, fetch_and_open};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::Scan;

use crate::recorded::{Case, DIGITS, Files, other, recorded};

/// How many archives came out how.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    both_read: usize,
    both_refuse: usize,
    /// Archives that Python reads and bitgauge refuses, by what bitgauge says.
    refused: BTreeMap<String, usize>,
    /// Archives that Python refuses or reads otherwise.
    wrong: Vec<String>,
}

/// The files of a zip or tar, or why bitgauge takes none; every byte is read.
pub fn ours(bytes: &[u8]) -> Result<Files, String> {
    let read = || -> Result<Option<Files>> {
        let mut window = Window::new(vec![("m".to_owned(), bytes.len() as u64)]);
        let artifact = fetch_and_open(&mut window, Root::File, |need| {
            Ok(bytes[need.offset as usize..][..need.len as usize].to_vec())
        })?;
        if !matches!(artifact.kind, ContainerKind::Zip | ContainerKind::Tar) {
            return Ok(None);
        }
        let inventory = Inventory::of(&artifact)?;
        let mut scan = Scan::new(&inventory);
        scan.begin_file(0)?;
        scan.push(bytes)?;
        let hashes = scan.finish()?.members.into_iter().map(|hash| hash.expect("every member is hashed"));
        let names = artifact.members.iter().map(|member| member.name.clone());
        Ok(Some(names.zip(hashes.map(|hash| hash[..DIGITS].to_owned())).collect()))
    };
    match read() {
        Ok(files) => files.ok_or_else(|| "no archive".to_owned()),
        Err(error) => Err(error.what.clone()),
    }
}

fn tally(cases: &[Case]) -> Tally {
    let mut tally = Tally::default();
    for Case { what, bytes, python } in cases {
        match (python, ours(bytes)) {
            (Ok(theirs), Ok(ours)) if *theirs == ours => tally.both_read += 1,
            (Err(_), Err(_)) => tally.both_refuse += 1,
            (Ok(_), Err(reason)) => *tally.refused.entry(reason).or_default() += 1,
            (theirs, ours) => tally.wrong.push(format!("{what}\n    Python {theirs:?}\n    ours   {ours:?}")),
        }
    }
    tally
}

/// The refusals that docs/loading.md names, with how many it states.
fn documented() -> BTreeMap<String, usize> {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/loading.md"));
    let text = text.expect("docs/loading.md");
    let section =
        text.split("\n## ").find(|section| section.starts_with("Archives\n")).expect("a section on archives");
    let row = |line: &str| -> Option<(String, usize)> {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` |")?;
        let count = rest.trim_end_matches('|').rsplit('|').next()?;
        Some((name.to_owned(), count.trim().parse().ok()?))
    };
    section.lines().filter_map(row).collect()
}

#[test]
fn archives_are_taken_where_python_takes_them_with_the_same_files() {
    let cases = recorded();
    let tally = tally(&cases);
    println!("{} read by both, {} refused by both", tally.both_read, tally.both_refuse);
    for (reason, count) in &tally.refused {
        println!("| `{reason}` | {count} |");
    }
    assert!(tally.wrong.is_empty(), "{} wrong:\n{}", tally.wrong.len(), tally.wrong.join("\n"));
    if other().is_some() {
        return;
    }
    assert!(cases.len() >= 2_000, "{}", cases.len());
    assert_eq!(tally.refused, documented(), "refusals, and those that docs/loading.md names");
    assert!(tally.both_read > 900 && tally.both_refuse > 400, "{tally:?}");
}

#[test]
fn another_answer_is_noticed() {
    let mut cases: Vec<Case> = recorded().into_iter().take(200).collect();
    let sound = tally(&cases);
    assert!(sound.wrong.is_empty() && sound.both_read > 0);
    for case in &mut cases {
        case.python = match &case.python {
            Ok(files) => {
                let mut files = files.clone();
                files.values_mut().take(1).for_each(|hash| *hash = "0".repeat(DIGITS));
                Ok(files)
            }
            Err(_) => Ok(Files::new()),
        };
    }
    let changed = tally(&cases);
    assert_eq!((changed.wrong.len(), changed.both_read), (sound.both_read, 0));
    for case in &mut cases {
        case.python = Err("BadZipFile".into());
    }
    let refusing = tally(&cases);
    assert_eq!((refusing.wrong.len(), refusing.both_read), (sound.both_read, 0));
}
