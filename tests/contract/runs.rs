//! Whole runs on texts of our own: the proxy's, in the validator's order, and what a direct run ends with.

use std::path::Path;

use bitgauge_core::contract::direct::{DatasetHandle, Measured, Revision, RunOutput, Runtime, judge};
use bitgauge_core::contract::documents::Corpus;
use bitgauge_core::contract::proxy::{
    Proxy, Submission, Teacher, VOCABULARY, compile, default_submission, run,
};
use bitgauge_core::contract::python::{Exception, Json, Value};
use bitgauge_core::contract::{Environment, Halt, Limits, RuleSet};
use native_eval::LocalFiles;
use serde_json::Value as Plain;

use crate::environment;

/// Texts of so many distinct words.
fn corpus(words: usize) -> Corpus {
    let text = |from: usize| (from..(from + 45).min(words)).map(|i| format!("w{i:03} ")).collect::<String>();
    let texts: Vec<String> = (0..words).step_by(45).map(text).collect();
    Corpus::parse(&serde_json::json!({ "math": texts }).to_string()).expect("a corpus")
}

/// A pack that asks for nothing.
fn lenient() -> RuleSet {
    RuleSet {
        quality_floor: 0.0,
        secondary_metric_name: Some("compression_ratio".into()),
        ..RuleSet::binary()
    }
}

fn default_artifact(mode: &str) -> Value {
    default_submission(&Teacher::default(), mode)
}

/// Runs the proxy on what a module builds.
fn run_on(
    config: &RuleSet,
    environment: &Environment,
    mut build: impl FnMut() -> Value,
) -> Result<RunOutput, Halt> {
    let files = LocalFiles::new(Path::new("/"));
    let proxy = Proxy { config, environment, corpus: Some(&corpus(VOCABULARY)), files: &files };
    run(&proxy, Submission::Module { name: "train.py", build: Some(&mut build) })
}

fn plain(value: &Value) -> Plain {
    serde_json::from_str(&value.to_canonical()).expect("it is JSON")
}

#[track_caller]
fn raised<T: std::fmt::Debug>(result: Result<T, Halt>) -> String {
    match result.expect_err("an error") {
        Halt::Raised(raised) => raised.to_string(),
        Halt::Fault(error) => panic!("a fault of ours: {error}"),
    }
}

#[test]
fn a_run_reports_and_prints_the_same_figures() {
    let verdict = run_on(&lenient(), &environment(&[]), || default_artifact("binary")).expect("it passes");
    let report = plain(&verdict.report);
    let metrics = &report["metrics"];
    let line = |name: &str, key: &str| format!("{name}={:.6}\n", metrics[key].as_f64().expect(key));
    let count = |name: &str| format!("{name}={}\n", report[name].as_u64().expect(name));
    let printed = [
        format!("heldout_ppl={:.6}\n", report["metric_value"].as_f64().expect("a perplexity")),
        line("heldout_quality", "heldout_quality"),
        line("compression_ratio", "compression_ratio"),
        count("parameter_count"),
        count("compressed_size_bytes"),
        line("high_precision_fraction", "rescue_fraction"),
        line("rescue_fraction", "rescue_fraction"),
    ];
    assert_eq!(verdict.stdout, printed.concat());
    assert_eq!(report["secondary_metric_value"], metrics["compression_ratio"]);
    assert!(metrics["compression_ratio"].as_f64().is_some_and(|ratio| ratio > 10.0), "{metrics}");
    // Its canonical JSON is what is hashed and counted.
    let canonical = default_artifact("binary").to_canonical();
    assert_eq!(report["artifact_manifest_bytes"], canonical.len());
    assert_eq!(report["submission_artifact_bytes"], Plain::Null);
    // The baseline of 27 billion parameters at 16 bits, and 1.3125 bits of them.
    assert_eq!(
        (&metrics["baseline_parameter_count"], &metrics["baseline_size_bytes"]),
        (&27e9.into(), &54e9.into())
    );
    assert_eq!(report["max_artifact_size_bytes"], 35_437_500_000_u64 / 8);
    assert_eq!(report["eligibility"].as_object().expect("gates").len(), 8);

    // Another word for the second metric is an error that Python would raise.
    for name in [None, Some("speedup".to_owned())] {
        let config = RuleSet { secondary_metric_name: name, ..lenient() };
        let message = raised(run_on(&config, &environment(&[]), || default_artifact("binary")));
        assert!(message.starts_with("TypeError: float() argument"), "{message}");
    }
}

#[test]
fn a_file_and_a_module_are_judged_alike() {
    let folder = tempfile::tempdir().expect("a folder");
    let (config, environment, corpus) = (lenient(), environment(&[]), corpus(VOCABULARY));
    let files = LocalFiles::new(folder.path());
    let proxy = Proxy { config: &config, environment: &environment, corpus: Some(&corpus), files: &files };
    let of_file = |text: Option<&[u8]>| {
        let path = folder.path().join("a.json");
        _ = std::fs::remove_file(&path);
        text.into_iter().for_each(|text| std::fs::write(&path, text).expect("a file"));
        run(&proxy, Submission::File { path: "a.json", files: &files })
    };
    let built = run_on(&config, &environment, || default_artifact("binary")).expect("it passes");
    assert_eq!(of_file(Some(default_artifact("binary").to_canonical().as_bytes())), Ok(built));
    assert_eq!(raised(of_file(None)), "ValueError: submission artifact not found: a.json");
    assert_eq!(raised(of_file(Some(b"{"))), "ValueError: submission artifact must be JSON: a.json");
    assert_eq!(raised(of_file(Some(b"[]"))), "ValueError: submission artifact JSON must be an object");
    assert_eq!(
        raised(of_file(Some(b"{}"))),
        raised(run_on(&config, &environment, || Value::parse("{}").expect("JSON")))
    );
    let Err(Halt::Fault(error)) = of_file(Some(b"\xff{}")) else { panic!("no text, but read") };
    assert!(error.what.contains("can't be read"), "{error}");
    let Err(Halt::Fault(error)) = run(&proxy, Submission::File { path: ".", files: &files }) else {
        panic!("a folder is no file")
    };
    assert_eq!(error.found, "a folder");

    let nothing = run(&proxy, Submission::Module { name: "train.py", build: None });
    assert_eq!(raised(nothing), "ValueError: train.py must define build_submission(...)");
    let list = run_on(&config, &environment, || Value::Array(Vec::new()));
    assert_eq!(raised(list), "ValueError: build_submission(...) must return a dict artifact");
    // Each run of the module must give the same.
    let mut modes = ["binary", "ternary"].iter().cycle();
    let changing = run_on(&config, &environment, || default_artifact(modes.next().expect("endless")));
    assert_eq!(
        raised(changing),
        "validator_rejection=reproducibility artifact hash changed between identical runs"
    );
}

#[test]
fn the_vocabulary_is_the_corpus() {
    let (config, environment) = (lenient(), environment(&[]));
    let files = LocalFiles::new(Path::new("/"));
    let with = |corpus: Option<&Corpus>| {
        let proxy = Proxy { config: &config, environment: &environment, corpus, files: &files };
        let mut build = || default_artifact("binary");
        run(&proxy, Submission::Module { name: "train.py", build: Some(&mut build) })
    };
    for words in [VOCABULARY - 1, VOCABULARY + 1] {
        let Err(Halt::Fault(error)) = with(Some(&corpus(words))) else {
            panic!("{words} words are not the proxy's")
        };
        assert!(error.what.contains("not the validator's"), "{error}");
    }
    assert!(matches!(with(None), Err(Halt::Fault(_))));
    assert!(with(Some(&corpus(VOCABULARY))).is_ok());
}

#[test]
fn each_limit_of_the_proxy_is_the_last_that_passes() {
    let verdict = run_on(&lenient(), &environment(&[]), || default_artifact("binary")).expect("it passes");
    let quality = plain(&verdict.report)["metrics"]["heldout_quality"].as_f64().expect("a quality");
    let floor = |quality_floor| {
        let config = RuleSet { quality_floor, ..lenient() };
        run_on(&config, &environment(&[]), || default_artifact("binary"))
    };
    assert!(floor(quality).is_ok());
    let message = raised(floor(quality.next_up()));
    assert_eq!(message, format!("validator_rejection=quality_floor heldout_quality={quality:.6}"));

    let most = 35_437_500_000_u64 / 8;
    let declared = |bytes: u64| {
        let text = bytes.to_string();
        run_on(&lenient(), &environment(&[("SUBMISSION_ARTIFACT_BYTES", &text)]), || {
            default_artifact("binary")
        })
    };
    let report = plain(&declared(most).expect("it passes").report);
    assert_eq!(report["submission_artifact_bytes"], most);
    assert_eq!(
        raised(declared(most + 1)),
        format!(
            "validator_rejection=artifact_size artifact_bytes={} max_artifact_size_bytes={most}",
            most + 1
        )
    );
    // A pack of which less may be rescued also has fewer bits: those are what is too many first.
    let fraction = plain(&verdict.report)["rescue_fraction"].as_f64().expect("a fraction");
    let non_native = |max_non_native_fraction| {
        let config = RuleSet { max_non_native_fraction, ..lenient() };
        run_on(&config, &environment(&[]), || default_artifact("binary"))
    };
    assert!(raised(non_native(fraction)).starts_with("validator_rejection=compressed_size"));
    assert!(
        raised(non_native(fraction.next_down() - 2e-12))
            .starts_with("validator_rejection=high_precision_fraction")
    );
}

/// What compiling the default artifact with these changes says.
fn compiled(change: impl FnOnce(&mut Plain)) -> Result<Value, Halt> {
    let mut artifact = plain(&default_artifact("binary"));
    change(&mut artifact);
    let json = Json::parse(artifact.to_string()).expect("JSON");
    let candidate = compile(json.root(), &Teacher::default(), &lenient())?;
    Ok(candidate.entry_summaries()?)
}

#[test]
fn a_shape_is_whatever_python_can_loop_over() {
    let shaped = |shape: Plain| {
        let result = compiled(|artifact| artifact["layers"][0]["shape"] = shape);
        result.map(|_| ()).map_err(|halt| halt.to_string())
    };
    let sound = plain(&default_artifact("binary"))["layers"][0]["shape"].clone();
    let (rows, cols) = (sound[0].as_u64().expect("rows"), sound[1].as_u64().expect("columns"));
    assert_eq!(shaped(sound), Ok(()));
    let mismatch = |found: &str| {
        let name =
            plain(&default_artifact("binary"))["layers"][0]["name"].as_str().expect("a name").to_owned();
        Err(format!("ValueError: shape mismatch for {name}: ({found}) != ({rows}, {cols})"))
    };
    assert_eq!(shaped(serde_json::json!([rows, cols, 1])), mismatch(&format!("{rows}, {cols}, 1")));
    assert_eq!(shaped(serde_json::json!([rows])), mismatch(&format!("{rows},")));
    assert_eq!(shaped(serde_json::json!([cols, rows])), mismatch(&format!("{cols}, {rows}")));
    assert_eq!(shaped(serde_json::json!([])), mismatch(""));
    assert_eq!(shaped("19".into()), mismatch("1, 9"));
    assert_eq!(shaped(serde_json::json!({"4": 1, "8": 2})), mismatch("4, 8"));
    assert_eq!(shaped(7.into()), Err("TypeError: 'int' object is not iterable".to_owned()));
    assert_eq!(shaped(Plain::Null), Err("TypeError: 'NoneType' object is not iterable".to_owned()));
}

#[test]
fn entries_say_what_they_cost() {
    let entry = |fields: &str| {
        let entry: Plain = serde_json::from_str(fields).expect("JSON");
        let listed =
            compiled(|artifact| artifact["accounting"] = serde_json::json!({"extra_entries": [entry]}));
        listed.map(|entries| plain(&entries)[0].clone()).map_err(|halt| halt.to_string())
    };
    let bits = |fields: &str| entry(fields).map(|entry| entry["compressed_bits"].as_u64());
    assert_eq!(bits(r#"{"parameter_count": 10, "compressed_bits": 7}"#), Ok(Some(7)));
    assert_eq!(bits(r#"{"parameter_count": 10, "size_bytes": 7}"#), Ok(Some(56)));
    assert_eq!(bits(r#"{"parameter_count": 10, "bits_per_parameter": 1.25}"#), Ok(Some(13)));
    // Rescue costs 4 bits where nothing is said.
    assert_eq!(bits(r#"{"parameter_count": 10, "counts_toward_rescue": true}"#), Ok(Some(40)));
    let place = "artifact.accounting.extra_entries.e";
    let refused = |what: &str| Err(format!("ValueError: {place}{what}"));
    for bits_per_parameter in ["0", "-1", "\"x\"", "null", "[]", "\"nan\"", "\"inf\""] {
        let fields =
            format!(r#"{{"name": "e", "parameter_count": 1, "bits_per_parameter": {bits_per_parameter}}}"#);
        assert_eq!(
            bits(&fields),
            refused(".bits_per_parameter must be a positive finite number"),
            "{fields}"
        );
    }
    let nothing = r#"{"name": "e", "parameter_count": 1}"#;
    assert_eq!(bits(nothing), refused(" must declare compressed_bits, size_bytes, or bits_per_parameter"));
    let none = r#"{"name": "e", "parameter_count": 0, "compressed_bits": 1}"#;
    assert_eq!(bits(none), refused(".parameter_count must be greater than zero"));
    let role = r#"{"name": "e", "role": "other", "parameter_count": 1, "compressed_bits": 1}"#;
    assert_eq!(bits(role), refused(" uses unsupported accounting role: other"));
}

#[test]
fn numbers_beyond_floats_overflow() {
    let huge = "9".repeat(400);
    let artifact = plain(&default_artifact("binary")).to_string();
    let with = |entry: &str| {
        let text =
            format!(r#"{}, "accounting": {{"extra_entries": [{entry}]}}}}"#, &artifact[..artifact.len() - 1]);
        let json = Json::parse(text).expect("JSON");
        match compile(json.root(), &Teacher::default(), &lenient()) {
            Err(Halt::Raised(raised)) => raised.exception,
            other => panic!("{entry}: {:?}", other.map(|_| ())),
        }
    };
    assert_eq!(
        with(&format!(r#"{{"parameter_count": 1, "bits_per_parameter": {huge}}}"#)),
        Exception::OverflowError
    );
    assert_eq!(
        with(&format!(r#"{{"parameter_count": 1, "bits_per_parameter": "{huge}x"}}"#)),
        Exception::ValueError
    );
    assert_eq!(with(r#"{"parameter_count": Infinity, "compressed_bits": 1}"#), Exception::OverflowError);
    assert_eq!(with(r#"{"parameter_count": NaN, "compressed_bits": 1}"#), Exception::ValueError);
}

fn measured(revision: Revision) -> Measured {
    Measured {
        heldout_ppl: 20.0,
        cross_entropy_nats: 3.0,
        parameter_count: 1_000,
        scored_documents: 5,
        token_count: 77,
        runtime: Runtime {
            revision,
            device: "cuda:0".into(),
            dtype: "fp16",
            max_tokens: 512,
            batch_size: Some(8),
            tokenizer_id: "t".into(),
            window_tokens: None,
            passes: 3,
        },
    }
}

fn judged(environment: &Environment, bytes: i128, measured: &Measured) -> Result<RunOutput, String> {
    let config = RuleSet::binary();
    let limits = Limits::of(&config).expect("limits");
    let dataset = DatasetHandle { environment, documents: 6, documents_sha256: Some("ab") };
    judge(&config, &limits, &dataset, bytes, measured).map_err(|raised| raised.to_string())
}

#[test]
fn each_limit_of_a_direct_run_is_the_last_that_passes() {
    let unset = environment(&[]);
    let sound = measured(Revision::default());
    let of = |change: fn(&mut Measured)| {
        let mut measured = sound.clone();
        change(&mut measured);
        judged(&unset, 1, &measured).map(|_| ())
    };
    // 16 times 27 billion parameters.
    assert_eq!(of(|m| m.parameter_count = 432_000_000_000), Ok(()));
    let message = "parameter_count parameter_count=432000000001 max_parameter_count=432000000000";
    assert_eq!(of(|m| m.parameter_count = 432_000_000_001), Err(format!("validator_rejection={message}")));
    assert!(of(|m| m.parameter_count = 0).is_err());
    // 1.3125 bits of each of 128 parameters are 168 bits.
    let bytes = |bytes: i128, parameters: i128| {
        let measured = Measured { parameter_count: parameters, ..sound.clone() };
        judged(&unset, bytes, &measured).map(|_| ())
    };
    assert_eq!(bytes(21, 128), Ok(()));
    let message = "quantized_size artifact_bits=176 parameter_count=128 max_model_artifact_bits=168";
    assert_eq!(bytes(22, 128), Err(format!("validator_rejection={message}")));
    assert_eq!(of(|m| m.heldout_ppl = f64::MIN_POSITIVE), Ok(()));
    assert_eq!(of(|m| m.heldout_ppl = f64::MAX), Ok(()));
    let refused = |text: &str| Err(format!("validator_rejection=heldout_ppl heldout_ppl={text}"));
    assert_eq!(of(|m| m.heldout_ppl = 0.0), refused("0.0"));
    assert_eq!(of(|m| m.heldout_ppl = -1.0), refused("-1.0"));
    assert_eq!(of(|m| m.heldout_ppl = f64::INFINITY), refused("inf"));
    assert_eq!(of(|m| m.heldout_ppl = f64::NAN), refused("nan"));
}

#[test]
fn a_direct_run_says_how_it_ran() {
    let unset = environment(&[]);
    // 150 bytes are 1,200 of the 1,313 bits that 1,000 parameters may take.
    let verdict = judged(&unset, 150, &measured(Revision::default())).expect("it passes");
    let report = plain(&verdict.report);
    let figures = [
        ("artifact_bits_per_parameter", 1.2),
        ("max_artifact_bits_per_parameter", 1.313),
        ("compressed_bits", 1_200.0),
        ("compressed_size_bytes", 150.0),
        ("parameter_count", 1_000.0),
    ];
    for (key, value) in figures {
        assert_eq!(
            (report[key].as_f64(), report["metrics"][key].as_f64()),
            (Some(value), Some(value)),
            "{key}"
        );
    }
    assert_eq!(
        (&report["metrics"]["scored_docs"], &report["metrics"]["token_count"]),
        (&5.0.into(), &77.0.into())
    );
    assert_eq!(
        verdict.stdout,
        "heldout_ppl=20.000000\nheldout_cross_entropy_nats=3.000000\nparameter_count=1000\n\
         compressed_size_bytes=150\nartifact_bits_per_parameter=1.200000\n"
    );
    let runtime = |revision| {
        let verdict = judged(&unset, 150, &measured(revision)).expect("it passes");
        plain(&verdict.report)["runtime"].clone()
    };
    for revision in [Revision::R06fbbef, Revision::D899b08, Revision::B2f0ffc] {
        let named = (revision != Revision::default()).then(|| Plain::from(revision.name()));
        assert_eq!(runtime(revision).get("validator_revision"), named.as_ref(), "{}", revision.name());
        let has = |key: &str| runtime(revision).get(key).is_some();
        assert_eq!(has("batch_size"), revision != Revision::R06fbbef, "{}", revision.name());
        for key in ["chunked_eval", "eval_chunk_tokens", "eval_chunk_count"] {
            assert_eq!(has(key), revision != Revision::B2f0ffc, "{key} of {}", revision.name());
        }
    }
}

#[test]
fn a_report_names_the_documents() {
    let handle = |variables: &[(&str, &str)]| {
        let environment = environment(variables);
        plain(&DatasetHandle { environment: &environment, documents: 6, documents_sha256: None }.to_json())
    };
    let unset = handle(&[]);
    for key in ["dataset_mix", "dataset_categories", "sync_slot", "sync_number_hash"] {
        assert_eq!(unset[key], Plain::Null, "{key}");
    }
    assert_eq!((&unset["document_count"], unset.get("document_sha256")), (&6.into(), None));
    // The first 16 digits of SHA-256 of `default-rotation`.
    assert_eq!(unset["rotation_key_hash"].as_str().map(str::len), Some(16));
    let set = handle(&[("HELDOUT_DATASET_MIX", "math:1,code:3"), ("HELDOUT_SYNC_SLOT", "s")]);
    assert_eq!(set["dataset_mix"], "math:1,code:3");
    assert_eq!(set["dataset_categories"], serde_json::json!(["math", "code"]));
    assert_ne!(handle(&[("HELDOUT_ROTATION_KEY", "k")])["rotation_key_hash"], unset["rotation_key_hash"]);
}
