//! Our own byte pairs against the tokenizers library, over every recorded tokenizer: where our own takes one, the ids are the
//! library's, and none that the library or transformers refuses is taken.

use bitgauge_core::model::Transformers;
use bitgauge_texts::{FILE, ModelTokenizer};

use crate::folders::{Files, recorded};

/// What two readings of a tokenizer give: its ids for each text and its padding; none if it is not taken.
type Ids = Option<(Vec<Vec<u32>>, u32)>;

fn both(files: &Files, texts: &[String], most: usize) -> (Ids, Ids) {
    let find = |name: &str| files.iter().find(|(known, _)| known == name).map(|(_, bytes)| bytes.clone());
    let Some(file) = find(FILE) else { return (None, None) };
    let ids = |found: ModelTokenizer| {
        let ids = texts.iter().map(|text| found.tokenizer.encode(text, most).expect("ids"));
        (ids.collect(), found.pad_id)
    };
    let own = ModelTokenizer::byte_level(&file, &mut |name| Ok(find(name)));
    let library = ModelTokenizer::read(&file, Transformers::V5, &mut |name| Ok(find(name)));
    (own.map(ids), library.ok().map(ids))
}

#[test]
fn recorded_tokenizers_give_the_librarys_ids() {
    let (head, folders) = recorded();
    let texts: Vec<String> = serde_json::from_value(head["texts"].clone()).expect("texts");
    let (mut taken, mut others, mut differ) = (0, 0, Vec::new());
    for folder in folders.iter().filter(|folder| folder.is_tokenizer()) {
        for most in [3, usize::MAX] {
            match both(&folder.files, &texts, most) {
                (Some(own), library) if library.as_ref() != Some(&own) => differ.push(&folder.what),
                (Some(_), _) => taken += 1,
                (None, Some(_)) => others += 1,
                (None, None) => {}
            }
        }
    }
    assert!(differ.is_empty(), "{differ:#?}");
    assert!(taken > 2 * others, "{taken} taken, {others} left to the library");
}

#[test]
fn a_wrong_vocabulary_is_seen() {
    let (head, folders) = recorded();
    let texts: Vec<String> = serde_json::from_value(head["texts"].clone()).expect("texts");
    let is_taken = |files: &Files| both(files, &texts, usize::MAX).0.is_some();
    let folder = folders.iter().find(|folder| folder.is_tokenizer() && is_taken(&folder.files)).expect("one");
    let mut changed = folder.files.clone();
    let (_, bytes) = changed.iter_mut().find(|(name, _)| name == FILE).expect("a tokenizer");
    let mut file: serde_json::Value = serde_json::from_slice(bytes).expect("JSON");
    let ids = file["model"]["vocab"].as_object_mut().expect("tokens");
    let count = ids.len();
    for (number, id) in ids.values_mut().enumerate() {
        *id = (count - number).into();
    }
    *bytes = file.to_string().into_bytes();
    let ((own, _), (before, _)) =
        (both(&changed, &texts, usize::MAX), both(&folder.files, &texts, usize::MAX));
    assert_ne!(own, before);
}
