//! A proxy's JSON artifact as a report: what a run's gates count before the artifact is scored.

use num_bigint::BigInt;
use num_traits::ToPrimitive;

use super::candidate::{Candidate, compile};
use super::entries::Entry;
use super::layer::Layer;
use super::model::{LAYERS, LayerSpec, Teacher};
use super::submission::{not_utf8, parse};
use super::totals::Totals;
use crate::container::ContainerKind;
use crate::contract::documents::sha256_hex;
use crate::contract::gates::{at_most, not_run};
use crate::contract::python::{Raised, ceil_bytes};
use crate::contract::{Halt, Limits, PROXY_PARAMETERS, RuleSet, Rules};
use crate::report::words::count;
use crate::report::{ArtifactSummary, Gate, Outcome, Report, SCHEMA_VERSION, Unit, Verdict, WeightSummary};
use crate::{Error, ErrorKind, limits};

/// Whether a file that begins so is JSON text, and then no artifact but a proxy's. JSON holds no NUL, which a tar and
/// a file of safetensors have in their first bytes, whatever else those are.
pub fn looks_like_json(first: &[u8]) -> bool {
    matches!(first.trim_ascii_start().first(), Some(b'{' | b'[')) && !first.contains(&0)
}

/// The error for an artifact of more than [`limits::PROXY_BYTES`], for who can tell before reading it.
pub fn too_long(bytes: u64) -> Error {
    Error::new(ErrorKind::TooLarge, "the JSON artifact is too long")
        .expected_found(format!("at most {} bytes", limits::PROXY_BYTES), bytes)
}

/// Judges a JSON artifact without documents: all gates of a run but the quality floor.
///
/// # Errors
/// More than [`limits::PROXY_BYTES`], what is not UTF-8, more bases than bitgauge takes. What the validator
/// raises is a gate that fails.
pub fn inspect(name: &str, bytes: &[u8], rules: Rules) -> Result<Report, Error> {
    if bytes.len() as u64 > limits::PROXY_BYTES {
        return Err(too_long(bytes.len() as u64).within(name));
    }
    let config = rules.rule_set();
    let text = std::str::from_utf8(bytes).map_err(|error| not_utf8(name, &error));
    let compiled = text.map_err(Halt::from).and_then(|text| {
        let artifact = parse(name, text)?;
        compile(artifact.root(), &Teacher::default(), &config)
    });
    let candidate = match compiled {
        Ok(candidate) => Ok(candidate),
        Err(Halt::Raised(raised)) => Err(raised),
        Err(Halt::Fault(error)) => return Err(error.within(name)),
    };
    let gates = gates(&candidate, &config, &rules.limits());
    Ok(Report {
        schema_version: SCHEMA_VERSION,
        bitgauge_version: env!("CARGO_PKG_VERSION").to_owned(),
        artifact: ArtifactSummary {
            name: name.to_owned(),
            kind: ContainerKind::Json,
            size_bytes: bytes.len() as u64,
            sha256: Some(sha256_hex(bytes)),
            ..ArtifactSummary::default()
        },
        pack: rules,
        verdict: Verdict::of(&gates),
        gates,
        weights: candidate.map_or_else(|_| Vec::new(), |candidate| weights(&candidate)),
        notes: notes(),
        ..Report::default()
    })
}

fn notes() -> Vec<String> {
    vec![
        format!(
            "A proxy's artifact describes {} small matrices of {} weights. The gates count what \
             they would be at the reference model's size; the weights are listed as they are.",
            LAYERS.len(),
            count(PROXY_PARAMETERS as u64)
        ),
        "Under the competition's own config a proxy run can't finish: its second metric is none, and the validator \
         ends with a TypeError after the last gate."
            .to_owned(),
    ]
}

/// Every gate, in the order of a run.
fn gates(candidate: &Result<Candidate, Raised>, config: &RuleSet, limits: &Limits) -> Vec<Gate> {
    let totals = candidate.as_ref().ok().map(|candidate| &candidate.totals);
    let floor = format!("heldout_quality, exp(-KL) from the teacher, is at least {}", config.quality_floor);
    let quality =
        not_run("quality_floor", "quality floor", Unit::Files, "no documents were scored").rule(floor);
    vec![
        readable(candidate),
        rescue_fraction(totals, limits),
        parameter_count(totals, limits),
        compressed_size(totals, limits),
        Gate { hint: Some("`bitgauge proxy` scores it, given the validator's texts".into()), ..quality },
    ]
}

fn readable(candidate: &Result<Candidate, Raised>) -> Gate {
    let (id, title) = ("loadable", "is a proxy's artifact");
    let gate = match candidate {
        Ok(_) => at_most(id, title, Unit::Files, 0, 0),
        Err(raised) => at_most(id, title, Unit::Files, 1, 0).details(vec![raised.to_string()]),
    };
    gate.rule(
        "an object with a row in `layers` for each matrix; what it declares is what the validator counts",
    )
    .hint("the message is the validator's own; a model is given as its folder, or a zip or tar of it")
}

fn rescue_fraction(totals: Option<&Totals>, limits: &Limits) -> Gate {
    let (id, title) = ("high_precision_fraction", "rescue fraction");
    let wanted = limits.max_non_native(PROXY_PARAMETERS as u64);
    gate(id, title, Unit::Parameters, totals, |totals| {
        (&totals.proxy_rescue_count, wanted, totals.is_over_fraction(limits))
    })
    .rule(format!("at most 10 % of the {} weights in rescue codes", count(PROXY_PARAMETERS as u64)))
    .hint("lower high_precision_fraction")
}

fn parameter_count(totals: Option<&Totals>, limits: &Limits) -> Gate {
    let (id, title) = ("parameter_count", "parameter count");
    let wanted = saturated(&limits.max_parameter_count.into());
    gate(id, title, Unit::Parameters, totals, |totals| {
        (&totals.parameter_count, wanted, totals.is_over_parameters(limits))
    })
    .rule(format!("at most {}, counted at the size of {} parameters", count(wanted), size(limits)))
    .hint("use fewer bases and fewer extra entries")
}

fn compressed_size(totals: Option<&Totals>, limits: &Limits) -> Gate {
    let (id, title) = ("compressed_size", "size under the reference budget");
    let max_bits = limits.max_compressed_bits;
    let wanted = ceil_bytes(&max_bits.into()).map_or(u64::MAX, |bytes| saturated(&bytes));
    gate(id, title, Unit::Bytes, totals, |totals| {
        (&totals.compressed_size_bytes, wanted, totals.is_over_bits(limits))
    })
    .details(
        totals
            .map(|totals| format!("{} bits", count(saturated(&totals.compressed_bits))))
            .into_iter()
            .collect(),
    )
    .rule(format!(
        "at most {} bits, counted at the size of {} parameters",
        count(u64::try_from(max_bits).unwrap_or(u64::MAX)),
        size(limits)
    ))
    .hint("use fewer bases, or lower high_precision_fraction: with one basis 0.098 fits")
}

/// A gate that holds a count against a limit, where there are counts; the run's own comparison decides.
fn gate<'a>(
    id: &'static str,
    title: &'static str,
    unit: Unit,
    totals: Option<&'a Totals>,
    count: impl Fn(&'a Totals) -> (&'a BigInt, u64, bool),
) -> Gate {
    let Some((got, wanted, is_over)) = totals.map(count) else {
        return not_run(id, title, unit, "the artifact can't be read");
    };
    let outcome = if is_over { Outcome::Fail } else { Outcome::Pass };
    Gate { outcome, ..at_most(id, title, unit, saturated(got), wanted) }
}

/// The parameters that these limits are for, for people.
fn size(limits: &Limits) -> String {
    count(u64::try_from(limits.parameter_count).unwrap_or(u64::MAX))
}

fn saturated(count: &BigInt) -> u64 {
    count.to_u64().unwrap_or(u64::MAX)
}

/// The matrices, then what else the artifact declares, as they count before they are scaled.
fn weights(candidate: &Candidate) -> Vec<WeightSummary> {
    let matrix = |(spec, layer): (&LayerSpec, &Layer)| WeightSummary {
        name: spec.name.to_owned(),
        form: layer.form.clone(),
        shape: vec![spec.rows as u64, spec.cols as u64],
        parameters: layer.parameters,
        rescue_parameters: layer.rescued as u64,
        bits: layer.bits,
    };
    let entry = |entry: &Entry| WeightSummary {
        name: entry.name.clone(),
        form: entry.role.clone(),
        shape: Vec::new(),
        parameters: saturated(&entry.parameters),
        rescue_parameters: saturated(&entry.rescued()),
        bits: saturated(&entry.bits),
    };
    let entries = candidate.entries.iter().map(entry);
    LAYERS.iter().zip(&candidate.layers).map(matrix).chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::Environment;
    use crate::contract::proxy::default_submission;
    use crate::contract::proxy::run::check_limits;
    use crate::contract::python::{Json, Value};

    fn submission(fraction: f64, bases: u32) -> String {
        let text = default_submission(&Teacher::default(), "binary").to_canonical();
        let Value::Object(mut artifact) = Value::parse(&text).unwrap() else { panic!("an object") };
        let Some(Value::Array(rows)) = artifact.get_mut("layers") else { panic!("rows") };
        for (row, spec) in rows.iter_mut().zip(LAYERS) {
            let Value::Object(row) = row else { panic!("an object") };
            let keep = (spec.elements() as f64 * fraction).round_ties_even() as usize;
            row.insert("high_precision_fraction".into(), fraction.into());
            row.insert("binary_basis_count".into(), u64::from(bases).into());
            row.insert("rescue_values_q4".into(), vec![1_u64; keep].into());
            row.insert("rescue_scales".into(), vec![1.0; keep.div_ceil(128)].into());
        }
        Value::from(artifact).to_canonical()
    }

    fn failed(report: &Report) -> Vec<&str> {
        let failed = report.gates.iter().filter(|gate| gate.outcome == Outcome::Fail);
        failed.map(|gate| &*gate.id).collect()
    }

    #[test]
    fn gates_fail_where_a_run_rejects() {
        for (fraction, bases, gates) in [
            (0.05, 1, vec![]),
            (0.098, 1, vec![]),
            (0.0985, 1, vec!["compressed_size"]),
            (0.5, 1, vec!["high_precision_fraction", "compressed_size"]),
            (0.0, 2, vec!["compressed_size"]),
            (0.2, 20, vec!["high_precision_fraction", "parameter_count", "compressed_size"]),
        ] {
            let text = submission(fraction, bases);
            let report = inspect("a.json", text.as_bytes(), Rules::Binary).unwrap();
            assert_eq!(failed(&report), gates, "{fraction} {bases}");
            let verdict = if gates.is_empty() { Verdict::Inconclusive } else { Verdict::NotEligible };
            assert_eq!(report.verdict, verdict);

            let artifact = Json::parse(&*text).unwrap();
            let config = RuleSet::binary();
            let candidate = compile(artifact.root(), &Teacher::default(), &config).unwrap();
            let run = check_limits(&candidate, &Rules::Binary.limits(), &Environment::default());
            let rejected = run.err().map(|raised| raised.to_string());
            let first = gates.first().map(|gate| format!("validator_rejection={gate} "));
            assert_eq!(rejected.is_some(), first.is_some());
            assert!(rejected.unwrap_or_default().starts_with(&first.unwrap_or_default()));
            let bits: u64 = report.weights.iter().map(|weight| weight.bits).sum();
            assert_eq!(BigInt::from(bits), candidate.totals.proxy_compressed_bits);
        }
    }

    #[test]
    fn what_is_no_artifact_fails_in_the_validators_words() {
        for (bytes, words) in [
            (&b"[]"[..], "ValueError: submission artifact JSON must be an object"),
            (b"{", "ValueError: submission artifact must be JSON: a.json"),
            (br#"{"layers": []}"#, "ValueError: artifact is missing layer: embed_proj"),
        ] {
            let report = inspect("a.json", bytes, Rules::Ternary).unwrap();
            assert_eq!(failed(&report), ["loadable"]);
            assert!(report.gates[0].details[0].starts_with(words), "{:?}", report.gates[0].details);
            assert_eq!(report.verdict, Verdict::NotEligible);
            assert!(report.gates[1..].iter().all(|gate| gate.outcome == Outcome::NotRun));
        }
        let many = submission(0.0, 1_000_000);
        for (bytes, what) in [(&b"{\"a\": \"\xff\"}"[..], "can't be read"), (many.as_bytes(), "too many")] {
            let error = inspect("a.json", bytes, Rules::Binary).unwrap_err();
            assert!(error.what.contains(what) && error.place.starts_with("a.json"), "{error}");
        }
    }

    #[test]
    fn json_is_told_by_its_beginning() {
        assert!(looks_like_json(b" \n{\"layers\"") && looks_like_json(b"[1]"));
        assert!(!looks_like_json(b"PK\x03\x04") && !looks_like_json(b""));
        assert!(!looks_like_json(b"[v1]/a\0") && !looks_like_json(b"{\0\0\0\0\0\0\0{}"));
    }
}
