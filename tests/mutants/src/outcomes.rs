//! Runs each mutant against the tests that reach it, the quickest first, until one fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::Mutex;
use std::thread;

use serde::{Deserialize, Serialize};

use crate::limited::{self, End};
use crate::list::Mutant;
use crate::suites::{Suites, Test, jobs};
use crate::tree::Absent;

/// Tests up to this long are run together.
const QUICK_SECONDS: f64 = 0.25;
/// As many of them as one process runs.
const TOGETHER: usize = 60;

/// So many of the latest tests that caught a mutant of the same file are run first.
const RECENT: usize = 12;

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

/// What is run.
pub struct Plan {
    /// Each N-th mutant from number K on: (K, N).
    pub shard: (usize, usize),
    /// Those that were missed, not those that have no outcome yet.
    pub again: bool,
    /// Tests that take longer are passed over.
    pub most_seconds: f64,
}

/// What the workers share.
struct Shared<'a> {
    /// The tests, without those that take too long.
    suites: Suites,
    absent: Absent,
    mutants: &'a [Mutant],
    left: Mutex<Vec<usize>>,
    file: Mutex<File>,
    /// For each file, the tests that caught its mutants, the latest last.
    killers: Mutex<BTreeMap<String, Vec<(usize, String)>>>,
}

/// Runs the mutants of the plan, and appends to `outcomes` what became of each.
pub fn run(tree: &Path, mutants: &[Mutant], outcomes: &Path, plan: Plan) {
    let mut suites: Suites = read_json(&tree.join("suites.json"));
    suites.tests.retain(|test| test.seconds <= plan.most_seconds);
    suites.tests.sort_by(|a, b| a.seconds.total_cmp(&b.seconds));
    let done = latest(outcomes);
    let wanted = |mutant: &Mutant| match done.get(&mutant.name) {
        Some(outcome) => plan.again && outcome.fate == Fate::Missed,
        None => !plan.again,
    };
    let (index, count) = plan.shard;
    let of_shard = mutants.iter().enumerate().skip(index).step_by(count);
    let mut left: Vec<usize> =
        of_shard.filter(|(_, mutant)| wanted(mutant)).map(|(number, _)| number).collect();
    left.reverse();
    println!("{} mutants, {} tests", left.len(), suites.tests.len());
    let file = OpenOptions::new().create(true).append(true).open(outcomes).expect("the outcomes open");
    let shared = Shared {
        suites,
        absent: read_json(&tree.join("absent.json")),
        mutants,
        left: Mutex::new(left),
        file: Mutex::new(file),
        killers: Mutex::default(),
    };
    thread::scope(|scope| {
        (0..jobs()).for_each(|_| {
            scope.spawn(|| shared.work());
        });
    });
}

impl Shared<'_> {
    fn work(&self) {
        let next = || self.left.lock().expect("no worker panics").pop();
        while let Some(number) = next() {
            let (fate, by) = if self.absent.unviable.contains(&number) {
                (Fate::Unviable, String::new())
            } else if self.absent.left_out.contains(&number) {
                (Fate::LeftOut, String::new())
            } else {
                self.try_mutant(number)
            };
            let name = self.mutants[number].name.clone();
            let line = serde_json::to_string(&Outcome { name, fate, by }).expect("it is plain data");
            let mut file = self.file.lock().expect("no worker panics");
            writeln!(file, "{line}").expect("the outcomes take a line");
        }
    }

    fn try_mutant(&self, number: usize) -> (Fate, String) {
        let tests: Vec<&Test> =
            self.suites.tests.iter().filter(|test| test.reached.contains(&number)).collect();
        let file = &self.mutants[number].file;
        let is_killer = self.recent_killers(file);
        let (likely, others): (Vec<&Test>, Vec<&Test>) =
            tests.iter().partition(|test| is_killer.contains(&(test.program, test.name.clone())));
        for group in groups(&likely).into_iter().chain(groups(&others)) {
            let program = &self.suites.programs[group[0].program];
            let names: Vec<&str> = group.iter().map(|test| test.name.as_str()).collect();
            let seconds: f64 = group.iter().map(|test| test.seconds).sum();
            let cpu_s = (seconds * 2.0) as u64 + 2;
            let environment = [("MUTANT", &*number.to_string())];
            match limited::run(program, &names, &environment, cpu_s, 20 * cpu_s + 120) {
                End::Passed => {}
                End::Failed(failed) => {
                    let first = failed.first().map_or(names[0], |name| name);
                    let mut killers = self.killers.lock().expect("no worker panics");
                    killers.entry(file.clone()).or_default().push((group[0].program, first.to_owned()));
                    return (Fate::Caught, format!("{}: {first}", program.name));
                }
                End::TimedOut => return (Fate::TimedOut, format!("{}: {}", program.name, names[0])),
            }
        }
        (Fate::Missed, format!("{} tests reach it", tests.len()))
    }

    fn recent_killers(&self, file: &str) -> BTreeSet<(usize, String)> {
        let killers = self.killers.lock().expect("no worker panics");
        let of_file = killers.get(file).into_iter().flatten();
        of_file.rev().take(RECENT).cloned().collect()
    }
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
    let outcomes = latest(path);
    for outcome in outcomes.values() {
        let file = outcome.name.split(':').next().unwrap_or_default().to_owned();
        *by_file.entry(file).or_default().entry(outcome.fate).or_default() += 1;
        *total.entry(outcome.fate).or_default() += 1;
    }
    by_file.iter().for_each(|(file, fates)| println!("{file}: {fates:?}"));
    outcomes
        .values()
        .filter(|o| o.fate == Fate::Missed)
        .for_each(|o| println!("missed: {} ({})", o.name, o.by));
    let of = |fate| total.get(&fate).copied().unwrap_or(0);
    let caught = of(Fate::Caught) + of(Fate::TimedOut);
    println!(
        "{total:?}; caught: {:.1} % of the viable",
        100.0 * caught as f64 / (caught + of(Fate::Missed)) as f64
    );
}

/// The last line of each mutant.
fn latest(path: &Path) -> BTreeMap<String, Outcome> {
    let text = fs::read_to_string(path).unwrap_or_default();
    let outcome = |line| serde_json::from_str::<Outcome>(line).expect("each line is an outcome");
    text.lines().map(outcome).map(|outcome| (outcome.name.clone(), outcome)).collect()
}

fn read_json<T: for<'de> Deserialize<'de>>(path: &Path) -> T {
    let text = fs::read_to_string(path).expect("the earlier steps have run");
    serde_json::from_str(&text).expect("the earlier steps wrote it")
}
