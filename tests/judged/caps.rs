//! Just under, at and over each cap.

use bitgauge_core::container::Root;
use bitgauge_core::{ErrorKind, limits};
use properties::write::safetensors;
use serde_json::{Map, Value, json};

use crate::model::open;

fn open_weights(bytes: Vec<u8>) -> bitgauge_core::Result<bitgauge_core::container::Artifact> {
    open(&[("m.safetensors".to_owned(), bytes)], Root::File)
}

#[test]
fn the_longest_header_is_not_too_long() {
    let declared = |length: u64| {
        let bytes = [&length.to_le_bytes()[..], b"{}"].concat();
        open_weights(bytes).expect_err("a header that is not there").kind
    };
    let most = limits::SAFETENSORS_HEADER_BYTES;
    assert_eq!(declared(most - 1), ErrorKind::Truncated);
    assert_eq!(declared(most), ErrorKind::Truncated);
    assert_eq!(declared(most + 1), ErrorKind::TooLarge);
}

#[test]
fn the_most_dimensions_are_not_too_many() {
    let shaped = |dimensions: usize| {
        let entry = json!({"dtype": "U8", "shape": vec![1; dimensions], "data_offsets": [0, 1]});
        open_weights(safetensors(&json!({"t": entry}).to_string(), b"x"))
            .map(|artifact| artifact.tensors.len())
    };
    assert_eq!(shaped(0), Ok(1));
    assert_eq!(shaped(limits::TENSOR_DIMENSIONS), Ok(1));
    let error = shaped(limits::TENSOR_DIMENSIONS + 1).expect_err("one too many");
    assert_eq!((error.kind, error.what.as_str()), (ErrorKind::TooLarge, "a tensor has too many dimensions"));
}

#[test]
fn the_most_tensors_are_not_too_many() {
    let of = |count: usize| {
        let mut header = String::with_capacity(60 * count);
        for number in 0..count {
            let comma = if number == 0 { '{' } else { ',' };
            header +=
                &format!("{comma}\"{number}\":{{\"dtype\":\"U8\",\"shape\":[0],\"data_offsets\":[0,0]}}");
        }
        open_weights(safetensors(&(header + "}"), b"")).map(|artifact| artifact.tensors.len())
    };
    assert_eq!(of(limits::TENSORS_COUNT), Ok(limits::TENSORS_COUNT));
    let error = of(limits::TENSORS_COUNT + 1).expect_err("one too many");
    assert_eq!((error.kind, error.what.as_str()), (ErrorKind::TooLarge, "too many tensors"));
}

/// What a report repeats of this metadata.
fn kept(pairs: &[(&str, String)]) -> Vec<(String, String)> {
    let mut metadata = Map::new();
    pairs.iter().for_each(|(key, value)| _ = metadata.insert((*key).to_owned(), Value::from(value.as_str())));
    let header = json!({"__metadata__": metadata}).to_string();
    let mut artifact = open_weights(safetensors(&header, b"")).expect("a sound header");
    let [member] = &mut artifact.members[..] else { panic!("one file") };
    let entries = member.header.take().expect("a header").metadata.unwrap_or_default();
    entries.into_iter().map(|entry| (entry.key, entry.value)).collect()
}

#[test]
fn metadata_is_repeated_up_to_its_cap() {
    let most = limits::METADATA_BYTES;
    assert_eq!(kept(&[]), []);
    let same = |pairs: &[(&str, String)]| {
        let pairs: Vec<_> = pairs.iter().map(|(key, value)| ((*key).to_owned(), value.clone())).collect();
        assert_eq!(kept(&pairs.iter().map(|(k, v)| (k.as_str(), v.clone())).collect::<Vec<_>>()), pairs);
    };
    same(&[("a", "1".into()), ("format", "pt".into())]);
    // Keys and values share the cap: exactly filled, by one entry and by two.
    same(&[("a", "x".repeat(most - 1))]);
    same(&[("a", "x".repeat(most - 3)), ("b", "y".into())]);
    // One byte over: the value is cut, and what follows has no room.
    let long = "x".repeat(most);
    let cut = long[1..].to_owned();
    assert_eq!(kept(&[("a", long.clone())]), [("a".to_owned(), cut.clone())]);
    assert_eq!(kept(&[("a", long.clone()), ("b", "1".into())]), [("a".to_owned(), cut)]);
    // Two bytes are left: a key of two and nothing of its value, but no key of three.
    let nearly = "x".repeat(most - 3);
    let first = ("a".to_owned(), nearly.clone());
    assert_eq!(
        kept(&[("a", nearly.clone()), ("bc", "1".into())]),
        [first.clone(), ("bc".into(), String::new())]
    );
    assert_eq!(kept(&[("a", nearly.clone()), ("bcd", "1".into()), ("e", "".into())]), [first]);
    // A character is not cut in two: of `é` there are two bytes or none.
    let odd = kept(&[("a", "é".repeat(most))]);
    assert_eq!(odd[0].1, "é".repeat((most - 1) / 2));
}

#[test]
fn the_most_files_are_not_too_many() {
    let of = |count: u64| {
        let files: Vec<_> = (0..count).map(|number| (format!("{number}"), Vec::new())).collect();
        open(&files, Root::Folder).map(|artifact| artifact.members.len() as u64)
    };
    assert_eq!(of(limits::MEMBERS_COUNT), Ok(limits::MEMBERS_COUNT));
    let error = of(limits::MEMBERS_COUNT + 1).expect_err("one too many");
    assert_eq!((error.kind, error.what.as_str()), (ErrorKind::TooLarge, "the folder has too many files"));
}

#[test]
fn of_many_missing_shards_a_few_are_named() {
    let missing = |count: usize| {
        let names: Map<String, Value> = (0..count)
            .map(|number| (format!("t{number}"), format!("s{number}.safetensors").into()))
            .collect();
        let index = json!({ "weight_map": names }).to_string().into_bytes();
        let files =
            [("model.safetensors.index.json".to_owned(), index), ("config.json".to_owned(), b"{}".to_vec())];
        open(&files, Root::Folder).expect_err("no shard is there").found.clone()
    };
    let named = |found: &str| found.matches(".safetensors").count();
    let (few, many) = (missing(2), missing(40));
    assert!(named(&few) == 2 && !few.contains("more"), "{few}");
    assert!(named(&many) < 40 && many.ends_with(&format!(" and {} more", 40 - named(&many))), "{many}");
    // The longest list without a remainder.
    let most = named(&many);
    assert!(named(&missing(most)) == most && !missing(most).contains("more"));
    assert!(missing(most + 1).ends_with(" and 1 more"));
}
