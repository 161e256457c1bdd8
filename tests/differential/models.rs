//! Model folders and what transformers makes of them (`models.py`): none that it can't load may be taken here, none have
//! another count of parameters, another loss or other tokens, and none that it loads be refused or left open but for a
//! reason that docs/loading.md names.

use std::collections::BTreeMap;
use std::path::Path;

use bitgauge_core::container::{Root, Window, fetch_and_open};
use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::Transformers;
use bitgauge_core::report::{Outcome, Report};
use bitgauge_core::scan::Scan;
use bitgauge_eval::{EvaluateOptions, evaluate};
use native_eval::{Source, load, loaded_inventory, open_cpu, own_tokenizer};
use pollster::block_on;
use serde_json::Value;

use super::folders::{self, Files, Folder, other};

/// The versions whose answers are recorded, and what they are called here.
pub const VERSIONS: [(&str, Transformers); 2] = [("5.24.0", Transformers::V5), ("4.57.6", Transformers::V4)];
/// Furthest that a mean loss may lie from transformers', in nats, or in parts of it where it is large.
const NATS: f64 = 4e-6;
const PARTS: f64 = 4e-7;
/// The gates that say whether a model loads as the one that config.json describes.
const LOADING: [&str; 4] = ["loadable", "tensors", "shapes", "payload"];

struct Case {
    /// Its number, its family, and what is odd about it.
    what: String,
    is_tokenizer: bool,
    files: Files,
    answers: BTreeMap<String, Answer>,
}

/// What is asked of every model and of every tokenizer.
struct Questions {
    ids: Vec<Vec<u32>>,
    texts: Vec<String>,
    max_length: usize,
}

/// What transformers or bitgauge says.
#[derive(Debug, Clone, PartialEq)]
enum Answer {
    /// It does not load, or the forward pass fails. Why.
    Refused(String),
    /// transformers makes weights up that are missing: another model each time. Of bitgauge: that is not known here. Why.
    Open(String),
    /// Parameters and mean loss; why there is none where there is no forward pass here, or no number.
    Model(u64, Result<f64, String>),
    /// The tokens of each text.
    Tokens(Vec<Vec<u32>>),
}

use Answer::{Model, Open, Refused, Tokens};

/// How many folders came out how.
#[derive(Debug, Default, PartialEq)]
struct Tally {
    /// Both load it, and every figure agrees.
    both_load: usize,
    /// Neither takes it, or bitgauge leaves it open.
    neither: usize,
    /// Loaded by both, but there is no forward pass here, or no number.
    not_evaluated: usize,
    /// Loaded by transformers alone, by what bitgauge says.
    refused: BTreeMap<String, usize>,
    /// Taken here, and not loaded by transformers, or as another model.
    not_loaded: usize,
    other_count: usize,
    other_loss: usize,
    other_tokens: usize,
    /// One line of each that is refused here alone, and of each that is wrong.
    lines: [Vec<String>; 2],
}

impl Tally {
    /// Taken here alone, or with another figure.
    fn wrong(&self) -> usize {
        self.not_loaded + self.other_count + self.other_loss + self.other_tokens
    }

    /// The figures that docs/loading.md states.
    fn figures(&self) -> [usize; 8] {
        let refused = self.refused.values().sum();
        let taken = [self.both_load, self.not_evaluated, self.neither, refused];
        let wrong = [self.not_loaded, self.other_count, self.other_loss, self.other_tokens];
        std::array::from_fn(|i| if i < 4 { taken[i] } else { wrong[i - 4] })
    }
}

/// A sentence without names and numbers.
fn kind_of(sentence: &str) -> String {
    let is_name = |word: &str| {
        let word = word.trim_end_matches(['.', ',']);
        let is_sign = |c: char| c.is_ascii_digit() || "`/_\".".contains(c);
        !["config.json", "5", "a"].contains(&word) && (word.len() == 1 || word.contains(is_sign))
    };
    let mut words: Vec<&str> =
        sentence.split(' ').map(|word| if is_name(word) { "…" } else { word }).collect();
    words.dedup_by(|a, b| a == b && *a == "…");
    let text = words.join(" ");
    // What follows are names, or values.
    let ends = [": ", " and finds ", ", which is not there"];
    ends.iter()
        .fold(text.as_str(), |text, end| text.split_once(end).map_or(text, |(kind, _)| kind))
        .to_owned()
}

/// The report on a folder of these files, all of them scanned.
pub fn report(files: &Files, transformers: Transformers) -> bitgauge_core::Result<Report> {
    let lengths = files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    let artifact = fetch_and_open(&mut Window::new(lengths), Root::Folder, |need| {
        Ok(files[need.file].1[need.offset as usize..][..need.len as usize].to_vec())
    })?;
    let inventory = Inventory::of_version(&artifact, transformers)?;
    let mut scan = Scan::new(&inventory);
    for (index, (_, bytes)) in files.iter().enumerate() {
        scan.begin_file(index)?;
        scan.push(bytes)?;
    }
    Ok(inspect::report("model", &inventory, Rules::Binary, Some(&scan.finish()?)))
}

fn open(folder: &Path, transformers: Transformers) -> bitgauge_core::Result<Source> {
    let mut source = Source::open(folder)?;
    source.set_transformers(transformers);
    Ok(source)
}

/// Mean loss in nats and parameters, as `bitgauge eval` finds them.
fn measured(
    folder: &Path,
    documents: &[Vec<u32>],
    transformers: Transformers,
) -> Result<(f64, Option<u64>), String> {
    let text = |error: bitgauge_core::Error| error.what.clone();
    let mut source = open(folder, transformers).map_err(text)?;
    let artifact = source.artifact().clone();
    let inventory = loaded_inventory(&mut source, &artifact).map_err(text)?;
    let mut backend = open_cpu(Some(1)).map_err(|error| error.to_string())?;
    let model =
        load(&mut backend, &mut source, &inventory, &mut |_| {}).map_err(|error| error.to_string())?;
    let options =
        EvaluateOptions { max_tokens: 512, tokens_in_flight: None, documents_sha256: String::new() };
    let result = block_on(evaluate(&mut backend, &model, documents, &options, &mut |_, _| {}));
    result.map(|found| (found.cross_entropy_nats, inventory.parameters())).map_err(|error| error.to_string())
}

fn first_line(text: &str) -> String {
    kind_of(text.lines().next().unwrap_or_default())
}

fn ours(case: &Case, questions: &Questions, transformers: Transformers) -> Answer {
    let folder = tempfile::tempdir().expect("a folder");
    folders::write(&case.files, folder.path());
    if case.is_tokenizer {
        let tokens = || -> bitgauge_core::Result<Vec<Vec<u32>>> {
            let mut source = open(folder.path(), transformers)?;
            let tokenizer = own_tokenizer(&mut source)?;
            let texts = questions.texts.iter();
            texts.map(|text| tokenizer.encode(text, questions.max_length as u64)).collect()
        };
        return tokens().map_or_else(|error| Refused(kind_of(&error.what)), Tokens);
    }
    let report = match report(&case.files, transformers) {
        Ok(report) => report,
        Err(error) => return Refused(kind_of(&error.what)),
    };
    let gates = || report.gates.iter().filter(|gate| LOADING.contains(&&*gate.id));
    if let Some(gate) = gates().find(|gate| gate.outcome == Outcome::Fail) {
        return Refused(kind_of(&gate.details[0]));
    }
    if let Some(gate) = gates().find(|gate| gate.outcome == Outcome::NotRun) {
        return Open(kind_of(gate.details.first().unwrap_or(&gate.rule)));
    }
    let Some(parameters) = report.model.as_ref().and_then(|model| model.parameters) else {
        return Open("the parameters are not known".to_owned());
    };
    match measured(folder.path(), &questions.ids, transformers) {
        Ok((nats, again)) if again == Some(parameters) => Model(parameters, Ok(nats)),
        Ok((_, again)) => Refused(format!("inspect counts {parameters} parameters, eval {again:?}")),
        Err(error) => Model(parameters, Err(first_line(&error))),
    }
}

/// An answer of transformers; none if it took too long.
fn theirs(value: &Value) -> Option<Answer> {
    let object = value.as_object()?;
    if let Some(error) = object.get("error") {
        return Some(Refused(error.as_str().expect("a class").to_owned()));
    }
    if let Some(ids) = object.get("ids") {
        return Some(Tokens(serde_json::from_value(ids.clone()).expect("ids")));
    }
    if object.get("made_up").and_then(Value::as_u64).is_some_and(|count| count > 0) {
        return Some(Open("weights made up".to_owned()));
    }
    let nats = object["nats"].as_f64().ok_or_else(|| "no number".to_owned());
    Some(Model(object["parameters"].as_u64().expect("a count"), nats))
}

fn recorded() -> (Questions, Vec<Case>) {
    let (head, folders) = folders::recorded();
    let questions = Questions {
        ids: serde_json::from_value(head["ids"].clone()).expect("ids"),
        texts: serde_json::from_value(head["texts"].clone()).expect("texts"),
        max_length: head["max_length"].as_u64().expect("a length") as usize,
    };
    let case = |folder: Folder| Case {
        is_tokenizer: folder.is_tokenizer(),
        answers: (folder.answers.iter())
            .filter_map(|(version, value)| Some((version.clone(), theirs(value)?)))
            .collect(),
        what: folder.what,
        files: folder.files,
    };
    (questions, folders.into_iter().map(case).collect())
}

fn is_near(theirs: f64, ours: f64) -> bool {
    (theirs - ours).abs() <= NATS.max(PARTS * theirs.abs())
}

/// Compares one answer of transformers with ours.
fn compare(tally: &mut Tally, what: &str, theirs: &Answer, ours: &Answer) {
    let both = |why: &str| format!("{what}, {why}\n    transformers {theirs:?}\n    ours         {ours:?}");
    let (wrong, why) = match (theirs, ours) {
        (Refused(_) | Open(_), Refused(_) | Open(_)) => {
            tally.neither += 1;
            return;
        }
        (_, Refused(reason) | Open(reason)) => {
            *tally.refused.entry(reason.clone()).or_default() += 1;
            tally.lines[0].push(both("refused"));
            return;
        }
        (Tokens(theirs), Tokens(ours)) if theirs == ours => {
            tally.both_load += 1;
            return;
        }
        (Model(count, theirs), Model(counted, ours)) if count == counted => match (theirs, ours) {
            (Ok(theirs), Ok(ours)) if is_near(*theirs, *ours) => {
                tally.both_load += 1;
                return;
            }
            (_, Err(_)) => {
                tally.not_evaluated += 1;
                return;
            }
            _ => (&mut tally.other_loss, "another loss"),
        },
        (Model(..), _) => (&mut tally.other_count, "another count"),
        (Tokens(_), _) => (&mut tally.other_tokens, "other tokens"),
        _ => (&mut tally.not_loaded, "not loaded"),
    };
    *wrong += 1;
    let line = both(why);
    tally.lines[1].push(line);
}

fn tally(cases: &[Case], ours: &[Answer], version: &str) -> Tally {
    let mut tally = Tally::default();
    for (case, ours) in cases.iter().zip(ours) {
        if let Some(theirs) = case.answers.get(version) {
            compare(&mut tally, &case.what, theirs, ours);
        }
    }
    tally
}

/// What docs/loading.md states of a version: its figures, and the refusals by reason.
fn documented(version: &str) -> (Vec<String>, BTreeMap<String, usize>) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/loading.md"));
    let text = text.expect("docs/loading.md");
    let section =
        text.split("\n## ").find(|section| section.starts_with("Models\n")).expect("a section on models");
    let refused =
        section.split("\n### ").find(|part| part.starts_with(version)).expect("a part for each version");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = |text: &str, first: &str| -> Vec<Vec<String>> {
        text.lines().filter(|line| line.starts_with(first)).map(cells).collect()
    };
    let figures = rows(section, &format!("| {version} |")).concat();
    let refusals = rows(refused, "| `").into_iter().map(|row| {
        let count = row.last().and_then(|count| count.parse().ok()).expect("a count");
        (row[0].trim_matches('`').to_owned(), count)
    });
    (figures, refusals.collect())
}

fn answers(cases: &[Case], questions: &Questions, transformers: Transformers) -> Vec<Answer> {
    cases.iter().map(|case| ours(case, questions, transformers)).collect()
}

fn compare_with(version: &str, transformers: Transformers, loaded: usize) {
    let (questions, cases) = recorded();
    let tally = tally(&cases, &answers(&cases, &questions, transformers), version);
    let row = [vec![version.to_owned()], tally.figures().map(|figure| figure.to_string()).to_vec()].concat();
    println!("| {} |", row.join(" | "));
    for (reason, count) in &tally.refused {
        println!("| `{reason}` | {count} |");
    }
    if other().is_some() {
        println!("{}", tally.lines[0].join("\n"));
    }
    assert!(tally.wrong() == 0, "{} wrong:\n{}", tally.wrong(), tally.lines[1].join("\n"));
    if other().is_none() {
        let (stated, refusals) = documented(version);
        assert!(
            cases.len() >= 600 && tally.both_load > loaded && tally.neither > 200,
            "{:?}",
            tally.figures()
        );
        assert_eq!(stated, row, "what docs/loading.md states");
        assert_eq!(tally.refused, refusals, "refusals, and those that docs/loading.md names");
    }
}

#[test]
fn models_are_taken_where_transformers_5_24_loads_them_with_the_same_figures() {
    compare_with(VERSIONS[0].0, VERSIONS[0].1, 400);
}

#[test]
fn models_are_taken_where_transformers_4_57_loads_them_with_the_same_figures() {
    compare_with(VERSIONS[1].0, VERSIONS[1].1, 150);
}

#[test]
fn another_answer_of_transformers_is_noticed() {
    for (version, transformers) in VERSIONS {
        notice_changes(version, transformers);
    }
}

/// One answer of each case changed: every case that agreed is then wrong.
fn notice_changes(version: &str, transformers: Transformers) {
    let (questions, cases) = recorded();
    let spread = cases.into_iter().step_by(9).collect::<Vec<_>>();
    let ours = answers(&spread, &questions, transformers);
    let sound = tally(&spread, &ours, version);
    let changed = |change: &dyn Fn(&Answer) -> Answer| {
        let mut changed = Tally::default();
        for (case, ours) in spread.iter().zip(&ours) {
            if let Some(theirs) = case.answers.get(version) {
                compare(&mut changed, &case.what, &change(theirs), ours);
            }
        }
        assert_eq!(changed.both_load, 0);
        changed
    };
    assert!(sound.wrong() == 0 && sound.both_load > 14, "{:?}", sound.figures());
    let other_figure = changed(&|answer| match answer {
        Model(count, Ok(nats)) => Model(*count, Ok(nats * 1.000_01)),
        Tokens(ids) => Tokens(ids.iter().map(|ids| ids[1..].to_vec()).collect()),
        other => other.clone(),
    });
    assert_eq!(other_figure.wrong(), sound.both_load);
    let other_count = changed(&|answer| match answer {
        Model(count, nats) => Model(count + 1, nats.clone()),
        Tokens(_) => Tokens(Vec::new()),
        other => other.clone(),
    });
    assert_eq!(other_count.wrong(), sound.both_load + sound.not_evaluated);
    let refusing = changed(&|_| Refused("OSError".to_owned()));
    assert_eq!(refusing.not_loaded, sound.both_load + sound.not_evaluated);
}
