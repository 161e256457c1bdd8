//! Which files are the model: config.json, single files, shards.

use bitgauge_core::ErrorKind::{BadName, Malformed, Missing, TooLarge, Truncated};
use bitgauge_core::container::{Pause, Root, Window, open};
use bitgauge_core::limits;

use crate::support::{
    Store, assert_fault, bytes, model_zip, noise, one_tensor, open_file, open_folder, two_tensors, zip,
};

const INDEX: &str = "model.safetensors.index.json";
const FIRST: &str = "model-00001-of-00002.safetensors";
const SECOND: &str = "model-00002-of-00002.safetensors";

fn index(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> = pairs.iter().map(|(tensor, shard)| format!("{tensor:?}:{shard:?}")).collect();
    format!(r#"{{"metadata":{{"total_size":6}},"weight_map":{{{}}}}}"#, pairs.join(","))
}

fn open_shards(index: &str) -> bitgauge_core::Result<bitgauge_core::container::Artifact> {
    let (first, second) = (one_tensor("x", b"123"), one_tensor("y", b"456"));
    open_folder(&[
        ("config.json", b"{}"),
        (INDEX, index.as_bytes()),
        (FIRST, &first),
        (SECOND, &second),
        ("other.safetensors", b"not even a header"),
    ])
}

#[test]
fn shards() {
    let artifact = open_shards(&index(&[("x", FIRST), ("y", SECOND)])).unwrap();
    let names: Vec<&str> = artifact.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!(artifact.members.iter().filter(|member| member.header.is_some()).count(), 2);

    let error = assert_fault(
        open_shards(&index(&[("x", FIRST), ("y", SECOND), ("z", "model-00003.safetensors")])),
        Missing,
        "shards are missing",
    );
    assert!(error.found.contains("model-00003.safetensors") && error.place == INDEX, "{error}");
    // Which tensor the index says is where counts for nothing, as in transformers.
    let (two, only_a) = (two_tensors(), index(&[("a", FIRST)]));
    assert_eq!(open_folder(&[(FIRST, &two), (INDEX, only_a.as_bytes())]).unwrap().tensors.len(), 2);
    for other in [&[("x", FIRST), ("y", SECOND), ("z", SECOND)][..], &[("x", SECOND), ("y", FIRST)]] {
        assert_eq!(open_shards(&index(other)).unwrap().tensors.len(), 2);
    }
    assert_fault(open_shards(&index(&[("x", FIRST), ("x", SECOND)])), Malformed, "shard index is damaged");
    assert_fault(open_shards(&index(&[("x", "../x.safetensors")])), BadName, "unsafe");
    assert_fault(open_shards("{\"weight_map\":"), Malformed, "shard index is damaged");
    assert_fault(open_shards("{}"), Malformed, "shard index is damaged");
}

#[test]
fn without_index_or_single_file_all_weights_count() {
    let (first, second) = (one_tensor("x", b"123"), one_tensor("y", b"456"));
    let files: [(&str, &[u8]); 3] =
        [("b.safetensors", &second), ("a.safetensors", &first), ("deep/c.safetensors", b"?")];
    let artifact = open_folder(&files).unwrap();
    let names: Vec<&str> = artifact.tensors.iter().map(|t| t.name.as_str()).collect();
    assert_eq!(names, ["x", "y"]);
    assert_eq!((artifact.model_dir.as_deref(), artifact.config.as_deref()), (None, None));
    assert_fault(artifact.expect_config().map(<[u8]>::to_vec), Missing, "no config.json");

    let error = assert_fault(
        open_folder(&[("a.safetensors", &first), ("b.safetensors", &first)]),
        Malformed,
        "stored in two files",
    );
    assert_eq!(error.place, "b.safetensors: x");
    let single = open_folder(&[("a.safetensors", b"?"), ("model.safetensors", &first)]).unwrap();
    assert_eq!(single.tensors.len(), 1);
}

#[test]
fn the_nearest_config_is_the_models() {
    let weights = two_tensors();
    let model = ("one/model.safetensors", weights.as_slice());
    let dir = |files: &[(&str, &[u8])]| open_folder(files).map(|a| (a.model_dir, a.tensors.len()));
    assert_eq!(dir(&[("one/config.json", b"{}"), model]).unwrap(), (Some("one".into()), 2));
    assert_eq!(
        dir(&[("a/b/config.json", b"{}"), ("one/config.json", b"{}"), model]).unwrap(),
        (Some("one".into()), 2)
    );
    assert_eq!(
        dir(&[("config.json", b"{}"), ("one/config.json", b"{}"), model]).unwrap(),
        (Some(String::new()), 0)
    );
    let error = assert_fault(
        dir(&[("two/config.json", b"{}"), ("one/config.json", b"{}"), model]),
        Malformed,
        "which config.json",
    );
    assert!(error.place.contains("one") && error.found.contains("two"), "{error}");
    assert_eq!(dir(&[("my_config.json", b"{}"), ("config.json.bak", b"")]).unwrap(), (None, 0));
}

#[test]
fn folders_have_plain_names() {
    assert_fault(open_folder(&[("../a", b"")]), BadName, "unsafe");
    assert_fault(open_folder(&[("a", b""), ("a", b"")]), BadName, "occurs twice");
    assert_fault(open_folder(&[("a", b""), ("a/b", b"")]), BadName, "used as a folder");
}

#[test]
fn caps() {
    let long = vec![b' '; limits::CONFIG_BYTES as usize + 1];
    assert_fault(open_folder(&[("config.json", &long)]), TooLarge, "the file is too long");
    // The same hidden in a few kilobytes: the declared length is enough to refuse it.
    let bomb = zip(&[("config.json", &long, Store::Deflated)]);
    assert!(bomb.len() < 20_000);
    let error = assert_fault(open_file("m.zip", &bomb), TooLarge, "the file is too long");
    assert_eq!(error.place, "m.zip: config.json");
    assert_fault(open_folder(&[("model.safetensors", b"1234567")]), Truncated, "ends too early");
}

#[test]
fn headers_are_read_out_of_deflated_members() {
    // 20,000 tensors: a header of over a megabyte, so several rounds of inflating.
    let mut entries = Vec::new();
    for i in 0..20_000 {
        entries.push(format!(
            r#""layers.{i}.weight":{{"dtype":"U8","shape":[1],"data_offsets":[{i},{}]}}"#,
            i + 1
        ));
    }
    let data = noise(3, 20_000);
    let weights = crate::support::safetensors(&format!("{{{}}}", entries.join(",")), &data);
    let deflated = zip(&[("model.safetensors", &weights, Store::Deflated)]);
    let artifact = open_file("m.zip", &deflated).unwrap();
    assert_eq!(artifact.tensors.len(), 20_000);
    assert_eq!(artifact.tensors[77].name, "layers.77.weight");
    assert_eq!(artifact.tensors[19_999].offset, weights.len() as u64 - 1);
    assert_eq!(open_file("m.zip", &model_zip()).unwrap().tensors.len(), 2);
}

/// Opens while counting how often the parser stopped for more bytes.
fn round_trips(files: &[(String, Vec<u8>)], root: Root) -> usize {
    let mut window =
        Window::new(files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect());
    for trips in 0.. {
        match open(&window, root) {
            Ok(_) => return trips,
            Err(Pause::Need(needs)) => {
                for need in needs {
                    let range = need.offset as usize..(need.offset + need.len) as usize;
                    window.feed(need.file, need.offset, files[need.file].1[range].to_vec()).unwrap();
                }
            }
            Err(Pause::Unpack(compressor)) => panic!("no compressed tar: {compressor:?}"),
            Err(Pause::Failed(error)) => panic!("{error}"),
        }
    }
    unreachable!("the count does not end")
}

#[test]
fn the_number_of_round_trips_does_not_grow_with_the_files() {
    let mut random = fastrand::Rng::with_seed(5);
    let mut pairs = Vec::new();
    let mut files = vec![("config.json".to_owned(), b"{}".to_vec())];
    for i in 0..60 {
        let shard = format!("s{i:02}.safetensors");
        files.push((shard.clone(), one_tensor(&format!("t{i}"), &bytes(&mut random, 100_000))));
        pairs.push((format!("t{i}"), shard));
    }
    let pairs: Vec<(&str, &str)> = pairs.iter().map(|(t, s)| (t.as_str(), s.as_str())).collect();
    files.push((INDEX.to_owned(), index(&pairs).into_bytes()));
    assert_eq!(round_trips(&files, Root::Folder), 1);

    let members: Vec<_> = files.iter().map(|(n, b)| (n.as_str(), b.as_slice(), Store::Plain)).collect();
    let archive = zip(&members);
    // Both ends; all local headers; all headers of the shards.
    assert_eq!(round_trips(&[("m.zip".to_owned(), archive)], Root::File), 3);
}
