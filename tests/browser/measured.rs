//! What the browser suite measures: models, documents of token ids, and the losses that the command's CPU backend gives.

use std::fs;
use std::path::Path;

use bitgauge_core::inventory::Inventory;
use bitgauge_core::model::ExpectedTensor;
use bitgauge_eval::{EvaluateOptions, evaluate};
use conformance::dense::write_random_model;
use native_eval::documents::{self, Form, TextSettings};
use native_eval::{Source, load, loaded_inventory, open_cpu, own_tokenizer};
use serde_json::{Value, json};

use crate::artifacts::{Artifact, Change};
use crate::convert;

/// The demo's documents.
const DOCUMENTS: &str = include_str!("../../demo/documents.json");
/// Tokens of the demo's documents: over two blocks of attention's keys, then one token that leaves nothing to score.
const DEMO_TOKENS: [usize; 3] = [70, 1, 20];
/// Tokens of the other models' documents: over two chunks of the delta rule.
const TOKENS: [usize; 2] = [130, 7];

/// A model whose embedding, which is its head too, is uploaded in two blocks of rows.
const LARGE: &str = "large-table";
/// Rows of 64 f32: 5 MB.
const LARGE_ROWS: u64 = 20_001;

/// A model that says its head is its embedding, and holds another one.
const HEADS: &str = "differing-heads";

/// Writes the models that no other test opens, and what is to be measured: `measure.json`.
pub fn write(folder: &Path) {
    let signs = Artifact::demo(&[Change::Invert("layers.0.mlp.down_proj.weight.sign", 100)]);
    fs::copy(&signs.path, folder.join("flipped-signs.zip")).expect("a copy");
    for model in ["qwen3_5_full", "llama_rope3_tied"] {
        crate::copy_folder(&conformance::fixtures().join("models").join(model), &folder.join(model));
    }
    let llama = conformance::fixtures().join("models/llama");
    convert::convert(&llama, &folder.join("llama.gguf"), convert::Target::F32, None).expect("a GGUF file");
    let like = conformance::fixtures().join("models/qwen3_tied");
    let mut random = fastrand::Rng::with_seed(5);
    let value = |_: &Value, _: &ExpectedTensor| 0.2 * (random.f32() - 0.5);
    fs::create_dir(folder.join(LARGE)).expect("a folder");
    write_random_model(&like, &folder.join(LARGE), &[("vocab_size", LARGE_ROWS)], value).expect("a model");
    write_differing_heads(&folder.join(HEADS));
    let names =
        ["eligible.zip", "flipped-signs.zip", "qwen3_5_full", "llama_rope3_tied", "llama.gguf", LARGE, HEADS];
    let cases: Vec<Value> = names.into_iter().map(|name| case(name, &folder.join(name))).collect();
    fs::write(folder.join("measure.json"), json!(cases).to_string()).expect("a file");
}

fn write_differing_heads(folder: &Path) {
    crate::copy_folder(&conformance::fixtures().join("models/qwen3_untied"), folder);
    let path = folder.join("config.json");
    let text = fs::read_to_string(&path).expect("config.json");
    let mut config: Value = serde_json::from_str(&text).expect("config.json");
    config["tie_word_embeddings"] = true.into();
    fs::write(path, config.to_string()).expect("config.json");
}

/// A model's documents and their losses.
fn case(name: &str, path: &Path) -> Value {
    let documents = if name.ends_with(".zip") { demo_documents(path) } else { made_up_documents(path) };
    let mut backend = open_cpu(None).expect("threads");
    let mut source = Source::open(path).expect("a model");
    let artifact = source.artifact().clone();
    let inventory = loaded_inventory(&mut source, &artifact).expect("a model");
    let model = load(&mut backend, &mut source, &inventory, &mut |_| {}).expect("a model");
    let options = EvaluateOptions::default();
    let progress = &mut |_, _| {};
    let evaluation = evaluate(&mut backend, &model, &documents, &options, progress);
    let evaluation = pollster::block_on(evaluation).expect("losses");
    let nats: Vec<f64> = evaluation.documents.iter().map(|document| document.nats).collect();
    json!({ "name": name, "documents": documents, "nats": nats, "perplexity": evaluation.heldout_ppl })
}

fn demo_documents(path: &Path) -> Vec<Vec<u32>> {
    let mut source = Source::open(path).expect("the demo");
    let tokenizer = own_tokenizer(&mut source).expect("its tokenizer").tokenizer;
    let parsed = documents::parse(DOCUMENTS, Form::Json, &TextSettings::default()).expect("documents");
    let encode = |(document, tokens): (&documents::Document, usize)| {
        tokenizer.encode(&document.text, tokens).expect("token ids")
    };
    parsed.documents.iter().zip(DEMO_TOKENS).map(encode).collect()
}

/// Documents of the ids that a model has.
fn made_up_documents(path: &Path) -> Vec<Vec<u32>> {
    let source = Source::open(path).expect("a model");
    let artifact = source.artifact();
    let inventory = Inventory::of(artifact).expect("a model");
    let vocabulary = bitgauge_core::plan::decoder(&inventory).expect("a decoder").vocabulary as u32;
    let ids = |tokens: usize| (0..tokens as u32).map(|i| (i * i * 3_001 + i * 7) % vocabulary).collect();
    TOKENS.map(ids).into()
}
