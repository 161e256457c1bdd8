//! A proxy run: documents, artifact, gates in the validator's order, report.

use num_bigint::BigInt;

use super::candidate::{Candidate, compile};
use super::model::{Metrics, Teacher, VOCABULARY, vocabulary};
use super::report::{PassedRun, report, stdout};
use super::submission::Submission;
use crate::contract::direct::{DatasetHandle, RunOutput};
use crate::contract::documents::{Corpus, Files, missing_corpus};
use crate::contract::python::{Exception, Node, Raised, ceil_bytes, fixed6, to_int};
use crate::contract::{Environment, Halt, Limits, RuleSet, choose_documents};
use crate::scan::{Digest, Sha256, hex};
use crate::{Error, ErrorKind};

/// What a run depends on.
pub struct Proxy<'a> {
    /// The pack's settings.
    pub config: &'a RuleSet,
    /// The process's variables.
    pub environment: &'a Environment,
    /// The validator's built-in texts, whose words are the proxy's vocabulary.
    pub corpus: Option<&'a Corpus>,
    /// Where manifests are.
    pub files: &'a dyn Files,
}

/// Runs the proxy on an artifact.
///
/// # Errors
/// What the validator raises, rejections among it; a missing corpus, or one of other words.
pub fn run(proxy: &Proxy, mut submission: Submission) -> Result<RunOutput, Halt> {
    let Proxy { config, environment, corpus, files } = *proxy;
    let documents = choose_documents(environment, corpus, files)?;
    let words = words(corpus)?;
    let teacher = Teacher::default();
    let artifact = submission.load()?;
    let manifest = Manifest::of(artifact.root())?;
    if Manifest::of(submission.load()?.root())? != manifest {
        let what = "reproducibility artifact hash changed between identical runs";
        return Err(Raised::rejection(what).into());
    }
    let candidate = compile(artifact.root(), &teacher, config)?;
    let limits = Limits::of(config)?;
    let declared_bytes = check_limits(&candidate, &limits, environment)?;
    let metrics = Metrics::of(&documents, &words, &teacher.weights, &candidate.weights());
    // Not the negation: the validator lets NaN pass.
    if metrics.quality < config.quality_floor {
        let quality = fixed6(metrics.quality);
        return Err(Raised::rejection(format!("quality_floor heldout_quality={quality}")).into());
    }
    let outcome = PassedRun {
        candidate: &candidate,
        metrics,
        secondary_metric: secondary_metric(config, &candidate)?,
        artifact_sha256: manifest.sha256,
        manifest_bytes: manifest.bytes,
        declared_bytes,
    };
    let dataset = DatasetHandle { environment, documents: documents.len() as u64, documents_sha256: None };
    Ok(RunOutput { report: report(config, &limits, &dataset, &outcome)?, stdout: stdout(&outcome) })
}

/// What is known of an artifact's canonical text.
#[derive(PartialEq, Eq)]
struct Manifest {
    sha256: String,
    bytes: usize,
}

impl Manifest {
    fn of(artifact: Node) -> Result<Self, Error> {
        let mut hashed = Hashed { hash: Sha256::new(), bytes: 0 };
        artifact.write_canonical(&mut hashed)?;
        Ok(Self { sha256: hex(hashed.hash), bytes: hashed.bytes })
    }
}

/// Hashes and counts what is written to it.
struct Hashed {
    hash: Sha256,
    bytes: usize,
}

impl std::fmt::Write for Hashed {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.hash.update(text);
        self.bytes += text.len();
        Ok(())
    }
}

/// The vocabulary. Its size is that of the first matrix.
fn words(corpus: Option<&Corpus>) -> Result<Vec<String>, Halt> {
    let missing = || missing_corpus("the proxy's vocabulary is made of the words in", "proxy run");
    let words = vocabulary(&corpus.ok_or_else(missing)?.all());
    if words.len() == VOCABULARY {
        return Ok(words);
    }
    Err(Error::new(ErrorKind::Malformed, "the corpus is not the validator's")
        .within("--corpus")
        .expected_found(
            format!("texts of {VOCABULARY} distinct words"),
            format!("{} distinct words", words.len()),
        )
        .into())
}

/// Rejects what is over a limit; the size that the environment declares.
pub(super) fn check_limits(
    candidate: &Candidate,
    limits: &Limits,
    environment: &Environment,
) -> Result<Option<BigInt>, Raised> {
    let totals = &candidate.totals;
    if totals.is_over_fraction(limits) {
        let fraction = fixed6(totals.rescue_fraction);
        return Err(Raised::rejection(format!("high_precision_fraction high_precision_fraction={fraction}")));
    }
    let (parameters, max) = (&totals.parameter_count, limits.max_parameter_count);
    if totals.is_over_parameters(limits) {
        return Err(Raised::rejection(format!(
            "parameter_count parameter_count={parameters} max_parameter_count={max}"
        )));
    }
    let (bits, max) = (&totals.compressed_bits, limits.max_compressed_bits);
    if totals.is_over_bits(limits) {
        return Err(Raised::rejection(format!(
            "compressed_size compressed_bits={bits} max_compressed_bits={max}"
        )));
    }
    let text = environment.declared_bytes();
    if text.is_empty() {
        return Ok(None);
    }
    let (bytes, max) = (to_int(&text.into())?, ceil_bytes(&max.into())?);
    if bytes > max {
        return Err(Raised::rejection(format!(
            "artifact_size artifact_bytes={bytes} max_artifact_size_bytes={max}"
        )));
    }
    Ok(Some(bytes))
}

/// The second metric. The other one that a config may name, a speed-up, needs a module to time.
fn secondary_metric(config: &RuleSet, candidate: &Candidate) -> Result<f64, Raised> {
    match config.secondary_metric_name.as_deref() {
        Some("compression_ratio") => Ok(candidate.totals.compression_ratio),
        _ => Err(Raised::new(
            Exception::TypeError,
            "float() argument must be a string or a real number, not 'NoneType'",
        )),
    }
}
