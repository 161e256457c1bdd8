//! Which folder is the model's, and what names lead out of an archive.

use bitgauge_core::container::{Root, find_model_dir};
use bitgauge_core::{ErrorKind, Rejection};
use properties::write::{borrowed, zip};
use zip::write::SimpleFileOptions;

use crate::model::{Model, open};

fn found(folders: &[&str]) -> Result<Option<String>, (String, String)> {
    let name = |folder: &&str| match *folder {
        "" => "config.json".to_owned(),
        folder => format!("{folder}/config.json"),
    };
    let names: Vec<String> = folders.iter().map(name).collect();
    let others = ["README.md", "z/weights.safetensors", "config.json.txt"];
    let all = names.iter().map(String::as_str).chain(others);
    find_model_dir(all).map_err(|error| {
        assert_eq!(error.kind, ErrorKind::Malformed);
        (error.place.clone(), error.found.clone())
    })
}

#[test]
fn the_config_that_comes_first_in_any_listing_is_the_models() {
    let of = |folders: &[&str], wanted: &str| {
        assert_eq!(found(folders), Ok(Some(wanted.to_owned())), "{folders:?}");
        let mut other_way = folders.to_vec();
        other_way.reverse();
        assert_eq!(found(&other_way), Ok(Some(wanted.to_owned())), "{other_way:?}");
    };
    assert_eq!(found(&[]), Ok(None));
    of(&[""], "");
    of(&["", "a", "b/c"], "");
    of(&["m"], "m");
    of(&["a/b"], "a/b");
    of(&["a", "a/b", "a/c/d"], "a");
    of(&["a", "b/c"], "a");
    of(&["b/c", "d", "e/f/g"], "d");
    of(&["a/b/x", "a/c"], "a/c");
    of(&["long/a/b/x", "long/c"], "long/c");
    // Names that begin alike are no folder.
    of(&["ab", "ac/x"], "ab");
    of(&["a/bc/x", "a/bd"], "a/bd");
    of(&["a/b", "a/b-old/c"], "a/b");
}

#[test]
fn where_a_listings_order_would_decide_nothing_is_chosen() {
    let unclear = |folders: &[&str], one: &str, other: &str| {
        let wanted = (format!("{one}/config.json"), format!("{other}/config.json as well"));
        assert_eq!(found(folders), Err(wanted), "{folders:?}");
    };
    unclear(&["a", "b"], "a", "b");
    unclear(&["ab", "ac"], "ab", "ac");
    unclear(&["a/b", "a/c", "d/e"], "a/b", "d/e");
    unclear(&["p/a", "p/b", "p/c/d"], "p/a", "p/b");
    unclear(&["ab/x", "ac/x"], "ab/x", "ac/x");
    unclear(&["p/a/x", "p/a/y", "p/b/z"], "p/a/x", "p/b/z");
    unclear(&["a/x", "a/y", "b/z"], "a/x", "b/z");
}

/// The model as a zip with another member of this name, in eight bytes.
fn with_name(name: &str) -> bitgauge_core::Result<()> {
    const PLACE: &str = "QQQQQQQQ";
    assert_eq!(name.len(), PLACE.len());
    let files = Model::dense().file(PLACE, b"x").files();
    let mut bytes = zip(&borrowed(&files), SimpleFileOptions::default());
    let at: Vec<usize> = bytes
        .windows(PLACE.len())
        .enumerate()
        .filter(|(_, window)| *window == PLACE.as_bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(at.len(), 2);
    at.into_iter().for_each(|at| bytes[at..at + PLACE.len()].copy_from_slice(name.as_bytes()));
    open(&[("m.zip".to_owned(), bytes)], Root::File).map(|_| ())
}

#[test]
fn names_that_lead_out_of_the_archive_are_what_the_validator_rejects() {
    for name in ["/etc/pwd", "../abcde", "./../abc", "a//../..", "./a/../.", "a/b/c/.."] {
        let error = with_name(name).expect_err(name);
        assert_eq!(error.kind, ErrorKind::BadName, "{name}: {error}");
        let leaves = !matches!(name, "./a/../." | "a/b/c/..");
        let wanted = leaves.then(|| Rejection::UnsafePath(name.to_owned()));
        assert_eq!(error.rejection, wanted, "{name}");
    }
    assert_eq!(with_name("a/b/c/de"), Ok(()));
}
