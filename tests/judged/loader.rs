//! Small models against what transformers 5.24 said of them: whether it loads each, what it counts, its loss.
//! `tests/fixtures/loader/cases.json` names the files of each model, and what transformers gave.

use std::fs;

use bitgauge_core::container::Root;
use bitgauge_core::format::{LOADER, LOADER_CLASS};
use bitgauge_core::model::{Architecture, Config, Transformers};
use bitgauge_core::report::{Gate, Outcome, Report, Verdict};
use bitgauge_eval::{EvaluateOptions, evaluate};
use conformance::fixtures;
use native_eval::{LocalFiles, Source, find_tokenizer, load, loaded_inventory, open_cpu, own_tokenizer};
use pollster::block_on;
use serde_json::{Value, json};

use crate::model::{Model, report};

/// Furthest that a mean loss may lie from transformers', in nats.
const NATS: f64 = 2e-6;

/// One model, and what is right.
struct Case {
    right: Value,
    documents: Vec<String>,
}

fn folder() -> std::path::PathBuf {
    fixtures().join("loader")
}

fn read(name: &str) -> Vec<u8> {
    fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn cases() -> Vec<Case> {
    let all: Value = serde_json::from_slice(&read("cases.json")).expect("the cases");
    let documents = |case: &Value| {
        let texts = &all["documents"][case["documents"].as_u64().expect("a number") as usize];
        // The validator trims them.
        let trimmed = |text: &Value| text.as_str().expect("a text").trim().to_owned();
        texts.as_array().expect("a list").iter().map(trimmed).collect()
    };
    let cases = all["cases"].as_array().expect("a list").iter();
    cases.map(|case| Case { documents: documents(case), right: case.clone() }).collect()
}

impl Case {
    fn name(&self) -> &str {
        self.right["name"].as_str().expect("a name")
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let files = self.right["files"].as_object().expect("its files");
        files.iter().map(|(name, stored)| (name.clone(), read(stored.as_str().expect("a name")))).collect()
    }

    fn report(&self) -> Report {
        report(&self.files(), Root::Folder)
    }

    /// Mean loss in nats, scored tokens and parameters, as `bitgauge eval` finds them.
    fn evaluate(&self) -> Result<(f64, u64, Option<u64>), String> {
        let temporary = tempfile::tempdir().expect("a folder");
        for (name, bytes) in self.files() {
            fs::write(temporary.path().join(name), bytes).expect("a file");
        }
        let mut source = Source::open(temporary.path()).map_err(|error| error.to_string())?;
        let bytes = || find_tokenizer("byte-utf8", None, &LocalFiles::new(&folder()), Transformers::V5);
        let has_tokenizer = source.artifact().find_beside_config("tokenizer.json").is_some();
        let tokenizer = if has_tokenizer { own_tokenizer(&mut source) } else { bytes() };
        let tokenizer = tokenizer.map_err(|error| error.to_string())?;
        let max_tokens = self.right["max_tokens"].as_u64().unwrap_or(512) as usize;
        let ids = self.documents.iter().map(|text| tokenizer.encode(text, max_tokens as u64));
        let ids = ids.collect::<Result<Vec<_>, _>>().map_err(|error| error.to_string())?;
        let artifact = source.artifact().clone();
        let inventory = loaded_inventory(&mut source, &artifact).map_err(|error| error.to_string())?;
        let mut backend = open_cpu(None).map_err(|error| error.to_string())?;
        let model = load(&mut backend, &mut source, &inventory, &mut |_| {}).map_err(|e| e.to_string())?;
        let options = EvaluateOptions { max_tokens, tokens_in_flight: None, documents_sha256: String::new() };
        let result = block_on(evaluate(&mut backend, &model, &ids, &options, &mut |_, _| {}));
        let result = result.map_err(|error| error.to_string())?;
        Ok((result.cross_entropy_nats, result.scored_tokens, inventory.parameters()))
    }
}

fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect("the gate")
}

#[test]
fn whether_a_model_loads_is_what_transformers_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let report = case.report();
        let (outcome, details) = (gate(&report, "loadable").outcome, &gate(&report, "loadable").details);
        let is_right = match (case.right["error"].as_str(), case.right["inconclusive"].as_bool()) {
            (Some(_), _) => outcome != Outcome::Pass,
            // What loads with an own head at random, or with code that is not known here.
            (None, Some(true)) => report.verdict != Verdict::Eligible,
            (None, _) => {
                // A tensor that nothing uses fails its gate, though transformers passes it over.
                let is_surplus =
                    report.manifest.as_ref().is_some_and(|manifest| !manifest.unknown.is_empty());
                outcome == Outcome::Pass && (is_surplus || gate(&report, "tensors").outcome == Outcome::Pass)
            }
        };
        if !is_right {
            wrong.push(format!("{}: {outcome:?} {details:?}, right: {}", case.name(), case.right));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_loads_has_transformers_parameters_and_loss() {
    let (mut wrong, mut agreed) = (Vec::new(), 0);
    for case in cases() {
        let (Some(nats), None) = (case.right["nats"].as_f64(), case.right["inconclusive"].as_bool()) else {
            continue;
        };
        let [tokens, parameters] = ["tokens", "parameters"].map(|figure| case.right[figure].as_u64());
        let counted = case.report().model.expect("a model").parameters;
        match case.evaluate() {
            Ok(found)
                if (found.0 - nats).abs() <= NATS.max(nats * 2e-7)
                    && Some(found.1) == tokens
                    && [found.2, counted] == [parameters; 2] =>
            {
                agreed += 1;
            }
            found => wrong.push(format!(
                "{}: {found:?}, counted {counted:?}, right {nats} {tokens:?} {parameters:?}",
                case.name()
            )),
        }
    }
    assert!(wrong.is_empty(), "{agreed} agree\n{}", wrong.join("\n"));
    assert!(agreed > 20, "{agreed}");
}

#[test]
fn parts_in_any_shard_pass_with_the_loader_that_reads_them() {
    for case in cases().iter().filter(|case| case.name().contains("signs-apart")) {
        let mut files = case.files();
        let loader = files.iter_mut().find(|(name, _)| name == "modeling_bitpack.py").expect("the loader");
        loader.1 = LOADER.as_bytes().to_vec();
        assert_eq!(gate(&report(&files, Root::Folder), "loadable").outcome, Outcome::Pass);
        assert_eq!(gate(&case.report(), "loadable").outcome, Outcome::NotRun);
    }
}

/// The packed model with these fields changed.
fn changed(fields: &Value) -> Report {
    let mut model = Model::bitpack();
    for (name, value) in fields.as_object().expect("fields") {
        model.config[name.as_str()] = value.clone();
    }
    model.report()
}

#[test]
fn fields_that_transformers_refuses_fail_the_gate() {
    let refused = [
        json!({"rms_norm_eps": 1}),
        json!({"initializer_range": 1}),
        json!({"use_cache": null}),
        json!({"tie_word_embeddings": null}),
        json!({"max_window_layers": 8.0}),
        json!({"bos_token_id": "x"}),
        json!({"eos_token_id": [1, "x"]}),
        json!({"head_dim": null}),
        json!({"return_dict": false}),
        json!({"pad_token_id": 10}),
        json!({"pad_token_id": -11}),
        json!({"rope_theta": null}),
        json!({"rope_parameters": {"full_attention": {"rope_type": "default", "rope_theta": 1e6}}}),
        json!({"rope_scaling": {"rope_type": "spiral"}}),
        json!({"rope_scaling": {"rope_type": null}}),
        json!({"rope_scaling": {"type": null, "factor": 2.0}}),
        json!({"rope_scaling": {"rope_type": "yarn", "factor": 2.0, "original_max_position_embeddings": null}}),
        json!({"initializer_range": -0.1}),
        json!({"pad_token_id": 9_223_372_036_854_775_808_u64}),
        json!({"auto_map": null}),
        json!({"auto_map": "modeling_bitpack.BitpackForCausalLM"}),
        json!({"auto_map": {"AutoModelForCausalLM": null}}),
        json!({"auto_map": {"AutoModelForCausalLM": "modeling_bitpack"}}),
        json!({"auto_map": {"AutoModelForCausalLM": "modeling_bitpack.sub.BitpackForCausalLM"}}),
        json!({"auto_map": {"AutoModelForCausalLM": "modeling_bitpack.BitpackForCausalLM",
            "AutoConfig": "configuration_x.C"}}),
    ];
    for fields in refused {
        let report = changed(&fields);
        assert_eq!(gate(&report, "loadable").outcome, Outcome::Fail, "{fields}");
    }
}

#[test]
fn what_is_not_modelled_is_inconclusive() {
    let open = [
        json!({"transformers_version": 5}),
        json!({"architectures": "Qwen3ForCausalLM"}),
        json!({"auto_map": {"AutoModelForCausalLM": "modeling_bitpack.Nope"}}),
        json!({"transformers_weights": "model.safetensors"}),
        json!({"attn_implementation": "flash_attention_2"}),
        json!({"torch_dtype": "float7"}),
        json!({"per_layer_config": {"0": {"head_dim": 4}}}),
        json!({"to_dict": 1}),
        json!({"_attn_implementation_internal": "eager"}),
        json!({"partial_rotary_factor": 0.5}),
        json!({"rope_scaling": {"rope_type": "longrope"}}),
        json!({"torchscript": true}),
        json!({"cache_implementation": []}),
        json!({"text_config": {}}),
        json!({"is_causal": false}),
        json!({"self": 1}),
        json!({"configuration_files": ["config.4.0.0.json"]}),
        json!({"kv_sharing_modes": ["store", "reuse"]}),
        json!({"fusion_config": {"x": true}}),
        json!({"mlp_layer_types": ["x"]}),
        json!({"mtp_layer_types": 1}),
        json!({"number_of_conv_states": null}),
        json!({"attention_chunk_size": "x"}),
        json!({"layer_types": ["full_attention", "sliding_attention"]}),
    ];
    for fields in open {
        let report = changed(&fields);
        assert_eq!(gate(&report, "loadable").outcome, Outcome::NotRun, "{fields}");
        assert_ne!(report.verdict, Verdict::Eligible, "{fields}");
    }
    let other_code = {
        let mut model = Model::bitpack();
        model.files.retain(|(name, _)| name != "modeling_bitpack.py");
        model.file("modeling_bitpack.py", b"pass\n").report()
    };
    assert_eq!(gate(&other_code, "loadable").outcome, Outcome::NotRun);
    // A checkpoint of many processes is loaded instead of the weights.
    let shard = |model: Model| {
        let shard = model.file("shard-00001-model-00001-of-00001.safetensors", b"\x08\0\0\0\0\0\0\0{}      ");
        gate(&shard.report(), "loadable").outcome
    };
    assert_eq!([shard(Model::dense()), shard(Model::bitpack())], [Outcome::NotRun, Outcome::Pass]);
    // Its code runs, though nothing names it; one that lies elsewhere does not.
    let code = |model: Model, name: &str| gate(&model.file(name, b"1/0").report(), "loadable").outcome;
    let place = "custom_generate/generate.py";
    assert_eq!(
        [code(Model::dense(), place), code(Model::bitpack(), place)],
        [Outcome::NotRun, Outcome::Pass]
    );
    for other in ["generate.py", "a/custom_generate/generate.py", "custom_generate/other.py"] {
        assert_eq!(code(Model::dense(), other), Outcome::Pass, "{other}");
    }
    let adapter = Model::bitpack().file("adapter_config.json", b"{}").report();
    assert_eq!(gate(&adapter, "loadable").outcome, Outcome::NotRun);
}

#[test]
fn settings_of_text_generation_are_read_by_all_but_the_packers_loader() {
    const QWEN: &[u8] = br#"{"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
        "pad_token_id": 151643, "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"}"#;
    let judged = |model: Model, text: &[u8]| {
        let report = model.file("generation_config.json", text).report();
        let gate = gate(&report, "loadable");
        (gate.outcome, gate.details.first().cloned().unwrap_or_default())
    };
    for (text, outcome, what) in [
        (QWEN, Outcome::Pass, ""),
        (b"[]", Outcome::NotRun, "no object"),
        (br#"{"max_new_tokens": 0}"#, Outcome::NotRun, ": max_new_tokens"),
        (br#"{"to_dict": 1}"#, Outcome::NotRun, ": to_dict"),
        (b"{", Outcome::NotRun, "no object"),
        (&vec![b' '; (1 << 16) + 1], Outcome::NotRun, "no object"),
    ] {
        let (found, detail) = judged(Model::dense(), text);
        assert_eq!(found, outcome, "{what}");
        assert!(detail.contains(what), "{what}: {detail}");
        assert_eq!(judged(Model::bitpack(), text).0, Outcome::Pass, "{what}");
    }
    // What other code does with it is not known, so nothing is said of the file.
    let mut other = Model::bitpack();
    other.files.retain(|(name, _)| name != "modeling_bitpack.py");
    assert_eq!(judged(other.file("modeling_bitpack.py", b"pass\n"), b"[]").0, Outcome::NotRun);
    // Only the one beside config.json counts.
    let elsewhere = Model::dense().file("old/generation_config.json", b"[]").report();
    assert_eq!(gate(&elsewhere, "loadable").outcome, Outcome::Pass);
}

#[test]
fn what_transformers_takes_passes_the_gate() {
    let taken = [
        json!({}),
        json!({"my_note": {"a": [1, 2]}, "dtype": "bfloat16", "_name_or_path": "x"}),
        json!({"pad_token_id": 9}),
        json!({"pad_token_id": -10}),
        json!({"eos_token_id": [1, 2], "num_key_value_heads": 1}),
        json!({"rope_scaling": {"type": "linear", "factor": 2}}),
        json!({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}),
        json!({"use_sliding_window": true, "sliding_window": 16, "max_window_layers": 1}),
        json!({"id2label": {"0": "a", "1": "b"}, "num_labels": 2}),
    ];
    for fields in taken {
        let report = changed(&fields);
        assert_eq!(gate(&report, "loadable").outcome, Outcome::Pass, "{fields}");
    }
}

/// Python's `json` refuses longer integers, wherever they stand (`tests/differential` has indexes with some).
#[test]
fn integers_are_as_long_as_python_reads_them() {
    for (digits, is_read) in [(4_300, true), (4_301, false)] {
        let config = format!(r#"{{"model_type": "other", "note": -{}}}"#, "1".repeat(digits));
        assert_eq!(Config::parse(config.as_bytes()).is_ok(), is_read, "{digits}");
    }
}

/// Python's `json` ends in a RecursionError where lists nest too deep: transformers 5.24.0 at 1,100 levels.
#[test]
fn an_index_nests_no_deeper_than_it_is_read() {
    let cases = cases();
    let name = "index-without-metadata/control-empty";
    let case = cases.iter().find(|case| case.name() == name).expect("the case");
    let is_read = |note: &str| {
        let folder = tempfile::tempdir().expect("a folder");
        for (name, mut bytes) in case.files() {
            if name == "model.safetensors.index.json" {
                let index = String::from_utf8(bytes).expect("UTF-8");
                bytes = index.replacen('{', &format!("{{\"note\": {note}, "), 1).into_bytes();
            }
            fs::write(folder.path().join(name), bytes).expect("a file");
        }
        Source::open(folder.path()).is_ok()
    };
    let lists = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    let text = format!(r#""\"{}""#, "[".repeat(1_100));
    assert!(is_read(&lists(126)) && is_read(&text));
    assert!(!is_read(&lists(127)) && !is_read(&lists(1_100)));
}

#[test]
fn weights_of_other_types_are_judged_by_their_size() {
    const NAME: &str = "model.layers.1.mlp.up_proj.weight";
    for (dtype, width) in [("U8", 1), ("U32", 4), ("I8", 1), ("F8_E4M3", 1), ("F8_E8M0", 1), ("C64", 8)] {
        let mut model = Model::dense().without(NAME);
        model.add_bytes(NAME, dtype, &[33, 70], 33 * 70 * width);
        let report = model.report();
        assert_eq!(report.verdict, Verdict::Inconclusive, "{dtype}");
        assert_eq!(gate(&report, "loadable").outcome, Outcome::NotRun, "{dtype}");
    }
    for (dtype, bytes) in [("F4", 33 * 35), ("F6_E2M3", 33 * 70 / 4 * 3)] {
        let (mut model, shape) = (Model::dense(), if dtype == "F4" { [33, 70] } else { [11, 208] });
        let bytes = if dtype == "F4" { bytes } else { 11 * 208 / 4 * 3 };
        model.add_bytes("model.own.weight", dtype, &shape, bytes);
        assert_eq!(gate(&model.report(), "tensors").got, Some(1), "{dtype}");
    }
}

/// llama.cpp puts the beginning of a text in front for this pre-tokenizer unless the file says otherwise.
#[test]
fn a_llama_3_file_without_the_key_begins_its_texts() {
    let path = folder().join("llama3-no-bos-key.gguf");
    let mut source = Source::open(&path).expect("a sound file");
    let tokenizer = own_tokenizer(&mut source).expect("its tokenizer");
    let (first, second) =
        (tokenizer.encode("a", 8).expect("a text"), tokenizer.encode("b", 8).expect("a text"));
    assert_eq!((first.len(), second.len()), (2, 2));
    assert_eq!(first[0], second[0]);
}

/// What transformers 5.24 raises at, or takes another class of tokenizer for.
#[test]
fn settings_that_collide_with_transformers_are_refused() {
    let cases = cases();
    let case =
        cases.iter().find(|case| case.name() == "tokenizer-config/control-fast-class").expect("the case");
    let is_taken = |file: &str, name: &str, value: Value| {
        let folder = tempfile::tempdir().expect("a folder");
        for (stored, mut bytes) in case.files() {
            if stored == file {
                let mut settings: Value = serde_json::from_slice(&bytes).expect("settings");
                settings[name] = value.clone();
                bytes = settings.to_string().into_bytes();
            }
            fs::write(folder.path().join(stored), bytes).expect("a file");
        }
        own_tokenizer(&mut Source::open(folder.path()).expect("a folder")).is_ok()
    };
    let (settings, config) = ("tokenizer_config.json", "config.json");
    for (name, value) in [
        ("self", json!(1)),
        ("model", json!("x")),
        ("get_vocab", Value::Null),
        ("_json_padding", json!({"strategy": "BatchLongest"})),
        ("model_input_names", json!(1)),
        ("gguf_file", json!("x.gguf")),
    ] {
        assert!(!is_taken(settings, name, value), "{name}");
    }
    assert!(
        is_taken(settings, "model_max_length", json!(100)) && is_taken(settings, "gguf_file", Value::Null)
    );
    assert!(!is_taken(config, "model_name", json!("qwen2")));
    assert!(!is_taken(config, "_name_or_path", json!("deepseek-ai/DeepSeek-Coder-x")));
    assert!(is_taken(config, "_name_or_path", json!("Qwen/Qwen3-8B")));
}

#[test]
fn configurations_of_the_demo_with_one_change() {
    for name in ["eos_str", "eps_int", "pad_big", "return_dict", "rope_bylayer"] {
        let config = Config::parse(&read(&format!("hostile-{name}.json"))).expect("what Python can read");
        assert_eq!(config.loading.faults.len(), 1, "{name}: {:?}", config.loading);
    }
    let config = |name: &str| Config::parse(&read(name)).expect("what Python can read");
    assert_ne!(config("hostile-automap_class.json").model_code.as_deref(), Some(LOADER_CLASS));
    assert_eq!(config("hostile-automap_config.json").config_code.as_deref(), Some("nofile.Foo"));
    let scaled = config("hostile-rope_scaling_theta.json");
    let Architecture::Decoder(decoder) = scaled.architecture() else { panic!("a known family") };
    assert_eq!(
        (decoder.rotary.theta, scaled.loading.faults.len(), scaled.loading.doubts.len()),
        (333.0, 0, 0)
    );
}
