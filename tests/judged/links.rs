//! Hard links in tars: another name for the bytes of a file before.

use bitgauge_core::Result;
use bitgauge_core::accounting::Accounting;
use bitgauge_core::container::{Artifact, Root};
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::Scan;
use properties::write::safetensors;

use crate::model::open;
use crate::tars::{BLOCK, header, member, record};

/// A link of this name to that one.
fn link(name: &str, target: &str) -> Vec<u8> {
    let mut block = header(name, b'1', b"0");
    block[157..157 + target.len()].copy_from_slice(target.as_bytes());
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

fn tar(members: &[Vec<u8>]) -> Vec<u8> {
    [members.concat(), vec![0; 2 * BLOCK]].concat()
}

fn opened(members: &[Vec<u8>]) -> Result<Artifact> {
    open(&[("m.tar".to_owned(), tar(members))], Root::File)
}

/// Names, and the file whose bytes each has.
fn names(members: &[Vec<u8>]) -> Vec<(String, Option<usize>)> {
    let members = opened(members).expect("a sound tar").members;
    members.into_iter().map(|member| (member.name, member.hard_link)).collect()
}

#[test]
fn a_link_has_the_bytes_of_the_file_before_it() {
    let file = || member("a.json", b'0', b"hello");
    let wanted = |name: &str| vec![("a.json".to_owned(), None), (name.to_owned(), Some(0))];
    assert_eq!(names(&[file(), link("b.json", "a.json")]), wanted("b.json"));
    assert_eq!(names(&[file(), link("sub/b.json", "./a.json")]), wanted("sub/b.json"));
    // Where the header has no room for the target, GNU and pax say it beside the header.
    let long = [member("l", b'K', b"a.json\0"), link("b.json", "a.jso")].concat();
    assert_eq!(names(&[file(), long]), wanted("b.json"));
    let by_record = [member("p", b'x', &record("linkpath", "a.json")), link("b.json", "a.jso")].concat();
    assert_eq!(names(&[file(), by_record]), wanted("b.json"));
    // A link to a link, and what follows: nothing lies between.
    let config = member("config.json", b'0', br#"{"model_type": "other"}"#);
    let members = [file(), link("b.json", "a.json"), link("c.json", "b.json"), config];
    let artifact = opened(&members).expect("a sound tar");
    let places: Vec<_> = artifact.members.iter().map(|member| (member.offset, member.bytes)).collect();
    assert_eq!(places, [(512, 5), (512, 5), (512, 5), (2_560, 23)]);

    let bytes = tar(&members);
    let inventory = Inventory::of(&artifact).expect("an inventory");
    let mut scan = Scan::new(&inventory);
    scan.begin_file(0).expect("a file");
    bytes.chunks(100).for_each(|piece| scan.push(piece).expect("sound bytes"));
    let hashes = scan.finish().expect("a whole file").members;
    let hello = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    assert_eq!(hashes[..3], [Some(hello.to_owned()), Some(hello.to_owned()), Some(hello.to_owned())]);
    assert!(hashes[3].as_deref().is_some_and(|hash| hash != hello));
}

#[test]
fn shared_bytes_are_counted_once() {
    let config = member("config.json", b'0', br#"{"model_type": "other"}"#);
    let weights = safetensors(r#"{"t":{"dtype":"U8","shape":[700],"data_offsets":[0,700]}}"#, &[7; 700]);
    let by_name = |file: &str, link_name: &str| {
        let artifact = opened(&[config.clone(), member(file, b'0', &weights), link(link_name, file)]);
        let artifact = artifact.expect("a sound tar");
        assert_eq!(artifact.tensors.len(), 1);
        let accounting = Accounting::of(&Inventory::of(&artifact).expect("an inventory"));
        let sum: u64 = accounting.buckets.iter().map(|entry| entry.bits).sum();
        assert_eq!(sum - accounting.saved_by_compression_bits, 8 * artifact.size_bytes);
        accounting.buckets
    };
    // Whichever of the names makes tensors of them.
    assert_eq!(by_name("model.safetensors", "copy.bin"), by_name("copy.bin", "model.safetensors"));
}

#[test]
fn other_links_are_refused() {
    let file = || member("a.json", b'0', b"hello");
    let refused = |members: &[Vec<u8>], what: &str| {
        let error = opened(members).expect_err(what);
        assert!(error.what.contains(what), "not {what}: {error}");
    };
    let no_file = "leads to no file before it";
    for target in ["absent", "sub/../a.json", "../a.json", "/a.json", "", "A.json"] {
        refused(&[file(), link("b.json", target)], no_file);
    }
    refused(&[link("b.json", "a.json"), file()], no_file);
    refused(&[member("sub/", b'5', b""), link("b", "sub")], no_file);
    refused(&[file(), link("a.json", "a.json")], "occurs twice");
    let sized = |kind| header("b.json", kind, b"5");
    refused(&[file(), sized(b'1')], "a hard link has contents");
    let both = [
        member("l", b'K', b"a.json\0"),
        member("p", b'x', &record("linkpath", "a.json")),
        link("b.json", "a.json"),
    ];
    refused(&[vec![file()], both.to_vec()].concat(), "described twice");
    // What was said about a link's target says nothing about the next.
    let aside = [member("l", b'K', b"a.json\0"), member("c", b'0', b"")].concat();
    refused(&[file(), aside, link("b.json", "absent")], no_file);
}
