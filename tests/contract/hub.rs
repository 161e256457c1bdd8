//! Documents of datasets on the hub, from a hub that is written down here: which rows are asked for, what
//! becomes of a row, which files are taken.

use std::cell::RefCell;
use std::collections::BTreeMap;

use bitgauge_core::contract::documents::{Files, HubSource, ReadError, seed};
use bitgauge_core::contract::python::Value;
use bitgauge_core::contract::{Halt, choose_documents};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::environment;

/// A hub of files, and of one dataset of numbered rows.
#[derive(Default)]
struct Hub {
    /// By repository, revision and path.
    files: BTreeMap<String, Vec<u8>>,
    rows: Vec<serde_json::Value>,
    /// What was asked for.
    asked: RefCell<Vec<String>>,
}

impl Files for Hub {
    fn resolve(&self, path: &str) -> String {
        path.to_owned()
    }

    fn absolute(&self, path: &str) -> String {
        path.to_owned()
    }

    fn is_file(&self, _: &str) -> bool {
        false
    }

    fn read(&self, _: &str) -> Result<Vec<u8>, ReadError> {
        Err(ReadError::NotFound)
    }

    fn fetch(&self, source: &HubSource, path: &str) -> Result<Vec<u8>, Halt> {
        let name = format!("{}@{}:{path}", source.repo, source.revision);
        self.asked.borrow_mut().push(name.clone());
        Ok(self.files.get(&name).unwrap_or_else(|| panic!("{name} is not on the hub")).clone())
    }

    fn fetch_rows(
        &self,
        dataset: &str,
        config: &str,
        split: &str,
        offset: u64,
        length: u64,
    ) -> Result<Value, Halt> {
        self.asked.borrow_mut().push(format!("{dataset}:{config}:{split}:{offset}+{length}"));
        let rows: Vec<_> = self.rows.iter().skip(offset as usize).take(length as usize).collect();
        Ok(Value::parse(&json!({ "rows": rows }).to_string()).expect("JSON"))
    }
}

/// Twenty times as many documents as there can be, so that each is chosen, in alphabetical order.
fn pool(hub: &Hub, variables: &[(&str, &str)]) -> Result<Vec<String>, Halt> {
    let count = [("HELDOUT_DOCUMENT_COUNT", "6000")];
    let mut chosen = choose_documents(&environment(&[&count, variables].concat()), None, hub)?;
    chosen.sort();
    chosen.dedup();
    Ok(chosen)
}

/// The documents of one entry for rows, and what was asked for.
fn rows_of(
    hub: &Hub,
    entry: serde_json::Value,
    variables: &[(&str, &str)],
) -> (Result<Vec<String>, Halt>, Vec<String>) {
    hub.asked.borrow_mut().clear();
    let manifest = json!([entry]).to_string();
    let own = [("HELDOUT_DATASET", "validator-private-shard"), ("HELDOUT_SOURCES_JSON", manifest.as_str())];
    let documents = pool(hub, &[&own, variables].concat());
    (documents, hub.asked.take())
}

/// An entry for rows of `o/d`, with more fields.
fn entry(more: serde_json::Value) -> serde_json::Value {
    let mut entry = json!({"source": "hf_rows", "dataset": "o/d", "split": "train", "text_column": "text"});
    entry.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    entry
}

/// So many rows, in the form in which the hub gives them.
fn numbered(count: usize) -> Hub {
    let row = |number: usize| json!({"row_idx": number, "row": {"text": format!("row {number:03}")}});
    Hub { rows: (0..count).map(row).collect(), ..Hub::default() }
}

/// How many rows there are, the entry's fields, the pages that are asked for, and how many texts come of them.
type Paged = (usize, serde_json::Value, &'static [(u64, u64)], usize);

#[test]
fn rows_are_asked_for_page_by_page() {
    let cases: [Paged; 13] = [
        (300, json!({"limit": 5, "page_size": 2}), &[(0, 2), (2, 2), (4, 1)], 5),
        (300, json!({"limit": 4, "page_size": 2}), &[(0, 2), (2, 2)], 4),
        (300, json!({"limit": 5, "page_size": 5, "offset": 3}), &[(3, 5)], 5),
        (300, json!({"limit": 3, "page_size": 9}), &[(0, 3)], 3),
        // A page that is not full is the last.
        (3, json!({"limit": 5, "page_size": 2}), &[(0, 2), (2, 2)], 3),
        (4, json!({"limit": 10, "page_size": 2}), &[(0, 2), (2, 2), (4, 2)], 4),
        // Without a limit one page; the hub gives a hundred rows at most.
        (300, json!({}), &[(0, 100)], 100),
        (300, json!({"page_size": 7}), &[(0, 7)], 7),
        (300, json!({"limit": 250}), &[(0, 100), (100, 100), (200, 50)], 250),
        (300, json!({"limit": 150, "page_size": 1000}), &[(0, 100), (100, 50)], 150),
        // What is not positive says nothing.
        (300, json!({"limit": 0, "page_size": -3, "offset": -1}), &[(0, 100)], 100),
        (300, json!({"limit": 1, "offset": 1}), &[(1, 1)], 1),
        (300, json!({"limit": "2", "offset": 298}), &[(298, 2)], 2),
    ];
    for (there, more, pages, count) in cases {
        let (documents, asked) = rows_of(&numbered(there), entry(more.clone()), &[]);
        let wanted: Vec<String> =
            pages.iter().map(|(at, len)| format!("o/d:default:train:{at}+{len}")).collect();
        // The pool is made once, or once more for a mix.
        assert_eq!(asked[..wanted.len()], wanted, "{more}");
        let documents = documents.expect("rows");
        let first = pages[0].0;
        let texts: Vec<String> = (0..count as u64).map(|i| format!("row {:03}", first + i)).collect();
        assert_eq!(documents, texts, "{more}");
    }
    let (_, asked) = rows_of(&numbered(1), entry(json!({"config": " own ", "limit": 1})), &[]);
    assert_eq!(asked[0], "o/d:own:train:0+1");
}

#[test]
fn the_first_row_rotates_with_the_synchronisation() {
    let first = |more: serde_json::Value, variables: &[(&str, &str)]| {
        let (_, asked) = rows_of(&numbered(300), entry(more), variables);
        let at = asked[0].rsplit_once(':').expect("an offset").1.split_once('+').expect("a length").0;
        at.parse::<u64>().expect("a number")
    };
    let (slot, number) = (("HELDOUT_SYNC_SLOT", "s"), ("HELDOUT_SYNC_NUMBER", "17"));
    let rotating = |slot: &str, number: &str| seed(&format!("o/d:default:train:4:5:{slot}:{number}")) % 16;
    let on = json!({"rotate": true, "row_count": 20, "limit": 5, "offset": 4});
    assert_eq!(first(on.clone(), &[slot, number]), rotating("s", "17"));
    assert_eq!(first(on.clone(), &[slot]), rotating("s", ""));
    assert_eq!(first(on.clone(), &[number]), rotating("", "17"));
    assert_eq!(first(on, &[]), 4);
    let sync = json!({"offset_from_sync": 1, "num_rows_total": 20, "limit": 5, "offset": 4});
    assert_eq!(first(sync, &[slot, number]), rotating("s", "17"));
    // One row more than the limit can begin at either of two.
    let six = json!({"rotate": true, "row_count": 6, "limit": 5, "offset": 4});
    assert_eq!(first(six, &[slot, number]), seed("o/d:default:train:4:5:s:17") % 2);
    for still in [
        json!({"row_count": 20, "limit": 5, "offset": 4}),
        json!({"rotate": false, "row_count": 20, "limit": 5, "offset": 4}),
        json!({"rotate": true, "row_count": 5, "limit": 5, "offset": 4}),
        json!({"rotate": true, "limit": 5, "offset": 4}),
    ] {
        assert_eq!(first(still.clone(), &[slot, number]), 4, "{still}");
    }
}

#[test]
fn a_row_becomes_a_text() {
    let text = |cells: serde_json::Value, more: serde_json::Value| {
        // A row that is long enough, so that there is always a document.
        let rows = vec![cells, json!({"row": {"text": "zzzzzzzz"}})];
        let (documents, _) = rows_of(&Hub { rows, ..Hub::default() }, entry(more), &[]);
        let mut documents = documents.expect("rows");
        documents.retain(|document| !document.starts_with("zzzz"));
        documents.pop()
    };
    let both = |more: serde_json::Value| {
        let mut more = more;
        more["text_columns"] = json!(["title", " text ", ""]);
        more
    };
    let some = |text: &str| Some(text.to_owned());
    let row = || json!({"row": {"title": " T ", "text": "body"}});
    assert_eq!(text(row(), json!({})), some("body"));
    assert_eq!(text(json!({"text": "bare"}), json!({})), some("bare"), "a row without its envelope");
    assert_eq!(text(row(), both(json!({}))), some("T\n\nbody"));
    assert_eq!(text(row(), both(json!({"field_separator": " | "}))), some("T | body"));
    assert_eq!(text(json!({"row": {"title": " ", "text": "body"}}), both(json!({}))), some("body"));
    assert_eq!(text(json!({"row": {"title": null, "text": "body"}}), both(json!({}))), some("body"));
    assert_eq!(text(json!({"row": {"other": "x"}}), json!({})), None);
    // Characters, not bytes; the shortest and the longest.
    let umlauts = || json!({"row": {"text": "äöüä"}});
    assert_eq!(text(umlauts(), json!({"min_chars": 4})), some("äöüä"));
    assert_eq!(text(umlauts(), json!({"min_chars": 5})), None);
    assert_eq!(text(umlauts(), json!({"max_chars": 3})), some("äöü"));
    assert_eq!(text(umlauts(), json!({"max_chars": 9})), some("äöüä"));
    let long = text(json!({"row": {"text": "x".repeat(6_001)}}), json!({})).expect("a text");
    assert_eq!(long.len(), 6_000);
    // Lists and objects line by line, members by name.
    let nested = json!({"row": {"text": [{"b": 2, "a": ["x", "y"]}, "z", 1.5, true]}});
    assert_eq!(text(nested, json!({})), some("x\ny\n2\nz\n1.5\nTrue"));
}

#[test]
fn an_entry_asks_for_rows_by_its_source_or_by_its_fields() {
    let asks = |entry: serde_json::Value| !rows_of(&numbered(3), entry, &[]).1.is_empty();
    for source in ["hf_rows", "huggingface_rows", "dataset_rows", " HF_Rows "] {
        assert!(asks(entry(json!({ "source": source }))), "{source}");
    }
    let bare = || json!({"hf_dataset": "o/d", "split": "train", "text_columns": ["text"]});
    let with = |key: &str, value: serde_json::Value| {
        let mut entry = bare();
        entry[key] = value;
        entry
    };
    assert!(asks(bare()));
    assert!(asks(with("path", "".into())), "an empty path is none");
    for (key, value) in [
        ("hf_dataset", json!("plain")),
        ("hf_dataset", json!("")),
        ("split", json!(" ")),
        ("text_columns", json!([])),
        ("text_columns", json!([" "])),
        ("text_columns", json!(0)),
        ("path", json!("a.txt")),
        ("file", json!("a.txt")),
        ("text", json!("the text itself")),
    ] {
        assert!(!asks(with(key, value.clone())), "{key}: {value}");
    }
    let message = |more: serde_json::Value| {
        let (documents, asked) = rows_of(&numbered(3), entry(more), &[]);
        assert!(asked.is_empty());
        documents.expect_err("something is missing").to_string()
    };
    assert!(message(json!({"dataset": null})).contains("requires dataset or hf_dataset"));
    assert!(message(json!({"split": ""})).contains("requires split"));
    assert!(message(json!({"text_column": false})).contains("requires text_column or text_columns"));
    assert!(message(json!({"limit": "many"})).contains("many"));
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A hub with this manifest under a few names, and a file of text.
fn with_manifest(manifest: &str) -> Hub {
    let names = [
        "o/n@abc:manifest.json",
        "o/n@abc:deep/m.json",
        "o/n@main:manifest.json",
        "o/n@abc:m.jsonl",
        "o/n@abc:m.txt",
    ];
    let mut hub = Hub::default();
    names.iter().for_each(|name| _ = hub.files.insert((*name).to_owned(), manifest.as_bytes().to_vec()));
    hub.files.insert("o/n@abc:docs/a.txt".into(), b" in a file \r\n".to_vec());
    hub
}

#[test]
fn a_handle_names_repository_revision_and_manifest() {
    let hub = with_manifest(r#"["one", " two "]"#);
    let first = |dataset: &str, variables: &[(&str, &str)]| {
        hub.asked.borrow_mut().clear();
        let all = [&[("HELDOUT_DATASET", dataset)], variables].concat();
        let result = pool(&hub, &all);
        result.map(|documents| {
            assert_eq!(documents, ["one", "two"], "{dataset}");
            hub.asked.borrow()[0].clone()
        })
    };
    let pinned = [("PRIVATE_HELDOUT_HF_REVISION", "abc")];
    let asked = |dataset: &str, variables: &[(&str, &str)]| first(dataset, variables).expect(dataset);
    assert_eq!(asked("hf://o/n?revision=abc", &[]), "o/n@abc:manifest.json");
    assert_eq!(asked("hf://o/n", &pinned), "o/n@abc:manifest.json");
    assert_eq!(asked("HF://o / n/deep/m.json?revision=abc", &[]), "o/n@abc:deep/m.json");
    assert_eq!(asked("hf://o/n/x.json?manifest=deep/m.json&revision=abc", &pinned), "o/n@abc:deep/m.json");
    assert_eq!(asked("hf://o/n?revision=abc&manifest=//deep/m.json", &[]), "o/n@abc:deep/m.json");
    let variables = [
        ("PRIVATE_HELDOUT_HF_REPO", "o/n"),
        ("PRIVATE_HELDOUT_HF_REVISION", "abc"),
        ("PRIVATE_HELDOUT_HF_MANIFEST", "deep/m.json"),
    ];
    assert_eq!(asked("validator-private-shard", &variables), "o/n@abc:deep/m.json");
    let moving = [("ALLOW_UNPINNED_HF_HELDOUT", "1")];
    assert_eq!(asked("hf://o/n", &moving), "o/n@main:manifest.json");

    let refused = |dataset: &str, words: &str| {
        let error = first(dataset, &pinned).expect_err(dataset).to_string();
        assert!(error.contains(words), "{dataset}: {error}");
    };
    for revision in ["main", "master", "Latest"] {
        refused(&format!("hf://o/n?revision={revision}"), "requires a pinned revision");
    }
    for handle in ["hf://", "hf://o", "hf://o/", "hf:///n"] {
        refused(handle, "must look like hf://owner/dataset");
    }
    for path in ["..", "../m.json", "a/../../m.json", "/../m.json", "/"] {
        refused(&format!("hf://o/n?manifest={path}"), "must be relative");
    }
}

#[test]
fn files_of_the_hub_are_held_against_their_hashes() {
    let text = b" in a file \r\n";
    let of = |sha: serde_json::Value, path: &str| {
        let manifest = json!([{"path": path, "sha256": sha}]).to_string();
        pool(&with_manifest(&manifest), &[("HELDOUT_DATASET", "hf://o/n?revision=abc")])
    };
    let good = sha256(text);
    for sha in [json!(good), json!(format!(" {} ", good.to_uppercase())), json!(null), json!("")] {
        assert_eq!(of(sha, "docs/a.txt").expect("the file"), ["in a file"]);
    }
    let error = of(json!(sha256(b"other")), "docs/a.txt").expect_err("another hash").to_string();
    assert!(error.contains("sha256 mismatch for docs/a.txt"), "{error}");
    for path in ["../a.txt", "docs/../../a.txt"] {
        let error = of(json!(good), path).expect_err("a path outside").to_string();
        assert!(error.contains("stay inside the dataset repo"), "{error}");
    }
    let manifest = r#"["one"]"#;
    let whole = |sha: &str| {
        let variables =
            [("HELDOUT_DATASET", "hf://o/n?revision=abc"), ("PRIVATE_HELDOUT_HF_MANIFEST_SHA256", sha)];
        pool(&with_manifest(manifest), &variables)
    };
    assert_eq!(whole(&sha256(manifest.as_bytes())).expect("the manifest"), ["one"]);
    let error = whole(&sha256(b"other")).expect_err("another manifest").to_string();
    assert!(error.contains("sha256 mismatch for manifest.json"), "{error}");
}

#[test]
fn a_manifests_suffix_says_how_it_is_read() {
    let read = |name: &str, text: &str| {
        let dataset = format!("hf://o/n?revision=abc&manifest={name}");
        pool(&with_manifest(text), &[("HELDOUT_DATASET", dataset.as_str())])
    };
    let lines = "\"one\"\r\n\r\n {\"text\": \"two\"} \nthree\n";
    assert_eq!(read("m.jsonl", lines).expect("lines of JSON"), ["one", "three", "two"]);
    assert_eq!(read("m.txt", lines).expect("lines"), ["\"one\"", "three", "{\"text\": \"two\"}"]);
    assert!(read("manifest.json", lines).expect_err("no JSON").to_string().contains("invalid JSON"));
}

#[test]
fn a_file_of_the_hub_has_a_folder_of_its_own_in_the_cache() {
    struct Keys(RefCell<Vec<String>>);
    impl Files for Keys {
        fn resolve(&self, path: &str) -> String {
            path.to_owned()
        }
        fn absolute(&self, path: &str) -> String {
            path.to_owned()
        }
        fn is_file(&self, _: &str) -> bool {
            false
        }
        fn read(&self, _: &str) -> Result<Vec<u8>, ReadError> {
            Err(ReadError::NotFound)
        }
        fn fetch(&self, source: &HubSource, path: &str) -> Result<Vec<u8>, Halt> {
            self.0.borrow_mut().push(source.cache_key(path));
            Ok(br#"["one"]"#.to_vec())
        }
        fn fetch_rows(&self, _: &str, _: &str, _: &str, _: u64, _: u64) -> Result<Value, Halt> {
            unreachable!("no rows are asked for")
        }
    }
    let keys = Keys(RefCell::default());
    let environment = environment(&[("HELDOUT_DATASET", "hf://o/n?revision=abc")]);
    choose_documents(&environment, None, &keys).expect("the manifest");
    assert_eq!(keys.0.borrow()[0], sha256(b"o/n:abc:manifest.json")[..24]);
}
