//! `document_selection.json`: seeds, the generator, samples, mixes, and whole choices.

use bitgauge_core::contract::documents::{allocate, documents_sha256, parse_mix, sample, seed};
use bitgauge_core::contract::numpy::Generator;
use bitgauge_core::contract::python::{Raised, Value, to_float, to_int};
use bitgauge_core::contract::{Environment, Halt, Selection, select_documents};
use native_eval::LocalFiles;
use num_traits::ToPrimitive;

use crate::golden::{Goldens, Outcome, expect, field, text};

pub fn case(goldens: &Goldens, _: &Value, case: &Value) -> Outcome {
    match run(goldens, case) {
        Ok(outcome) => outcome,
        Err(why) => Outcome::Fail(why),
    }
}

fn run(goldens: &Goldens, case: &Value) -> Result<Outcome, String> {
    let input = field(case, "input")?;
    let got = match text(input, "fn")? {
        "seed_from_text" => seed(text(input, "text")?).into(),
        "pcg64_raw" => raw_outputs(input)?,
        "permutation" => permutations(input, &[number(input, "n")?])?.swap_remove(0),
        "permutation_sequence" => Value::Array(permutations(input, &numbers(input, "ns")?)?),
        "sample_documents" => return Ok(expect(sampled(input)?, field(case, "expected")?).into()),
        "allocate_mix_counts" => allocated(input)?,
        "parse_dataset_mix" => {
            let entries = parse_mix(text(input, "mix")?);
            let pair = |e: &bitgauge_core::contract::documents::MixEntry| {
                Value::Array(vec![e.key.as_str().into(), e.weight.into()])
            };
            Value::Array(entries.iter().map(pair).collect())
        }
        "effective_rotation_key" => {
            environment(input)?.effective_rotation_key(text(input, "rotation_key")?).into()
        }
        "choose_documents" => return choose(goldens, input, field(case, "expected")?),
        other => return Err(format!("unknown function {other}")),
    };
    Ok(expect(Ok(got), field(case, "expected")?).into())
}

fn number(input: &Value, key: &str) -> Result<u64, String> {
    to_int(field(input, key)?).ok().and_then(|int| int.to_u64()).ok_or_else(|| format!("`{key}` is no u64"))
}

/// A count of documents; a negative one asks for nothing.
fn count(input: &Value, key: &str) -> Result<u64, String> {
    Ok(to_int(field(input, key)?).map_err(|e| e.to_string())?.to_u64().unwrap_or(0))
}

fn list<'v>(input: &'v Value, key: &str) -> Result<&'v [Value], String> {
    match field(input, key)? {
        Value::Array(items) => Ok(items),
        _ => Err(format!("`{key}` is no list")),
    }
}

fn numbers(input: &Value, key: &str) -> Result<Vec<u64>, String> {
    let item = |item: &Value| to_int(item).ok().and_then(|int| int.to_u64()).ok_or("no u64".to_owned());
    list(input, key)?.iter().map(item).collect()
}

fn raw_outputs(input: &Value) -> Result<Value, String> {
    let mut generator = Generator::new(number(input, "seed")?);
    Ok((0..number(input, "count")?).map(|_| generator.next_u64()).collect::<Vec<_>>().into())
}

fn permutations(input: &Value, sizes: &[u64]) -> Result<Vec<Value>, String> {
    let mut generator = Generator::new(number(input, "seed")?);
    let one =
        |&n: &u64| generator.permutation(n as u32).into_iter().map(u64::from).collect::<Vec<_>>().into();
    Ok(sizes.iter().map(one).collect())
}

fn sampled(input: &Value) -> Result<Result<Value, Raised>, String> {
    let pool: Vec<String> = (0..number(input, "pool_size")?).map(|i| format!("doc-{i}")).collect();
    let chosen = match sample(&pool, text(input, "seed_key")?, count(input, "count")?) {
        Ok(chosen) => chosen,
        Err(raised) => return Ok(Err(raised)),
    };
    let index = |document: &String| document["doc-".len()..].parse::<u64>().map_err(|e| e.to_string());
    let indices = chosen.iter().map(index).collect::<Result<Vec<_>, _>>()?;
    Ok(Ok(Value::from([("indices", indices.into()), ("document_sha256", documents_sha256(&chosen).into())])))
}

fn allocated(input: &Value) -> Result<Value, String> {
    let weights = list(input, "weights")?.iter().map(to_float).collect::<Result<Vec<_>, _>>();
    Ok(allocate(count(input, "total_count")?, &weights.map_err(|e| e.to_string())?).into())
}

fn environment(input: &Value) -> Result<Environment, String> {
    let Value::Object(variables) = field(input, "env")? else { return Err("`env` is no object".into()) };
    Ok(variables.iter().map(|(key, value)| (key.clone(), value.to_text())).collect())
}

fn choose(goldens: &Goldens, input: &Value, expected: &Value) -> Result<Outcome, String> {
    let environment = environment(input)?;
    let rotation_key = environment.effective_rotation_key(text(input, "rotation_key")?);
    let selection = Selection {
        dataset: text(input, "dataset_name")?,
        split: text(input, "split_name")?,
        rotation_key: &rotation_key,
        mix: text(input, "dataset_mix")?,
        count: count(input, "count")?,
    };
    let corpus = goldens.corpus()?;
    let files = LocalFiles::new(goldens.folder());
    let got = match select_documents(&selection, &environment, corpus.as_ref(), &files) {
        Ok(documents) => {
            let hash = documents_sha256(&documents);
            Ok(Value::from([("documents", documents.into()), ("document_sha256", hash.into())]))
        }
        Err(Halt::Raised(raised)) => Err(raised),
        Err(Halt::Fault(_)) if corpus.is_none() => return Ok(Outcome::NeedsCorpus),
        Err(Halt::Fault(error)) => return Err(error.to_string()),
    };
    Ok(expect(got, expected).into())
}
