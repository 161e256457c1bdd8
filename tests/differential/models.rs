//! Model folders and what transformers makes of them (`models.py`): none that it can't load may be taken here, none have
//! another count of parameters, another loss or other tokens, and none that it loads be refused or left open but for a
//! reason that docs/loading.md names.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use bitgauge_core::container::{Root, Window, fetch_and_open};
use bitgauge_core::contract::Rules;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::report::{Outcome, Report};
use bitgauge_core::scan::Scan;
use bitgauge_eval::{EvaluateOptions, evaluate};
use native_eval::{Source, load, loaded_inventory, open_cpu, own_tokenizer};
use pollster::block_on;
use serde_json::Value;

/// The version that bitgauge follows, and an older one.
const VERSIONS: [&str; 2] = ["5.24.0", "4.57.6"];
/// Furthest that a mean loss may lie from transformers', in nats, or in parts of it where it is large.
const NATS: f64 = 4e-6;
const PARTS: f64 = 4e-7;
/// The gates that say whether a model loads as the one that config.json describes.
const LOADING: [&str; 4] = ["loadable", "tensors", "shapes", "payload"];

type Files = Vec<(String, Vec<u8>)>;

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

fn report(files: &Files) -> bitgauge_core::Result<Report> {
    let lengths = files.iter().map(|(name, bytes)| (name.clone(), bytes.len() as u64)).collect();
    let artifact = fetch_and_open(&mut Window::new(lengths), Root::Folder, |need| {
        Ok(files[need.file].1[need.offset as usize..][..need.len as usize].to_vec())
    })?;
    let inventory = Inventory::of(&artifact)?;
    let mut scan = Scan::new(&inventory);
    for (index, (_, bytes)) in files.iter().enumerate() {
        scan.begin_file(index)?;
        scan.push(bytes)?;
    }
    Ok(inspect::report("model", &inventory, Rules::Binary, Some(&scan.finish()?)))
}

/// Mean loss in nats and parameters, as `bitgauge eval` finds them.
fn measured(folder: &Path, documents: &[Vec<u32>]) -> Result<(f64, Option<u64>), String> {
    let text = |error: bitgauge_core::Error| error.what.clone();
    let mut source = Source::open(folder).map_err(text)?;
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

fn ours(case: &Case, questions: &Questions) -> Answer {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, bytes) in &case.files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, bytes).expect("a file");
    }
    if case.is_tokenizer {
        let tokens = || -> bitgauge_core::Result<Vec<Vec<u32>>> {
            let mut source = Source::open(folder.path())?;
            let tokenizer = own_tokenizer(&mut source)?;
            let texts = questions.texts.iter();
            texts.map(|text| tokenizer.encode(text, questions.max_length as u64)).collect()
        };
        return tokens().map_or_else(|error| Refused(kind_of(&error.what)), Tokens);
    }
    let report = match report(&case.files) {
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
    match measured(folder.path(), &questions.ids) {
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

fn other() -> Option<std::ffi::OsString> {
    std::env::var_os("BITGAUGE_MODELS")
}

/// The files of a case that lies in the tree by itself.
fn given(name: &str) -> Files {
    let folder = conformance::fixtures().join("loader");
    let read = |name: &str| std::fs::read(folder.join(name)).expect("a fixture");
    let all: Value = serde_json::from_slice(&read("cases.json")).expect("the cases");
    let case = all["cases"].as_array().expect("a list").iter().find(|case| case["name"] == name);
    let files = case.expect("the case")["files"].as_object().expect("its files");
    files.iter().map(|(name, stored)| (name.clone(), read(stored.as_str().expect("a name")))).collect()
}

fn recorded() -> (Questions, Vec<Case>) {
    let path =
        other().unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/differential/models.xz").into());
    let file = std::fs::read(path).expect("the recorded answers");
    let mut text = Vec::new();
    lzma_rust2::XzReader::new(file.as_slice(), false).read_to_end(&mut text).expect("an xz file");
    let mut rest = text.as_slice();
    let mut take = |len: usize| {
        let (taken, left) = rest.split_at(len);
        rest = left;
        taken
    };
    let line = |rest: &mut dyn FnMut(usize) -> Vec<u8>| -> Value {
        let mut text = Vec::new();
        while text.last() != Some(&b'\n') {
            text.extend(rest(1));
        }
        serde_json::from_slice(&text).expect("a line of JSON")
    };
    let mut bytes = |len: usize| take(len).to_vec();
    let head = line(&mut bytes);
    let questions = Questions {
        ids: serde_json::from_value(head["ids"].clone()).expect("ids"),
        texts: serde_json::from_value(head["texts"].clone()).expect("texts"),
        max_length: head["max_length"].as_u64().expect("a length") as usize,
    };
    let mut cases = Vec::new();
    for number in 0..head["folders"].as_u64().expect("how many") {
        let value = line(&mut bytes);
        let family = value["family"].as_str().expect("a family");
        let files: Vec<(String, usize)> = serde_json::from_value(value["files"].clone()).expect("files");
        let mut files: Files = files.into_iter().map(|(name, len)| (name, bytes(len))).collect();
        if family == "given" {
            files = given(value["what"].as_str().expect("a name"));
        }
        let answers = value["answers"].as_object().expect("answers").iter();
        cases.push(Case {
            what: format!("{number} ({family}), {}", value["what"]),
            is_tokenizer: family.starts_with("tokenizer"),
            files,
            answers: answers.filter_map(|(version, value)| Some((version.clone(), theirs(value)?))).collect(),
        });
    }
    (questions, cases)
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

/// What docs/loading.md states: the figures of each version, and the refusals by reason.
fn documented() -> (Vec<Vec<String>>, BTreeMap<String, usize>) {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/loading.md"));
    let text = text.expect("docs/loading.md");
    let section =
        text.split("\n## ").find(|section| section.starts_with("Models\n")).expect("a section on models");
    let cells = |line: &str| -> Vec<String> {
        line.trim_matches('|').split('|').map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = |first: &str| -> Vec<Vec<String>> {
        section.lines().filter(|line| line.starts_with(first)).map(cells).collect()
    };
    let versions = VERSIONS.iter().flat_map(|version| rows(&format!("| {version} |"))).collect();
    let refusals = rows("| `").into_iter().map(|row| {
        let count = row.last().and_then(|count| count.parse().ok()).expect("a count");
        (row[0].trim_matches('`').to_owned(), count)
    });
    (versions, refusals.collect())
}

fn answers(cases: &[Case], questions: &Questions) -> Vec<Answer> {
    cases.iter().map(|case| ours(case, questions)).collect()
}

#[test]
fn models_are_taken_where_transformers_loads_them_with_the_same_figures() {
    let (questions, cases) = recorded();
    let ours = answers(&cases, &questions);
    let (stated, refusals) = documented();
    for (number, version) in VERSIONS.into_iter().enumerate() {
        let tally = tally(&cases, &ours, version);
        let row =
            [vec![version.to_owned()], tally.figures().map(|figure| figure.to_string()).to_vec()].concat();
        println!("| {} |", row.join(" | "));
        if number > 0 {
            assert!(
                other().is_some() || stated[number] == row,
                "what docs/loading.md states: {:?}",
                stated[number]
            );
            continue;
        }
        // The version that is followed.
        for (reason, count) in &tally.refused {
            println!("| `{reason}` | {count} |");
        }
        if other().is_some() {
            println!("{}", tally.lines[0].join("\n"));
        }
        assert!(tally.wrong() == 0, "{} wrong:\n{}", tally.wrong(), tally.lines[1].join("\n"));
        if other().is_none() {
            assert!(
                cases.len() >= 600 && tally.both_load > 400 && tally.neither > 200,
                "{:?}",
                tally.figures()
            );
            assert_eq!(stated[number], row, "what docs/loading.md states");
            assert_eq!(tally.refused, refusals, "refusals, and those that docs/loading.md names");
        }
    }
}

#[test]
fn another_answer_of_transformers_is_noticed() {
    let (questions, cases) = recorded();
    let spread = cases.into_iter().step_by(9).collect::<Vec<_>>();
    let ours = answers(&spread, &questions);
    let sound = tally(&spread, &ours, VERSIONS[0]);
    let changed = |change: &dyn Fn(&Answer) -> Answer| {
        let mut changed = Tally::default();
        for (case, ours) in spread.iter().zip(&ours) {
            if let Some(theirs) = case.answers.get(VERSIONS[0]) {
                compare(&mut changed, &case.what, &change(theirs), ours);
            }
        }
        assert_eq!(changed.both_load, 0);
        changed
    };
    assert!(sound.wrong() == 0 && sound.both_load > 40, "{:?}", sound.figures());
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
