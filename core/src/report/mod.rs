//! The one plain struct that the terminal, JSON, the page and links all read.
//!
//! The JSON form is versioned by [`SCHEMA_VERSION`]: fields may be added under the same version,
//! never renamed, removed or given another unit.

pub mod compare;
mod estimate;
mod layers;
pub mod link;
mod manifest;
mod source;
pub mod words;

use std::borrow::Cow;

use crate::accounting::Accounting;
use crate::container::ContainerKind;
use crate::contract::Rules;
use crate::json::{self, FromJson, fields, names};
use crate::{Error, ErrorKind, Result, limits, memory};

pub use crate::container::MetadataEntry;
pub use estimate::{Band, Estimate};
pub use layers::{LayerSummary, Octave, ValueSummary};
pub use manifest::{ManifestSummary, MisshapenSummary};
pub use source::SourceUrl;

/// Version of the JSON report.
pub const SCHEMA_VERSION: u32 = 1;

fields! {
    /// Everything that is known about one artifact.
    pub struct Report {
        /// [`SCHEMA_VERSION`].
        pub schema_version: u32,
        /// Version of bitgauge that made the report.
        pub bitgauge_version: String,
        /// What was inspected.
        pub artifact: ArtifactSummary,
        /// Whose limits were applied.
        pub pack: Rules,
        /// The outcome of all gates together.
        pub verdict: Verdict,
        /// Every gate, in the validator's order.
        pub gates: Vec<Gate>,
        /// The model that the artifact declares, when its config.json is understood.
        pub model: Option<ModelSummary>,
        /// Where every bit of the artifact goes.
        pub accounting: Accounting,
        /// Figures by layer, first those outside the layers; empty for an unknown architecture.
        pub layers: Vec<LayerSummary> = default,
        /// How the stored weights differ from what config.json asks for, when that is known.
        pub manifest: Option<ManifestSummary> = default,
        /// Every weight, in storage order.
        pub weights: Vec<WeightSummary>,
        /// Every stored tensor with its hash, in storage order, when that was asked for.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub tensors: Option<Vec<TensorSummary>> = default,
        /// What a reader should know beside the gates.
        pub notes: Vec<String>,
        /// The measured perplexity, when the model was evaluated.
        pub evaluation: Option<Evaluation>,
    }
}

fields! {
    /// What was inspected.
    pub struct ArtifactSummary {
        /// File or folder name, without its path.
        pub name: String,
        /// Folder, zip, tar, safetensors or GGUF.
        pub kind: ContainerKind,
        /// Bytes as the validator counts them.
        pub size_bytes: u64,
        /// SHA-256 of the file in hex; `None` for a folder or when the payload was not read.
        pub sha256: Option<String>,
        /// Where it can be downloaded, as the maker of the report says.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub source: Option<SourceUrl> = default,
        /// Every file or archive member, in storage order.
        pub members: Vec<MemberSummary>,
    }
}

fields! {
    /// One file of the artifact.
    pub struct MemberSummary {
        /// Path inside the artifact.
        pub name: String,
        /// Bytes after decompression.
        pub bytes: u64,
        /// Bytes taken in the artifact; in a compressed tar, in the tar that it unpacks to.
        pub stored_bytes: u64,
        /// SHA-256 of the uncompressed bytes in hex, when the payload was read.
        pub sha256: Option<String>,
        /// What the header of a safetensors file says about itself (`__metadata__`), as far as the caps allow.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        pub metadata: Vec<MetadataEntry> = default,
    }
}

fields! {
    /// One stored tensor: a weight, or a part of a packed one.
    #[derive(Eq)]
    pub struct TensorSummary {
        /// Name in its file.
        pub name: String,
        /// Element type.
        pub dtype: Cow<'static, str>,
        /// Dimensions as stored.
        pub shape: Vec<u64>,
        /// Stored bytes.
        pub bytes: u64,
        /// SHA-256 of the stored bytes in hex.
        pub sha256: String,
    }
}

names! {
    /// The outcome of all gates together.
    pub enum Verdict {
        /// Every gate ran and passed.
        Eligible = "eligible",
        /// At least one gate failed.
        NotEligible = "not-eligible": "not eligible",
        /// No gate failed, but at least one could not run.
        #[default]
        Inconclusive = "inconclusive",
    }
}

impl Verdict {
    /// The verdict that follows from the gates.
    pub fn of(gates: &[Gate]) -> Self {
        if gates.iter().any(|g| g.outcome == Outcome::Fail) {
            Self::NotEligible
        } else if gates.is_empty() || gates.iter().any(|g| g.outcome == Outcome::NotRun) {
            Self::Inconclusive
        } else {
            Self::Eligible
        }
    }
}

names! {
    /// What became of one gate. Links hold the place of each, so new ones are appended.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Outcome {
        Pass = "pass",
        Fail = "fail",
        /// The gate could not be judged. Never shown as a pass.
        #[default]
        NotRun = "not-run": "not run",
    }
}

names! {
    /// What a gate counts. Links hold the place of each, so new ones are appended.
    #[allow(missing_docs, reason = "the names say it")]
    pub enum Unit {
        #[default]
        Bytes = "bytes",
        Parameters = "parameters",
        Tensors = "tensors",
        Files = "files",
    }
}

fields! {
    /// One rule of the competition applied to the artifact.
    pub struct Gate {
        /// Stable identifier.
        pub id: Cow<'static, str>,
        /// The gate in a few words.
        pub title: Cow<'static, str>,
        /// Pass, fail or not run.
        pub outcome: Outcome,
        /// What the artifact has, when it could be counted.
        pub got: Option<u64>,
        /// The limit that `got` is held against.
        pub wanted: Option<u64>,
        /// `wanted - got` for an upper limit: what is left, negative when over.
        pub margin: Option<i64>,
        /// Unit of `got`, `wanted` and `margin`.
        pub unit: Unit,
        /// Where the rule comes from and how the count is made.
        pub rule: String,
        /// Particulars: names of tensors, the parts of the count.
        pub details: Vec<String>,
        /// What to change, when the gate did not pass.
        pub hint: Option<String>,
    }
}

fields! {
    /// The model that config.json declares.
    pub struct ModelSummary {
        /// `model_type` of config.json.
        pub model_type: String,
        /// Logical parameters, a tied head counted once; what the validator counts.
        pub parameters: Option<u64>,
        /// The quantization method that config.json declares.
        pub quant_method: Option<String>,
    }
}

fields! {
    /// One weight and what it costs.
    pub struct WeightSummary {
        /// Name in the model, without the suffixes of packed parts.
        pub name: String,
        /// How it is stored: `1-bit`, `2 x 1-bit`, `F16`.
        pub form: String,
        /// Logical shape.
        pub shape: Vec<u64>,
        /// Logical parameters.
        pub parameters: u64,
        /// Logical parameters in rescue rows.
        pub rescue_parameters: u64,
        /// Bits stored for it, padding included.
        pub bits: u64,
    }
}

fields! {
    /// A measured perplexity.
    pub struct Evaluation {
        /// exp(min(mean loss, 700)).
        pub heldout_ppl: f64,
        /// Mean loss in nats per scored token.
        pub cross_entropy_nats: f64,
        /// Standard error of the mean loss, over documents; absent for a single one.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub standard_error_nats: Option<f64> = default,
        /// Lower end of the perplexity's 95 % interval.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub heldout_ppl_low: Option<f64> = default,
        /// Upper end of the perplexity's 95 % interval.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub heldout_ppl_high: Option<f64> = default,
        /// Documents with at least one scored token.
        pub scored_documents: u64,
        /// Scored tokens: every token of a document but its first.
        pub scored_tokens: u64,
        /// Longest document in tokens; the rest of a longer one is cut off.
        pub max_tokens: u64,
        /// Tokens that were cut off, of all documents together, where that is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub cut_tokens: Option<u64> = default,
        /// Tokens of a window, where long documents were scored in windows that overlap.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub window: Option<u64> = default,
        /// Tokens from the beginning of one window to that of the next.
        #[serde(skip_serializing_if = "Option::is_none")]
        pub stride: Option<u64> = default,
        /// SHA-256 in hex of the documents' texts joined by two newlines.
        pub documents_sha256: String,
        /// The device and kernels that ran.
        pub device: String,
        /// Arithmetic precision.
        pub precision: Cow<'static, str>,
        /// Wall-clock seconds of the forward passes.
        pub seconds: f64,
        /// All tokens fed, per second.
        pub tokens_per_second: f64,
        /// Sum of losses in nats and scored tokens of each document, in order.
        pub documents: Vec<DocumentLoss>,
    }
}

fields! {
    /// The loss of one document.
    #[derive(Copy)]
    pub struct DocumentLoss {
        /// Scored tokens.
        pub tokens: u64,
        /// Sum of their losses in nats.
        pub nats: f64,
    }
}

/// For structs that hold a report.
impl<'de> serde::Deserialize<'de> for Report {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        <Self as FromJson>::from_json(value).map_err(serde::de::Error::custom)
    }
}

impl Report {
    /// The report as JSON: two-space indent, fields in declaration order, a final newline.
    pub fn to_json(&self) -> String {
        let mut json =
            serde_json::to_string_pretty(self).unwrap_or_else(|e| format!("{{\"error\": \"{e}\"}}"));
        json.push('\n');
        json
    }

    /// Reads what [`Report::to_json`] wrote, in this version or an older one.
    ///
    /// # Errors
    /// More than [`limits::REPORT_BYTES`], text that is not a report's JSON, another schema version.
    pub fn from_json(text: &str) -> Result<Self> {
        if text.len() as u64 > limits::REPORT_BYTES {
            return Err(Self::too_long(text.len() as u64));
        }
        memory::require_tree(text.as_bytes(), "the report")?;
        let report =
            json::parse(text.as_bytes()).and_then(<Self as FromJson>::from_json).map_err(|error| {
                Error::new(ErrorKind::Malformed, "the text is not an artifact's report")
                    .expected_found("JSON as `bitgauge inspect --report` writes it", error)
            })?;
        if report.schema_version != SCHEMA_VERSION {
            return Err(Error::new(ErrorKind::Unsupported, "the report has another version")
                .expected_found(format!("schema_version {SCHEMA_VERSION}"), report.schema_version)
                .hint("inspect the artifact again, or open the report with a newer bitgauge"));
        }
        Ok(report)
    }

    /// Whether a JSON text is meant to be a report, damaged or not, and not a proxy's artifact.
    pub fn is_written_in(text: &[u8]) -> bool {
        let key = b"\"schema_version\"";
        text.windows(key.len()).any(|window| window == key)
    }

    /// The error for a text of more than [`limits::REPORT_BYTES`], for who can tell before reading it.
    pub fn too_long(bytes: u64) -> Error {
        Error::new(ErrorKind::TooLarge, "the report is too long")
            .expected_found(format!("at most {} bytes", limits::REPORT_BYTES), bytes)
    }
}
