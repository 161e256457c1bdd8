//! Inputs that the fuzz targets begin with: small artifacts of every kind, and what the tree's fixtures hold.

mod archives;
mod models;
pub mod reports;
mod texts;

use std::fs;
use std::path::{Path, PathBuf};

/// Longest fixture that becomes a seed: short inputs are mutated faster.
const FIXTURE_BYTES: usize = 2_500;

/// The seeds of the property of this name.
///
/// # Panics
/// There is no such property, or a fixture can't be read.
pub fn of(name: &str) -> Vec<Vec<u8>> {
    match name {
        "comparison" => reports::pairs(),
        "compressed" => archives::compressed(),
        "config" => models::configs(),
        "deflate" => archives::deflated(),
        "documents" => texts::manifests(),
        "environment" => texts::environments(),
        "folder" => models::folders(),
        "gguf" => models::ggufs(),
        "link" => reports::links(),
        "proxy" => texts::proxies(),
        "python_json" => texts::python_json(),
        "report" => reports::reports(),
        "safetensors" => models::safetensors(),
        "tar" => archives::tars(),
        "zip" => archives::zips(),
        name => panic!("there is no property called {name}"),
    }
}

/// Short files of a folder of `tests/fixtures` whose names end like this.
fn fixtures(folder: &str, suffixes: &[&str]) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a fixture").path()).collect();
    paths.sort();
    let is_wanted = |path: &PathBuf| suffixes.iter().any(|suffix| path.to_string_lossy().ends_with(suffix));
    let files = paths.iter().filter(|path| path.is_file() && is_wanted(path));
    let files = files.map(|path| fs::read(path).expect("a fixture"));
    files.filter(|bytes| bytes.len() <= FIXTURE_BYTES).collect()
}
