//! The last checks of a direct run, its report and what it prints.

use super::Revision;
use crate::contract::documents::{parse_mix, sha256_hex};
use crate::contract::python::{Raised, Value, fixed6, float_repr, object};
use crate::contract::report_fields::{METRIC, with_pack};
use crate::contract::{Environment, Limits, RuleSet};

/// What the scoring found.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// exp(min(mean loss, 700)).
    pub heldout_ppl: f64,
    /// Mean loss in nats per scored token.
    pub cross_entropy_nats: f64,
    /// Logical parameters, a tied head counted once.
    pub parameter_count: i128,
    /// Documents with a scored token.
    pub scored_documents: u64,
    /// Scored tokens.
    pub token_count: i128,
    /// How it ran.
    pub runtime: Runtime,
}

/// How the scoring ran.
#[derive(Debug, Clone, PartialEq)]
pub struct Runtime {
    /// Whose keys the report has.
    pub revision: Revision,
    /// `cpu`, `cuda:0`, `stub`.
    pub device: String,
    /// `fp32`, `fp16`, `stub`.
    pub dtype: &'static str,
    /// Longest document in tokens.
    pub max_tokens: u64,
    /// Documents of one batch.
    pub batch_size: Option<u64>,
    /// Id of the tokenizer that was asked for.
    pub tokenizer_id: String,
    /// Shortest window, when the model returned too few logits.
    pub window_tokens: Option<u64>,
    /// Passes through the model that succeeded.
    pub passes: u64,
}

/// The documents of a run, as reports describe them.
#[derive(Debug, Clone, Copy)]
pub struct DatasetHandle<'a> {
    /// Where dataset, split, key and synchronisation come from.
    pub environment: &'a Environment,
    /// Chosen documents, scored or not.
    pub documents: u64,
    /// Digest of the chosen documents; proxy runs report none.
    pub documents_sha256: Option<&'a str>,
}

impl DatasetHandle<'_> {
    /// The handle as JSON.
    pub fn to_json(&self) -> Value {
        let environment = self.environment;
        let short_hash = |text: &str| Value::from(&sha256_hex(text.as_bytes())[..16]);
        let unless_empty = |text: &str| (!text.is_empty()).then_some(text).map(str::to_owned);
        let mix = environment.dataset_mix();
        let categories: Vec<String> = parse_mix(mix).into_iter().map(|entry| entry.key).collect();
        let mut handle = object([
            ("dataset", environment.dataset().into()),
            ("dataset_mix", unless_empty(mix).into()),
            ("dataset_categories", (!categories.is_empty()).then_some(categories).into()),
            ("split", environment.split().into()),
            ("document_count", self.documents.into()),
            ("rotation_key_hash", short_hash(environment.rotation_key())),
            ("sync_slot", unless_empty(environment.sync_slot()).into()),
            ("sync_number_hash", unless_empty(environment.sync_number()).map(|n| short_hash(&n)).into()),
        ]);
        if let Some(hash) = self.documents_sha256 {
            handle.insert("document_sha256".into(), hash.into());
        }
        handle.into()
    }
}

/// The report of a run that was not rejected, and what it prints.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutput {
    /// last_run.json.
    pub report: Value,
    /// All of stdout.
    pub stdout: String,
}

/// Rejects what is over a limit of its own model, else reports. `artifact_bytes` is the declared size, else the counted
/// one.
///
/// # Errors
/// A rejection; a model without parameters.
pub fn judge(
    config: &RuleSet,
    limits: &Limits,
    dataset: &DatasetHandle,
    artifact_bytes: i128,
    measured: &Measured,
) -> Result<RunOutput, Raised> {
    let (parameters, bits) = (measured.parameter_count, 8 * artifact_bytes);
    if parameters > limits.max_parameter_count {
        let max = limits.max_parameter_count;
        return Err(Raised::rejection(format!(
            "parameter_count parameter_count={parameters} max_parameter_count={max}"
        )));
    }
    let budget = limits.model_budget(parameters)?;
    if bits > budget {
        return Err(Raised::rejection(format!(
            "quantized_size artifact_bits={bits} parameter_count={parameters} max_model_artifact_bits={budget}"
        )));
    }
    let perplexity = measured.heldout_ppl;
    if !(perplexity.is_finite() && perplexity > 0.0) {
        return Err(Raised::rejection(format!("heldout_ppl heldout_ppl={}", float_repr(perplexity))));
    }
    let sizes = Sizes { bits, budget, bytes: artifact_bytes };
    Ok(RunOutput {
        report: report(config, limits, dataset, measured, &sizes),
        stdout: stdout(measured, &sizes),
    })
}

struct Sizes {
    bytes: i128,
    bits: i128,
    budget: i128,
}

impl Sizes {
    fn bits_per_parameter(&self, measured: &Measured) -> f64 {
        self.bits as f64 / measured.parameter_count as f64
    }

    fn max_bits_per_parameter(&self, measured: &Measured) -> f64 {
        self.budget as f64 / measured.parameter_count as f64
    }
}

fn stdout(measured: &Measured, sizes: &Sizes) -> String {
    format!(
        "heldout_ppl={}\nheldout_cross_entropy_nats={}\nparameter_count={}\ncompressed_size_bytes={}\n\
         artifact_bits_per_parameter={}\n",
        fixed6(measured.heldout_ppl),
        fixed6(measured.cross_entropy_nats),
        measured.parameter_count,
        sizes.bytes,
        fixed6(sizes.bits_per_parameter(measured)),
    )
}

fn report(
    config: &RuleSet,
    limits: &Limits,
    dataset: &DatasetHandle,
    measured: &Measured,
    sizes: &Sizes,
) -> Value {
    let fields = [
        ("metric_value", measured.heldout_ppl.into()),
        ("secondary_metric_value", Value::Null),
        ("parameter_count", measured.parameter_count.into()),
        ("compressed_bits", sizes.bits.into()),
        ("compressed_size_bytes", sizes.bytes.into()),
        ("artifact_bits_per_parameter", sizes.bits_per_parameter(measured).into()),
        ("max_artifact_bits_per_parameter", sizes.max_bits_per_parameter(measured).into()),
        ("max_reference_artifact_bits", limits.max_compressed_bits.into()),
        ("max_model_artifact_bits", sizes.budget.into()),
        ("metrics", metrics(limits, measured, sizes)),
        ("dataset_handle", dataset.to_json()),
        ("runtime", runtime(&measured.runtime)),
    ];
    with_pack(config, limits, fields).into()
}

/// Everything as floats, counts included.
fn metrics(limits: &Limits, measured: &Measured, sizes: &Sizes) -> Value {
    Value::from([
        (METRIC, measured.heldout_ppl.into()),
        ("heldout_cross_entropy_nats", measured.cross_entropy_nats.into()),
        ("parameter_count", (measured.parameter_count as f64).into()),
        ("compressed_bits", (sizes.bits as f64).into()),
        ("compressed_size_bytes", (sizes.bytes as f64).into()),
        ("artifact_bits_per_parameter", sizes.bits_per_parameter(measured).into()),
        ("max_artifact_bits_per_parameter", sizes.max_bits_per_parameter(measured).into()),
        ("baseline_parameter_count", (limits.parameter_count as f64).into()),
        ("baseline_size_bytes", (limits.baseline_size_bytes as f64).into()),
        ("submission_artifact_bytes", (sizes.bytes as f64).into()),
        ("scored_docs", (measured.scored_documents as f64).into()),
        ("token_count", (measured.token_count as f64).into()),
    ])
}

fn runtime(runtime: &Runtime) -> Value {
    let mut json = object([
        ("device", runtime.device.as_str().into()),
        ("dtype", runtime.dtype.into()),
        ("max_tokens_per_doc", runtime.max_tokens.into()),
        ("tokenizer_id", runtime.tokenizer_id.as_str().into()),
    ]);
    if runtime.revision != Revision::default() {
        json.insert("validator_revision".into(), runtime.revision.name().into());
    }
    if runtime.revision.reports_batch_size() {
        json.insert("batch_size".into(), runtime.batch_size.into());
    }
    if runtime.revision.reports_chunks() {
        json.insert("chunked_eval".into(), runtime.window_tokens.is_some().into());
        json.insert("eval_chunk_tokens".into(), runtime.window_tokens.unwrap_or(runtime.max_tokens).into());
        json.insert("eval_chunk_count".into(), runtime.passes.into());
    }
    json.into()
}
