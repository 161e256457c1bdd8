//! The validator's direct run, without Python: documents, artifact, score, report.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::contract::direct::{
    DatasetHandle, Measured, Revision, RunOutput, Runtime, Scorer, artifact_path, check_size, declared_bytes,
    judge, stub,
};
use bitgauge_core::contract::documents::{Corpus, Files, documents_sha256};
use bitgauge_core::contract::python::Raised;
use bitgauge_core::contract::{Environment, Halt, Limits, RuleSet, choose_documents};
use bitgauge_core::{Error, ErrorKind};
use bitgauge_eval::Backend;
use bitgauge_eval::weights::LoadError;

use crate::load::{load, loaded_inventory};
use crate::local_files::LocalFiles;
use crate::score::{LogitLimits, NOT_FINITE, Score, ScoreError, ScoreSettings, score};
use crate::source::Source;
use crate::tokenizer::{ValidatorTokenizer, find_tokenizer, own_tokenizer};

/// Longest stub that is read.
const STUB_BYTES: u64 = 16 << 20;

/// What asks for the artifact's own tokenizer.
const OWN_TOKENIZER: &str = "artifact";

/// Everything that a run depends on.
pub struct Benchmark<'a> {
    /// The pack's settings.
    pub config: &'a RuleSet,
    /// The process's variables.
    pub environment: &'a Environment,
    /// The validator's built-in texts, if the user brought them.
    pub corpus: Option<&'a Corpus>,
    /// Where relative paths start.
    pub files: &'a LocalFiles,
    /// Whose behaviour.
    pub revision: Revision,
    /// How documents are batched, where it is not the revision's own way.
    pub scorer: Option<Scorer>,
    /// A tokenizer that stands in for the one that the environment names: a folder or file, a built-in
    /// name, or `artifact` for the artifact's own.
    pub tokenizer: Option<&'a Path>,
    /// Logits that the model holds back.
    pub logits: LogitLimits,
}

/// A run up to the point where the model is needed.
pub struct Prepared {
    /// The chosen documents.
    pub documents: Vec<String>,
    /// Their digest.
    pub documents_sha256: String,
    limits: Limits,
    /// Bytes of the artifact, as declared or counted.
    bytes: i128,
    path: PathBuf,
}

/// What the artifact turned out to be.
pub enum Opened {
    /// A model to score.
    Model(Box<Source>),
    /// A stub with its result.
    Stub(Measured),
}

impl Benchmark<'_> {
    /// Chooses the documents, finds the artifact and compares its size with the reference's budget.
    ///
    /// # Errors
    /// In the validator's order and words.
    pub fn prepare(&self) -> Result<Prepared, Halt> {
        let environment = self.environment;
        let documents = choose_documents(environment, self.corpus, self.files)?;
        let limits = Limits::of(self.config)?;
        let path = artifact_path(environment)?;
        let absolute = self.files.absolute(path);
        if !Path::new(&absolute).exists() {
            return Err(Raised::runtime(format!("submission artifact not found: {absolute}")).into());
        }
        let path = self.files.resolved_path(path);
        let bytes = match declared_bytes(environment)? {
            Some(bytes) => bytes,
            None => size_of(&path).map_err(|error| io_fault(&error, &path))?.into(),
        };
        check_size(bytes, &limits)?;
        Ok(Prepared { documents_sha256: documents_sha256(&documents), documents, limits, bytes, path })
    }

    /// Opens the artifact.
    ///
    /// # Errors
    /// What is no artifact, unsafe archives, artifacts without a model.
    pub fn open(&self, run: &Prepared) -> Result<Opened, Halt> {
        let allows_stub = self.environment.allows_stub() && self.revision.has_stub();
        if allows_stub && let Some(measured) = self.stub(run)? {
            return Ok(Opened::Stub(measured));
        }
        Ok(Opened::Model(Box::new(Source::open_as_validator(&run.path)?)))
    }

    /// The result that the artifact claims, if it is a stub.
    fn stub(&self, run: &Prepared) -> Result<Option<Measured>, Halt> {
        let metadata = fs::metadata(&run.path).map_err(|error| io_fault(&error, &run.path))?;
        if !metadata.is_file() || metadata.len() > STUB_BYTES {
            return Ok(None);
        }
        let bytes = fs::read(&run.path).map_err(|error| io_fault(&error, &run.path))?;
        let Ok(text) = String::from_utf8(bytes) else { return Ok(None) };
        let tokenizer_id = self.tokenizer_id()?.unwrap_or_default();
        let documents = run.documents.len() as u64;
        let mut measured = stub(&text, documents, self.environment.max_tokens(), &tokenizer_id)?;
        if let Some(measured) = &mut measured {
            measured.runtime.revision = self.revision;
        }
        Ok(measured)
    }

    /// The tokenizer's id; `None` for the artifact's own.
    fn tokenizer_id(&self) -> Result<Option<String>, Raised> {
        self.revision.default_tokenizer().map(|default| self.environment.tokenizer_id(default)).transpose()
    }

    /// Scores a model on a device, which `loading` and `scoring` are told of in bytes and tokens.
    ///
    /// # Errors
    /// What the validator raises while it scores; a model or a device that can't be used.
    pub fn measure<B: Backend>(
        &self,
        backend: &mut B,
        run: &Prepared,
        source: &mut Source,
        loading: &mut dyn FnMut(u64),
        scoring: &mut dyn FnMut(u64, u64),
    ) -> Result<Measured, Halt> {
        let tokenizer = self.find_tokenizer(source)?;
        let max_tokens = self.environment.max_tokens();
        let ids = run.documents.iter().map(|text| tokenizer.encode(text, max_tokens));
        let ids: Vec<Vec<u32>> = ids.collect::<Result<_, _>>()?;

        let artifact = source.artifact().clone();
        let inventory = loaded_inventory(source, &artifact).map_err(|error| error.within(source.name()))?;
        let model = load(backend, source, &inventory, loading);
        source.expect_unchanged()?;
        let model = model.map_err(|error| match error {
            LoadError::Artifact(error) => Halt::from(error.within(source.name())),
            // The validator loads such a model, and its loss is then not finite.
            LoadError::NotFinite(_) => Raised::runtime(NOT_FINITE).into(),
            LoadError::Backend(error) => error.0.into(),
        })?;
        let parameters = inventory.parameters().unwrap_or(0);
        let batch_size = self.environment.batch_size();
        let settings = ScoreSettings {
            scorer: self.scorer.unwrap_or_else(|| self.revision.scorer()),
            batch_size: usize::try_from(batch_size).unwrap_or(usize::MAX),
            pad_id: tokenizer.pad_id,
            logits: self.logits,
        };
        let result = score(backend, &model, &ids, &settings, scoring).map_err(|error| match error {
            ScoreError::Raised(raised) => Halt::Raised(raised),
            ScoreError::Backend(error) => error.0.into(),
        })?;
        let device = backend.runtime_name();
        Ok(self.measured(&result, parameters, device, tokenizer.id))
    }

    fn measured(&self, score: &Score, parameters: u64, device: String, tokenizer_id: String) -> Measured {
        Measured {
            heldout_ppl: score.perplexity,
            cross_entropy_nats: score.mean_nats,
            parameter_count: parameters.into(),
            scored_documents: score.documents,
            token_count: score.tokens.into(),
            runtime: Runtime {
                revision: self.revision,
                device,
                dtype: "fp32",
                max_tokens: self.environment.max_tokens(),
                batch_size: Some(self.environment.batch_size()),
                tokenizer_id,
                window_tokens: score.window_tokens,
                passes: score.passes,
            },
        }
    }

    /// The validator's tokenizer, or the artifact's own where the revision or the user takes that.
    fn find_tokenizer(&self, source: &mut Source) -> Result<ValidatorTokenizer, Halt> {
        let id = self.tokenizer_id()?;
        let takes_own = match self.tokenizer {
            Some(instead) => instead == Path::new(OWN_TOKENIZER),
            None => id.is_none(),
        };
        let id = id.unwrap_or_else(|| source.name().to_owned());
        if takes_own {
            let id = if self.tokenizer.is_some() { OWN_TOKENIZER.to_owned() } else { id };
            return Ok(ValidatorTokenizer { id, ..own_tokenizer(source)? });
        }
        let found = find_tokenizer(&id, self.tokenizer, self.files, source.transformers())?;
        let instead = self.tokenizer.map(|path| path.display().to_string());
        Ok(ValidatorTokenizer { id: instead.unwrap_or(id), ..found })
    }

    /// The last checks, and the report.
    ///
    /// # Errors
    /// A rejection; a model without parameters.
    pub fn judge(&self, run: &Prepared, measured: &Measured) -> Result<RunOutput, Raised> {
        let dataset = DatasetHandle {
            environment: self.environment,
            documents: run.documents.len() as u64,
            documents_sha256: Some(&run.documents_sha256),
        };
        judge(self.config, &run.limits, &dataset, run.bytes, measured)
    }
}

/// Bytes of a file, or of all regular files below a folder.
fn size_of(path: &Path) -> std::io::Result<u64> {
    let metadata = fs::metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    let mut total = 0;
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        // A link to a folder is not followed, a link to a file counts as the file.
        if entry.file_type()?.is_dir() {
            total += size_of(&entry.path())?;
        } else if let Ok(metadata) = fs::metadata(entry.path())
            && metadata.is_file()
        {
            total += metadata.len();
        }
    }
    Ok(total)
}

fn io_fault(error: &std::io::Error, path: &Path) -> Error {
    Error::new(ErrorKind::Io, "the artifact can't be read")
        .within(path.display())
        .expected_found("a file or folder", error)
}
