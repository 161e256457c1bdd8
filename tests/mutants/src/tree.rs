//! The instrumented copy of the project.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::list::Mutant;
use crate::schema;

/// What is said of the mutants that are not in the program, by number.
#[derive(Default, Serialize, Deserialize)]
pub struct Absent {
    /// Those that do not compile.
    pub unviable: BTreeSet<usize>,
    /// Those that can't be switched at run time: cargo-mutants itself must try them.
    pub left_out: BTreeSet<usize>,
}

/// Writes every mutant into the copy at `tree`, leaving out those that the compiler refuses. It is known to
/// refuse those that `earlier` names.
pub fn instrument(project: &Path, tree: &Path, mutants: &[Mutant], earlier: Absent) -> Absent {
    copy(project, tree, mutants);
    adapt_manifest(project, tree);
    let Absent { unviable: mut absent, mut left_out } = earlier;
    // Some errors come only once code is generated.
    for command in ["check", "build"] {
        loop {
            let marks = write(project, tree, mutants, &absent, &mut left_out);
            let refused = refused(command, tree, &marks);
            println!("cargo {command}: the compiler refuses {} mutants", refused.len());
            if refused.is_empty() {
                break;
            }
            absent.extend(refused);
        }
    }
    Absent { unviable: absent, left_out }
}

/// Copies what git knows of, but for the files that are written otherwise anyway.
fn copy(project: &Path, tree: &Path, mutants: &[Mutant]) {
    let mut written: BTreeSet<&str> = mutants.iter().map(|mutant| mutant.file.as_str()).collect();
    written.extend(["Cargo.toml", "core/src/lib.rs"]);
    let listed = Command::new("git").args(["ls-files"]).current_dir(project).output().expect("git runs");
    let listed = String::from_utf8(listed.stdout).expect("the names are plain");
    for name in listed.lines().filter(|name| !written.contains(name)) {
        write_changed(&tree.join(name), &fs::read(project.join(name)).expect("the file can be read"));
    }
}

/// Lints that are errors would refuse mutants for their style, and the project is compiled quickly:
/// dependencies stay as they are.
fn adapt_manifest(project: &Path, tree: &Path) {
    let text = fs::read_to_string(project.join("Cargo.toml")).expect("the manifest can be read");
    let text = text.replace("\"deny\"", "\"allow\"") + QUICK_PROFILE;
    write_changed(&tree.join("Cargo.toml"), text.as_bytes());
}

const QUICK_PROFILE: &str = "
[profile.release.package]
bitgauge-core = { opt-level = 1, debug = false }
bitgauge-shaders = { opt-level = 1, debug = false }
conformance = { opt-level = 1, debug = false }
inspector-web = { opt-level = 0, debug = false }
bitgauge = { opt-level = 1, debug = false }
";

/// For each file, each mutant's bytes in it.
type Marks = BTreeMap<String, Vec<(usize, (usize, usize))>>;

fn write(
    project: &Path,
    tree: &Path,
    mutants: &[Mutant],
    absent: &BTreeSet<usize>,
    left_out: &mut BTreeSet<usize>,
) -> Marks {
    let mut by_file: BTreeMap<&str, Vec<(usize, &Mutant)>> = BTreeMap::new();
    for (number, mutant) in mutants.iter().enumerate() {
        let of_file = by_file.entry(&mutant.file).or_default();
        if !absent.contains(&number) {
            of_file.push((number, mutant));
        }
    }
    let mut marks = Marks::new();
    for (file, of_file) in by_file {
        let source = fs::read_to_string(project.join(file)).expect("the source can be read");
        let switch = if file.starts_with("core/") { "crate::mutants" } else { "bitgauge_core::mutants" };
        let schema = schema::instrument(&source, &of_file, switch);
        left_out.extend(schema.left_out);
        marks.insert(file.to_owned(), schema::marks(&schema.text));
        write_changed(&tree.join(file), schema.text.as_bytes());
    }
    write_changed(&tree.join("core/src/mutants.rs"), include_bytes!("switch.rs"));
    let library = fs::read_to_string(project.join("core/src/lib.rs")).expect("core's lib.rs can be read");
    let library = format!("{library}\n#[doc(hidden)]\n#[allow(missing_docs)]\npub mod mutants;\n");
    write_changed(&tree.join("core/src/lib.rs"), library.as_bytes());
    marks
}

/// Leaves the file alone if it says that already, so that it is not compiled again.
fn write_changed(path: &Path, bytes: &[u8]) {
    if fs::read(path).ok().as_deref() != Some(bytes) {
        fs::create_dir_all(path.parent().expect("it is in a folder")).expect("the folder can be made");
        fs::write(path, bytes).expect("the copy can be written");
    }
}

/// The mutants that errors of the compiler lie in.
fn refused(command: &str, tree: &Path, marks: &Marks) -> BTreeSet<usize> {
    let output = Command::new("cargo")
        .args([command, "--release", "--offline", "--workspace", "--lib", "--message-format=json"])
        .current_dir(tree)
        .output()
        .expect("cargo runs");
    let mut refused = BTreeSet::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
        let message = &line["message"];
        if message["level"] != "error" || message["spans"].as_array().is_none_or(Vec::is_empty) {
            continue;
        }
        let blamed = blamed(tree, message, marks);
        if blamed.is_empty() {
            println!("no mutant is to blame for: {}", message["rendered"].as_str().unwrap_or_default());
        }
        refused.extend(blamed);
    }
    let broken = !output.status.success();
    assert!(!broken || !refused.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    refused
}

/// The mutant that an error's first spans lie in; failing that, one that its labels point at. Where a `match`
/// needs each of its arms, none can go.
fn blamed(tree: &Path, message: &Value, marks: &Marks) -> Vec<usize> {
    let spans: Vec<Span> = message["spans"].as_array().into_iter().flatten().filter_map(Span::of).collect();
    let (first, others): (Vec<&Span>, Vec<&Span>) = spans.iter().partition(|span| span.is_primary);
    let inside = |span: &&Span| {
        let of_file = marks.get(&span.file)?;
        of_file.iter().find(|(_, (start, end))| (*start..*end).contains(&span.at)).map(|&(number, _)| number)
    };
    if let Some(number) = first.iter().chain(&others).find_map(inside) {
        return vec![number];
    }
    match (message["code"]["code"].as_str(), first.first()) {
        (Some("E0004"), Some(span)) => {
            let text = fs::read_to_string(tree.join(&span.file)).expect("the file can be read");
            schema::skipped_arms(&text[span.at..])
        }
        _ => Vec::new(),
    }
}

/// Where an error points.
struct Span {
    file: String,
    at: usize,
    is_primary: bool,
}

impl Span {
    fn of(span: &Value) -> Option<Self> {
        Some(Self {
            file: span["file_name"].as_str()?.to_owned(),
            at: span["byte_start"].as_u64()? as usize,
            is_primary: span["is_primary"] == true,
        })
    }
}
