//! Runs each mutant against the tests that reach it, the quickest first, until one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::limited::{self, End};
use crate::list::Mutant;
use crate::suites::{Suites, Test};
use crate::tree::Absent;

/// Tests up to this long are run together.
const QUICK_SECONDS: f64 = 0.25;
/// As many of them as one process runs.
const TOGETHER: usize = 60;

/// What became of a mutant.
#[derive(Serialize, Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Fate {
    Caught,
    TimedOut,
    Missed,
    Unviable,
    LeftOut,
}

/// One line of the file of outcomes.
#[derive(Serialize, Deserialize)]
struct Outcome {
    name: String,
    fate: Fate,
    /// The test that caught it, or how many passed with it.
    by: String,
}

/// Runs each `count`-th mutant from number `index` on that `outcomes` does not name yet, and appends what became
/// of it.
pub fn run(tree: &Path, mutants: &[Mutant], outcomes: &Path, (index, count): (usize, usize)) {
    let suites: Suites = read_json(&tree.join("suites.json"));
    let absent: Absent = read_json(&tree.join("absent.json"));
    let done: BTreeSet<String> = read(outcomes).into_iter().map(|outcome| outcome.name).collect();
    let mut file = OpenOptions::new().create(true).append(true).open(outcomes).expect("the outcomes open");
    let of_shard = mutants.iter().enumerate().skip(index).step_by(count);
    for (number, mutant) in of_shard.filter(|(_, mutant)| !done.contains(&mutant.name)) {
        let (fate, by) = if absent.unviable.contains(&number) {
            (Fate::Unviable, String::new())
        } else if absent.left_out.contains(&number) {
            (Fate::LeftOut, String::new())
        } else {
            try_mutant(&suites, number)
        };
        if fate == Fate::Missed {
            println!("missed: {} ({by})", mutant.name);
        }
        let line = serde_json::to_string(&Outcome { name: mutant.name.clone(), fate, by })
            .expect("it is plain data");
        writeln!(file, "{line}").expect("the outcomes take a line");
    }
}

fn try_mutant(suites: &Suites, number: usize) -> (Fate, String) {
    let mut tests: Vec<&Test> = suites.tests.iter().filter(|test| test.reached.contains(&number)).collect();
    tests.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    for group in groups(&tests) {
        let program = &suites.programs[group[0].program];
        let names: Vec<&str> = group.iter().map(|test| test.name.as_str()).collect();
        let seconds: f64 = group.iter().map(|test| test.seconds).sum();
        let cpu_s = (seconds * 2.0) as u64 + 2;
        let end = limited::run(program, &names, &[("MUTANT", &number.to_string())], cpu_s, 20 * cpu_s + 120);
        let by = || format!("{}: {}", program.name, names.first().unwrap_or(&""));
        match end {
            End::Passed => {}
            End::Failed => return (Fate::Caught, by()),
            End::TimedOut => return (Fate::TimedOut, by()),
        }
    }
    (Fate::Missed, format!("{} tests reach it", tests.len()))
}

/// Tests that run in one process each: the quick ones of a program together, the others alone.
fn groups<'a>(tests: &[&'a Test]) -> Vec<Vec<&'a Test>> {
    let (quick, slow): (Vec<&Test>, Vec<&Test>) =
        tests.iter().partition(|test| test.seconds <= QUICK_SECONDS);
    let mut by_program: BTreeMap<usize, Vec<&Test>> = BTreeMap::new();
    for test in quick {
        by_program.entry(test.program).or_default().push(test);
    }
    let mut groups: Vec<Vec<&Test>> = Vec::new();
    for tests in by_program.into_values() {
        groups.extend(tests.chunks(TOGETHER).map(<[&Test]>::to_vec));
    }
    let seconds = |group: &[&Test]| group.iter().map(|test| test.seconds).sum::<f64>();
    groups.sort_by(|a, b| seconds(a).total_cmp(&seconds(b)));
    groups.extend(slow.into_iter().map(|test| vec![test]));
    groups
}

/// Prints how many had which fate, by file, and the names of those that were missed.
pub fn summary(path: &Path) {
    let mut by_file: BTreeMap<String, BTreeMap<Fate, usize>> = BTreeMap::new();
    let mut total: BTreeMap<Fate, usize> = BTreeMap::new();
    let outcomes = read(path);
    for outcome in &outcomes {
        let file = outcome.name.split(':').next().unwrap_or_default().to_owned();
        *by_file.entry(file).or_default().entry(outcome.fate).or_default() += 1;
        *total.entry(outcome.fate).or_default() += 1;
    }
    by_file.iter().for_each(|(file, fates)| println!("{file}: {fates:?}"));
    outcomes
        .iter()
        .filter(|o| o.fate == Fate::Missed)
        .for_each(|o| println!("missed: {} ({})", o.name, o.by));
    let of = |fate| total.get(&fate).copied().unwrap_or(0);
    let caught = of(Fate::Caught) + of(Fate::TimedOut);
    println!(
        "{total:?}; caught: {:.1} % of the viable",
        100.0 * caught as f64 / (caught + of(Fate::Missed)) as f64
    );
}

fn read(path: &Path) -> Vec<Outcome> {
    let text = fs::read_to_string(path).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).expect("each line is an outcome")).collect()
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = fs::read_to_string(path).expect("the earlier steps have run");
    serde_json::from_str(&text).expect("the earlier steps wrote it")
}
