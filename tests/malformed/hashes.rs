//! Hashes of tensors, and metadata, as a report repeats them.

use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::limits;
use bitgauge_core::report::Report;
use bitgauge_core::scan::{Left, RangeHashes, Scan};
use sha2::{Digest, Sha256};

use crate::support::{Store, bytes, open_file, open_folder, safetensors, tar, zip};

const CONFIG: &[u8] = br#"{"model_type": "other"}"#;

/// Tensors of odd lengths, an empty one among them and one at the end; and their bytes by name.
fn weights() -> (Vec<u8>, Vec<(String, Vec<u8>)>) {
    let mut random = fastrand::Rng::with_seed(3);
    let tensors: Vec<(String, Vec<u8>)> = [1, 70_001, 0, 513, 4_096, 0]
        .iter()
        .enumerate()
        .map(|(i, len)| (format!("t{i}"), bytes(&mut random, *len)))
        .collect();
    let mut offset = 0;
    let entries: Vec<String> = (tensors.iter())
        .map(|(name, bytes)| {
            let (start, len) = (offset, bytes.len());
            offset += len;
            format!(r#""{name}":{{"dtype":"U8","shape":[{len}],"data_offsets":[{start},{offset}]}}"#)
        })
        .collect();
    let data: Vec<u8> = tensors.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    (safetensors(&format!("{{{}}}", entries.join(",")), &data), tensors)
}

fn report(bytes: &[u8], hash_tensors: bool, piece: usize) -> Report {
    let artifact = open_file("m", bytes).expect("an artifact");
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let mut scan = Scan::new(&inventory);
    if hash_tensors {
        scan.hash_tensors();
    }
    scan.begin_file(0).expect("a file");
    bytes.chunks(piece).for_each(|piece| scan.push(piece).expect("sound bytes"));
    inspect::report("m", &inventory, Rules::Binary, Some(&scan.finish().expect("a whole file")))
}

#[test]
fn each_tensor_has_the_hash_of_its_bytes() {
    let (file, tensors) = weights();
    let hex =
        |bytes: &[u8]| -> String { Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect() };
    let zipped = |store| zip(&[("config.json", CONFIG, store), ("model.safetensors", &file, store)]);
    let plain = tar(&[("config.json", CONFIG), ("model.safetensors", &file)]);
    for bytes in [zipped(Store::Plain), zipped(Store::Deflated), plain, file.clone()] {
        for piece in [1, 509, 1 << 20] {
            let found = report(&bytes, true, piece).tensors.expect("hashes");
            assert_eq!(found.len(), tensors.len());
            for tensor in found {
                let (_, bytes) = tensors.iter().find(|(name, _)| *name == tensor.name).expect("the tensor");
                assert_eq!(
                    (tensor.sha256, tensor.bytes),
                    (hex(bytes), bytes.len() as u64),
                    "{}",
                    tensor.name
                );
            }
        }
        let without = report(&bytes, false, 1 << 20);
        assert!(without.tensors.is_none() && !without.to_json().contains("\"tensors\": ["));
    }
}

#[test]
fn others_may_hash_what_is_stored_as_it_is() {
    let (file, _) = weights();
    let zipped = |store| zip(&[("config.json", CONFIG, store), ("model.safetensors", &file, store)]);
    let plain = tar(&[("config.json", CONFIG), ("model.safetensors", &file)]);
    // How many members are left to others.
    for (bytes, left) in
        [(zipped(Store::Plain), 2), (zipped(Store::Deflated), 0), (plain, 2), (file.clone(), 1)]
    {
        let artifact = open_file("m", &bytes).expect("an artifact");
        let inventory = Inventory::of(&artifact).expect("an inventory");
        let mut whole = Scan::new(&inventory);
        let mut scan = Scan::new(&inventory);
        let ranges = scan.leave_hashes(&[bytes.len() as u64]);
        assert_eq!((ranges.members.len(), ranges.file), (left, Some((0, bytes.len() as u64))));
        let mut others = [ranges.members, ranges.file.into_iter().collect()].map(RangeHashes::new);
        for scan in [&mut scan, &mut whole] {
            scan.begin_file(0).expect("a file");
        }
        for piece in bytes.chunks(509) {
            for scan in [&mut scan, &mut whole] {
                scan.push(piece).expect("sound bytes");
            }
            others.iter_mut().for_each(|other| other.push(piece));
        }
        let [mut findings, whole] = [scan, whole].map(|scan| scan.finish().expect("a whole file"));
        assert_ne!(findings, whole);
        let too_many = Left { members: vec![String::new(); left + 1], file: None };
        assert!(findings.clone().complete(too_many).is_err());
        let [members, file] = others.map(RangeHashes::finish);
        findings.complete(Left { members, file: file.into_iter().next() }).expect("all hashes");
        assert_eq!(findings, whole);
    }
}

#[test]
fn ranges_of_a_folder_run_through_its_files() {
    let (weights, _) = weights();
    let files = [("config.json", CONFIG), ("model.safetensors", &weights[..])];
    let artifact = open_folder(&files).expect("an artifact");
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let lengths = files.map(|(_, bytes)| bytes.len() as u64);
    let ranges = Scan::new(&inventory).leave_hashes(&lengths);
    let members = vec![(0, lengths[0]), (lengths[0], lengths[0] + lengths[1])];
    assert_eq!(ranges, Left { members, file: None });
}

#[test]
fn metadata_is_repeated_up_to_its_cap() {
    let with = |metadata: &str| {
        let header =
            format!(r#"{{"__metadata__":{metadata},"a":{{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}}}"#);
        let found = report(&safetensors(&header, &[7]), false, 1 << 20);
        assert_eq!(Report::from_json(&found.to_json()).expect("its own JSON").artifact, found.artifact);
        let [member] = &found.artifact.members[..] else { panic!("one file") };
        member.metadata.iter().map(|entry| (entry.key.clone(), entry.value.clone())).collect::<Vec<_>>()
    };
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(with("{}"), []);
    assert_eq!(with(r#"{"format":"pt","b":"<i>\n"}"#), [pair("format", "pt"), pair("b", "<i>\n")]);
    let long = "ä".repeat(limits::METADATA_BYTES);
    let cut = with(&format!(r#"{{"k":"{long}","format":"pt"}}"#));
    assert_eq!(cut, [pair("k", &long[..limits::METADATA_BYTES - 2])], "whole characters only");
}
