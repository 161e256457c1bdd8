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
use native_eval::{CpuBackend, EvaluateOptions, Source, evaluate, load, loaded_inventory, own_tokenizer};
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
    /// Parameters and mean loss, the latter not where there is no forward pass here, or it gives no number. Why.
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
    /// Loaded by transformers alone, by what bitgauge says.
    refused: BTreeMap<String, usize>,
    /// Loaded by both, but the loss is not compared, by what bitgauge says.
    not_evaluated: BTreeMap<String, usize>,
    /// Taken here alone, or with another figure.
    wrong: Vec<String>,
    /// Those of `refused`, one by one.
    which: Vec<String>,
}

/// A sentence without names and numbers.
fn kind_of(sentence: &str) -> String {
    let is_name = |word: &str| {
        word.contains(['`', '/', '_', '"'])
            || word.trim_end_matches(['.', ',']).contains(['.', '0', '1', '2'])
    };
    let mut words: Vec<&str> =
        sentence.split(' ').map(|word| if is_name(word) { "…" } else { word }).collect();
    words.dedup_by(|a, b| a == b && *a == "…");
    // What follows a colon are names.
    let text = words.join(" ");
    text.split_once(": ").map_or(text.as_str(), |(kind, _)| kind).to_owned()
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
    let mut backend = CpuBackend::new(Some(1)).map_err(|error| error.to_string())?;
    let model =
        load(&mut backend, &mut source, &inventory, &mut |_| {}).map_err(|error| error.to_string())?;
    let options =
        EvaluateOptions { max_tokens: 512, tokens_in_flight: None, documents_sha256: String::new() };
    let result = evaluate(&mut backend, &model, documents, &options, &mut |_, _| {});
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
        let files = files.into_iter().map(|(name, len)| (name, bytes(len))).collect();
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
    match (theirs, ours) {
        (Refused(_) | Open(_), Refused(_) | Open(_)) => tally.neither += 1,
        (Model(..) | Tokens(_), Refused(reason)) => {
            *tally.refused.entry(reason.clone()).or_default() += 1;
            tally.which.push(format!("{what}\n    {reason}"));
        }
        (Model(..), Open(reason)) => {
            *tally.refused.entry(format!("open: {reason}")).or_default() += 1;
            tally.which.push(format!("{what}\n    open: {reason}"));
        }
        (Tokens(theirs), Tokens(ours)) if theirs == ours => tally.both_load += 1,
        (Model(count, Ok(theirs)), Model(counted, Ok(ours)))
            if count == counted && is_near(*theirs, *ours) =>
        {
            tally.both_load += 1;
        }
        (Model(count, theirs), Model(counted, Err(why))) if count == counted => {
            let why = if theirs.is_err() { "no number in both" } else { why };
            *tally.not_evaluated.entry(why.to_owned()).or_default() += 1;
        }
        _ => tally.wrong.push(format!("{what}\n    transformers {theirs:?}\n    ours         {ours:?}")),
    }
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

#[test]
fn models_are_taken_where_transformers_loads_them_with_the_same_figures() {
    let (questions, cases) = recorded();
    let ours: Vec<Answer> = cases.iter().map(|case| ours(case, &questions)).collect();
    for version in VERSIONS {
        let tally = tally(&cases, &ours, version);
        println!(
            "{version}: {} by both, {} by neither, {} wrong",
            tally.both_load,
            tally.neither,
            tally.wrong.len()
        );
        for (reason, count) in tally.refused.iter().chain(&tally.not_evaluated) {
            println!("| `{reason}` | {count} |");
        }
        println!("{}", tally.wrong.join("\n"));
        if other().is_some() {
            println!("{}", tally.which.join("\n"));
        }
    }
}
