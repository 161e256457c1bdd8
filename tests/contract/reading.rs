//! How much is read before an artifact is judged: its headers, however long it is, and each list of documents once.

use std::cell::RefCell;

use bitgauge_core::container::{Need, Root, Window, fetch_and_open};
use bitgauge_core::contract::documents::{Files, HubSource, ReadError};
use bitgauge_core::contract::python::Value;
use bitgauge_core::contract::{Halt, Limits, RuleSet, Rules, choose_documents};
use bitgauge_core::inspect::report;
use bitgauge_core::inventory::Inventory;
use native_eval::LocalFiles;
use properties::write;

use crate::environment;

/// What a file's headers may take: a beginning, an end, and what these point at.
const MOST_RANGES: usize = 8;
const MOST_BYTES: u64 = 512 << 10;

/// The ranges that are read to judge a file of `len` bytes by its headers. `read` gives `len` bytes at `offset`.
fn ranges(name: &str, len: u64, read: impl Fn(usize, usize) -> Vec<u8>) -> Vec<Need> {
    let mut ranges = Vec::new();
    let mut window = Window::new(vec![(name.to_owned(), len)]);
    let artifact = fetch_and_open(&mut window, Root::File, |need| {
        ranges.push(need);
        Ok(read(need.offset as usize, need.len as usize))
    });
    let artifact = artifact.expect("an artifact");
    let inventory = Inventory::of(&artifact).expect("an inventory");
    assert!(!report(name, &inventory, Rules::Binary, None).gates.is_empty());
    ranges
}

/// The same for a safetensors file that holds one tensor of so many bytes, all zeros.
fn ranges_of_one_tensor(bytes: u64) -> Vec<Need> {
    let entry = format!(r#"{{"w":{{"dtype":"U8","shape":[{bytes}],"data_offsets":[0,{bytes}]}}}}"#);
    let header = write::safetensors(&entry, &[]);
    ranges("m.safetensors", header.len() as u64 + bytes, |offset, len| {
        let mut piece: Vec<u8> = header.iter().skip(offset).take(len).copied().collect();
        piece.resize(len, 0);
        piece
    })
}

/// Whether a file's headers were all that was read of it.
fn are_headers(ranges: &[Need]) -> bool {
    ranges.len() <= MOST_RANGES && ranges.iter().map(|range| range.len).sum::<u64>() <= MOST_BYTES
}

#[test]
fn headers_alone_are_read_to_judge_by_them() {
    let demo = std::fs::read(conformance::fixtures().join("../../demo/model.zip")).expect("the demo");
    let of_demo = ranges("model.zip", demo.len() as u64, |offset, len| demo[offset..][..len].to_vec());
    assert!(are_headers(&of_demo), "{of_demo:?}");
    let of_long = ranges_of_one_tensor(1 << 40);
    assert!(are_headers(&of_long), "{of_long:?}");
    assert_eq!(of_long.len(), ranges_of_one_tensor(1 << 20).len());
    // A reader that fetched the whole demo would be noticed.
    assert!(!are_headers(&[Need { file: 0, offset: 0, len: demo.len() as u64 }]));
}

/// Local files, and which of them were read.
struct Counted {
    files: LocalFiles,
    read: RefCell<Vec<String>>,
}

impl Files for Counted {
    fn resolve(&self, path: &str) -> String {
        self.files.resolve(path)
    }

    fn absolute(&self, path: &str) -> String {
        self.files.absolute(path)
    }

    fn is_file(&self, path: &str) -> bool {
        self.files.is_file(path)
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.read.borrow_mut().push(path.to_owned());
        self.files.read(path)
    }

    fn fetch(&self, _: &HubSource, _: &str) -> Result<Vec<u8>, Halt> {
        panic!("nothing is fetched for a local manifest")
    }

    fn fetch_rows(&self, _: &str, _: &str, _: &str, _: u64, _: u64) -> Result<Value, Halt> {
        panic!("nothing is fetched for a local manifest")
    }
}

#[test]
fn a_list_of_documents_is_read_once() {
    let documents = conformance::fixtures().join("../../demo/documents.json");
    let environment = environment(&[
        ("HELDOUT_DATASET", "validator-private-shard"),
        ("PRIVATE_HELDOUT_MANIFEST", documents.to_str().expect("a UTF-8 path")),
    ]);
    let files = LocalFiles::new(&std::env::current_dir().expect("a folder"));
    let files = Counted { files, read: RefCell::default() };
    let chosen = choose_documents(&environment, None, &files).expect("documents");
    let limits = Limits::of(&RuleSet::binary()).expect("limits");
    assert!(chosen.len() == 16 && limits.max_parameter_count > 0);
    assert_eq!(files.read.borrow().len(), 1, "{:?}", files.read.borrow());
}
