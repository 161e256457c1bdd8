//! Replays what the fuzz targets begin with and what they found (`fuzz/findings`), and small changes of both.
//! docs/testing.md says how to fuzz for longer.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use properties::{Outcome, PROPERTIES, Property, seeds};

/// Changed inputs for each target.
const CHANGES: u64 = 1_500;

/// Checks one input; says which where the property is broken.
fn check(property: &Property, what: &str, input: &[u8]) -> Outcome {
    catch_unwind(AssertUnwindSafe(|| (property.check)(input)))
        .unwrap_or_else(|_| panic!("{}: {what}: {}", property.name, input.escape_ascii()))
}

/// Each seed, of which at least one is accepted: what is always refused checks nothing.
#[test]
fn seeds_hold() {
    for property in PROPERTIES {
        let seeds = seeds::of(property.name);
        let outcomes = seeds.iter().map(|seed| check(&property, "a seed", seed));
        let accepted = outcomes.filter(|outcome| *outcome == Outcome::Accepted).count();
        println!("{}: {accepted} of {} seeds are accepted", property.name, seeds.len());
        assert!(accepted > 0, "{}: no seed is accepted", property.name);
    }
}

/// Each input that once broke a property.
#[test]
fn findings_hold() {
    let findings = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/findings");
    let mut count = 0;
    for property in PROPERTIES {
        for path in files(&findings.join(property.name)) {
            check(&property, &path.display().to_string(), &fs::read(&path).expect("a finding"));
            count += 1;
        }
    }
    assert!(count > 0, "no findings in {}", findings.display());
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a finding").path()).collect();
    files.sort();
    files
}

/// Seeds with bytes changed, left out, doubled and taken from other seeds.
#[test]
fn changed_seeds_hold() {
    for property in PROPERTIES {
        let seeds = seeds::of(property.name);
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..CHANGES {
            let input = changed(&seeds, &mut random);
            check(&property, "a changed seed", &input);
        }
    }
}

fn changed(seeds: &[Vec<u8>], random: &mut fastrand::Rng) -> Vec<u8> {
    let mut input = seeds[random.usize(..seeds.len())].clone();
    for _ in 0..=random.usize(..3) {
        let at = random.usize(..input.len().max(1));
        let end = (at + random.usize(..24)).min(input.len());
        match random.usize(..5) {
            0 => drop(input.drain(at..end)),
            1 => input.splice(at..at, input[at..end].to_vec()).for_each(drop),
            2 => {
                let other = &seeds[random.usize(..seeds.len())];
                let from = random.usize(..other.len().max(1));
                let piece = other[from..(from + 24).min(other.len())].to_vec();
                input.splice(at..end, piece).for_each(drop);
            }
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << random.usize(..8);
                }
            }
        }
    }
    input
}
