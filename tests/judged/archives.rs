//! Zip archives that two readers would read as two.

use std::io::{Cursor, Write};

use bitgauge_core::ErrorKind;
use bitgauge_core::container::{Artifact, Root};
use zip::write::SimpleFileOptions;

use crate::model::{Model, open};

/// The end record's signature.
const END: &[u8] = b"PK\x05\x06";

/// The model as a zip, with this comment behind its end record.
fn commented(comment: &[u8]) -> bitgauge_core::Result<Artifact> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in Model::dense().files() {
        writer.start_file(name, SimpleFileOptions::default()).expect("a member");
        writer.write_all(&bytes).expect("a member");
    }
    let mut bytes = writer.finish().expect("a zip").into_inner();
    let end = bytes.len() - 22;
    assert!(bytes[end..].starts_with(END));
    bytes[end + 20..].copy_from_slice(&(comment.len() as u16).to_le_bytes());
    bytes.extend_from_slice(comment);
    open(&[("m.zip".to_owned(), bytes)], Root::File)
}

#[test]
fn a_comment_may_hold_anything_but_the_signature_of_another_end_record() {
    for comment in [&b""[..], b"hello", b"PK\x05\x05", b"PK\x05", b"K\x05\x06 PK\x06\x06", &[0; 65_535]] {
        assert!(commented(comment).is_ok(), "{comment:?}");
    }
    let record = |comment_len: u16| [END, &[0; 16], &comment_len.to_le_bytes()].concat();
    let ambiguous = [
        // One that does not reach the end: no reader that asks for that takes it, but not all ask.
        ("the signature alone", END.to_vec()),
        ("the signature and a few bytes", [END, b"and more"].concat()),
        ("a record that ends before the comment does", [record(0), b"!".to_vec()].concat()),
        ("a record that would end behind the comment", record(9)),
        // One that does: a reader from the back finds this one first.
        ("a record that ends with the comment", record(0)),
        ("a record with a comment that ends with the comment", [record(3), b"abc".to_vec()].concat()),
        ("text in front of one", [b"see ".to_vec(), record(0)].concat()),
    ];
    for (what, comment) in ambiguous {
        let error = commented(&comment).expect_err(what);
        assert_eq!(error.kind, ErrorKind::Malformed, "{what}: {error}");
        assert!(error.what.contains("several end records"), "{what}: {error}");
    }
}
