//! The native reader: the bytes it gives, from disk and from memory, and its faults.

use std::fs;

use bitgauge_core::ErrorKind::{Checksum, Io, TooLarge};
use native_eval::Source;

use crate::support::{CENTRAL, LOCAL, Store, assert_fault, headers, open_file, patched, safetensors, zip};

const CONFIG: &[u8] = br#"{"model_type":"qwen3"}"#;

/// Twelve tensors of 200 kB, of which every byte differs from place to place; and their bytes.
fn weights() -> (Vec<u8>, Vec<Vec<u8>>) {
    let mut random = fastrand::Rng::with_seed(11);
    let tensors: Vec<Vec<u8>> =
        (0..12).map(|_| (0..50_000).flat_map(|_| random.u32(..1000).to_le_bytes()).collect()).collect();
    let entries: Vec<String> = (0..12)
        .map(|i| {
            let offsets = [i * 200_000, (i + 1) * 200_000];
            format!(r#""t{i:02}":{{"dtype":"U32","shape":[50000],"data_offsets":{offsets:?}}}"#)
        })
        .collect();
    (safetensors(&format!("{{{}}}", entries.join(",")), &tensors.concat()), tensors)
}

fn archive(store: Store) -> (Vec<u8>, Vec<Vec<u8>>) {
    let (file, tensors) = weights();
    (zip(&[("config.json", CONFIG, Store::Deflated), ("model.safetensors", &file, store)]), tensors)
}

/// Reads everything in file order, then some of it backwards.
fn check(mut source: Source, tensors: &[Vec<u8>]) {
    let entries = source.artifact().tensors.clone();
    assert_eq!(entries.len(), tensors.len());
    for (entry, bytes) in entries.iter().zip(tensors) {
        assert!(source.read_tensor(entry).unwrap() == *bytes, "{}", entry.name);
    }
    for (entry, bytes) in entries.iter().zip(tensors).rev().step_by(5) {
        assert!(source.read_tensor(entry).unwrap() == *bytes, "{} going back", entry.name);
    }
    let weights = entries[0].member;
    let mut streamed = Vec::new();
    let piece = |piece: &[u8]| {
        assert!(piece.len() <= 1 << 20);
        streamed.extend_from_slice(piece);
        Ok(())
    };
    source.stream_member(weights, &mut { piece }).unwrap();
    assert!(streamed.ends_with(&tensors.concat()));
    assert!(source.read_member(weights, 1 << 30).unwrap() == streamed);
    if let Some(config) = source.artifact().find_beside_config("config.json") {
        assert_eq!(source.read_member(config, 1000).unwrap(), CONFIG);
        assert_fault(source.read_member(config, 10), TooLarge, "the file is too long");
    }
}

#[test]
fn every_container_gives_the_same_tensors() {
    let folder = tempfile::tempdir().unwrap();
    let (file, tensors) = weights();
    for store in [Store::Plain, Store::Deflated, Store::Plain64] {
        let (bytes, _) = archive(store);
        let path = folder.path().join("m.zip");
        fs::write(&path, &bytes).unwrap();
        check(Source::open(&path).unwrap(), &tensors);
        check(Source::from_bytes("m.zip", bytes).unwrap(), &tensors);
    }
    let bare = folder.path().join("named-otherwise.bin");
    fs::write(&bare, &file).unwrap();
    check(Source::open(&bare).unwrap(), &tensors);

    let model = folder.path().join("model");
    fs::create_dir_all(model.join("inner")).unwrap();
    fs::write(model.join("inner/config.json"), CONFIG).unwrap();
    fs::write(model.join("inner/model.safetensors"), &file).unwrap();
    fs::write(model.join("README.md"), "about").unwrap();
    let source = Source::open(&model).unwrap();
    let names: Vec<&str> = source.artifact().members.iter().map(|m| m.name.as_str()).collect();
    assert_eq!(names, ["README.md", "inner/config.json", "inner/model.safetensors"]);
    assert_eq!(source.artifact().size_bytes, (file.len() + CONFIG.len() + 5) as u64);
    check(source, &tensors);
}

#[test]
fn a_flipped_byte_fails_the_checksum() {
    for store in [Store::Plain, Store::Deflated] {
        let (bytes, _) = archive(store);
        let member = open_file("m.zip", &bytes).unwrap().members[1].clone();
        // Near the end, so that the header stays whole.
        let at = (member.offset + member.stored_bytes - 5000) as usize;
        let broken = patched(&bytes, &[(at, &[bytes[at] ^ 4])]);
        let mut source = Source::from_bytes("m.zip", broken).unwrap();
        let error = source.read_member(1, 1 << 30).unwrap_err();
        assert_eq!(error.place, "m.zip: model.safetensors");
        if matches!(store, Store::Plain) {
            assert_fault(Err::<(), _>(error), Checksum, "checksum");
        } else {
            let entries = source.artifact().tensors.clone();
            let faults = entries.iter().filter(|entry| source.read_tensor(entry).is_err()).count();
            assert!(faults > 0, "tensors of a damaged deflated member were all read");
        }
    }
}

#[test]
fn the_last_tensor_of_a_deflated_member_proves_the_checksum() {
    let (bytes, _) = archive(Store::Deflated);
    let (c, l) = (headers(&bytes, CENTRAL)[1], headers(&bytes, LOCAL)[1]);
    let crc: &[u8] = &[1, 2, 3, 4];
    let mut source = Source::from_bytes("m.zip", patched(&bytes, &[(c + 16, crc), (l + 14, crc)])).unwrap();
    let entries = source.artifact().tensors.clone();
    let (last, others) = entries.split_last().unwrap();
    for entry in others {
        source.read_tensor(entry).unwrap();
    }
    let error = assert_fault(source.read_tensor(last), Checksum, "checksum");
    assert_eq!(error.place, "m.zip: model.safetensors: t11");
}

#[test]
fn what_the_operating_system_refuses() {
    let folder = tempfile::tempdir().unwrap();
    let error = assert_fault(Source::open(&folder.path().join("absent.zip")), Io, "cannot be read");
    assert!(error.place.ends_with("absent.zip") && error.hint.is_some(), "{error}");

    // A file that vanishes after it was listed.
    let path = folder.path().join("model.safetensors");
    fs::write(&path, weights().0).unwrap();
    let mut source = Source::open(folder.path()).unwrap();
    let entry = source.artifact().tensors[0].clone();
    fs::write(&path, b"short").unwrap();
    let error = assert_fault(source.read_tensor(&entry), Io, "cannot be read");
    assert!(error.place.ends_with("model.safetensors: t00"), "{error}");
}

/// As huggingface_hub lays a model out: files in blobs/, links to them in snapshots/REVISION/.
#[cfg(unix)]
#[test]
fn links_of_a_snapshot_are_followed_to_its_blobs() {
    use bitgauge_core::ErrorKind::Unsupported;
    use std::os::unix::fs::symlink;

    let cache = tempfile::tempdir().unwrap();
    let repository = cache.path().join("models--owner--name");
    let snapshot = repository.join("snapshots/0123abc");
    fs::create_dir_all(&snapshot).unwrap();
    fs::create_dir_all(repository.join("blobs")).unwrap();
    let (bytes, _) = weights();
    fs::write(repository.join("blobs/4d2f"), &bytes).unwrap();
    symlink("../../blobs/4d2f", snapshot.join("model.safetensors")).unwrap();
    let mut source = Source::open(&snapshot).unwrap();
    let entry = source.artifact().tensors[0].clone();
    source.read_tensor(&entry).unwrap();
    // A second name of a file that is there.
    symlink("model.safetensors", snapshot.join("same.safetensors")).unwrap();
    Source::open(&snapshot).unwrap();

    // The blobs of another repository, a folder, nothing, and itself.
    let other = cache.path().join("models--owner--other/blobs");
    fs::create_dir_all(&other).unwrap();
    fs::write(other.join("4d2f"), &bytes).unwrap();
    for target in ["../../../models--owner--other/blobs/4d2f", "../../blobs", "../../blobs/absent", "link"] {
        symlink(target, snapshot.join("link")).unwrap();
        let error = assert_fault(Source::open(&snapshot), Unsupported, "not a regular file");
        assert_eq!(error.found, "a symbolic link");
        fs::remove_file(snapshot.join("link")).unwrap();
    }
}

#[cfg(unix)]
#[test]
fn links_are_refused() {
    use bitgauge_core::ErrorKind::{BadName, Unsupported};
    use std::os::unix::ffi::OsStrExt;

    let folder = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("config.json")).unwrap();
    let error = assert_fault(Source::open(folder.path()), Unsupported, "not a regular file");
    assert_eq!(error.found, "a symbolic link");
    fs::remove_file(folder.path().join("config.json")).unwrap();
    fs::write(folder.path().join(std::ffi::OsStr::from_bytes(b"c\xff")), b"").unwrap();
    assert_fault(Source::open(folder.path()), BadName, "not UTF-8");
}
