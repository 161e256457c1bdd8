//! Mutation testing at one build for all mutants. README.md says how.

mod limited;
mod list;
mod outcomes;
mod schema;
mod suites;
mod tree;

use std::fs;
use std::path::Path;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        ["instrument", project, tree, list] => {
            let mutants = list::read(Path::new(list));
            let absent = tree::instrument(Path::new(project), Path::new(tree), &mutants);
            println!(
                "{} mutants, {} unviable, {} left out",
                mutants.len(),
                absent.unviable.len(),
                absent.left_out.len()
            );
            write_json(&Path::new(tree).join("absent.json"), &absent);
        }
        ["trace", tree, ref chosen @ ..] => {
            let suites = suites::trace(Path::new(tree), chosen);
            println!("{} tests, {} broken", suites.tests.len(), suites.broken.len());
            write_json(&Path::new(tree).join("suites.json"), &suites);
        }
        ["run", tree, list, outcomes, ref shard @ ..] => {
            let shard = match shard {
                [] => (0, 1),
                [shard] => read_shard(shard).expect("a shard is K/N, with K below N"),
                _ => return usage(),
            };
            outcomes::run(Path::new(tree), &list::read(Path::new(list)), Path::new(outcomes), shard);
        }
        ["summary", outcomes] => outcomes::summary(Path::new(outcomes)),
        _ => usage(),
    }
}

fn usage() {
    eprintln!(
        "usage: mutants instrument PROJECT TREE LIST | trace TREE [SUITE...] | run TREE LIST OUTCOMES [K/N] \
         | summary OUTCOMES"
    );
    std::process::exit(2);
}

fn read_shard(text: &str) -> Option<(usize, usize)> {
    let (index, count) = text.split_once('/')?;
    let shard = (index.parse().ok()?, count.parse().ok()?);
    (shard.0 < shard.1).then_some(shard)
}

fn write_json(path: &Path, value: &impl serde::Serialize) {
    let text = serde_json::to_string(value).expect("it is plain data");
    fs::write(path, text).expect("the file can be written");
}
