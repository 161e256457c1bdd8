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
            let known = Path::new(tree).join("list.json");
            let same = fs::read(&known).ok() == fs::read(list).ok();
            let earlier = same.then(|| read_json(&Path::new(tree).join("absent.json"))).flatten();
            let absent =
                tree::instrument(Path::new(project), Path::new(tree), &mutants, earlier.unwrap_or_default());
            fs::copy(list, known).expect("the list can be copied");
            println!(
                "{} mutants, {} unviable, {} left out",
                mutants.len(),
                absent.unviable.len(),
                absent.left_out.len()
            );
            write_json(&Path::new(tree).join("absent.json"), &absent);
        }
        ["trace", tree, ref chosen @ ..] => {
            let file = Path::new(tree).join("suites.json");
            let suites = suites::trace(Path::new(tree), chosen, read_json(&file));
            println!("{} tests, {} not used", suites.tests.len(), suites.broken.len());
            write_json(&file, &suites);
        }
        ["run", tree, list, outcomes, seconds, ref more @ ..] => {
            let (shard, again) = match more {
                [] => ((0, 1), false),
                ["again"] => ((0, 1), true),
                [shard] => (read_shard(shard).expect("a shard is K/N, with K below N"), false),
                _ => return usage(),
            };
            let most = seconds.parse().expect("the longest test's seconds are a number");
            let plan = outcomes::Plan { shard, again, most_seconds: most };
            outcomes::run(Path::new(tree), &list::read(Path::new(list)), Path::new(outcomes), plan);
        }
        ["summary", outcomes] => outcomes::summary(Path::new(outcomes)),
        _ => usage(),
    }
}

fn usage() {
    eprintln!(
        "usage: mutants instrument PROJECT TREE LIST | trace TREE [SUITE...] | run TREE LIST OUTCOMES SECONDS [K/N | again] \
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

fn read_json<T: for<'de> serde::Deserialize<'de>>(path: &Path) -> Option<T> {
    serde_json::from_str(&fs::read_to_string(path).ok()?).ok()
}
