//! What the commands that follow the validator share: its settings, its texts, its environment.

use std::path::Path;

use bitgauge_core::contract::direct::RunOutput;
use bitgauge_core::contract::documents::Corpus;
use bitgauge_core::contract::python::Value;
use bitgauge_core::contract::{Environment, Halt, RuleSet, Rules};
use bitgauge_core::{Error, ErrorKind};
use native_eval::{LocalFiles, OutputFile, input, tokenizer_files};

use super::args::{ConfigOptions, ContractOptions, Format};
use super::print::{eprintln, print, println};
use super::{Exit, Failure};

/// Longest settings or corpus file.
const FILE_BYTES: u64 = 64 << 20;

/// The variables of this process.
pub fn environment() -> Environment {
    let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
    std::env::vars_os().map(|(key, value)| (text(key), text(value))).collect()
}

/// Files relative to the working directory.
pub fn files() -> Result<LocalFiles, Failure> {
    Ok(LocalFiles::new(&std::env::current_dir()?))
}

impl ConfigOptions {
    /// The pack's settings.
    pub fn read(&self) -> Result<RuleSet, Failure> {
        let Some(path) = &self.config else { return Ok(Rules::from(self.pack).rule_set()) };
        let json = Value::parse(&read(path)?).map_err(|error| malformed(path, &error))?;
        Ok(RuleSet::from_json(&json).map_err(|error| malformed(path, &error.message))?)
    }
}

impl ContractOptions {
    /// The built-in texts, if they were given.
    pub fn read_corpus(&self) -> Result<Option<Corpus>, Failure> {
        let parse = |path: &std::path::PathBuf| {
            Corpus::parse(&read(path)?).map_err(|error| error.within(path.display()))
        };
        Ok(self.corpus.as_ref().map(parse).transpose()?)
    }

    /// Checks that the result can be written, and that its file is none of those that are read.
    pub fn check_result(
        &self,
        environment: &Environment,
        files: &LocalFiles,
        tokenizer: Option<&Path>,
    ) -> Result<OutputFile, Error> {
        let absolute = |path: &str| Some(files.absolute_path(path)).filter(|_| !path.is_empty());
        let named =
            [environment.artifact_path(), environment.trimmed("AUTORESEARCH_PRIVATE_HELDOUT_MANIFEST")];
        let named = named.into_iter().filter_map(absolute);
        let given = self.corpus.iter().chain(&self.config.config).cloned();
        let own = absolute(environment.trimmed("AUTORESEARCH_EVAL_TOKENIZER_ID"));
        let tokenizer = tokenizer.map(Path::to_owned).into_iter().chain(own);
        let tokenizer = tokenizer.flat_map(|path| tokenizer_files(&path));
        OutputFile::check(&self.result, &named.chain(given).chain(tokenizer).collect::<Vec<_>>())
    }

    /// Writes the result's file and prints what the validator prints, even when there can be no file.
    pub fn finish(&self, file: &OutputFile, verdict: &RunOutput, format: Format) -> Result<Exit, Failure> {
        let json = verdict.report.to_pretty();
        let written = file.write(json.as_bytes());
        match format {
            Format::Human => print!("{}", verdict.stdout),
            Format::Json => println!("{json}"),
            Format::Quiet => println!("{}", verdict.stdout.lines().next().unwrap_or_default()),
        }
        written?;
        Ok(Exit::Done)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    input::read_text(path, "the file", FILE_BYTES).map_err(|error| error.within(path.display()))
}

fn malformed(path: &Path, why: &dyn std::fmt::Display) -> Error {
    Error::new(ErrorKind::Malformed, "the settings can't be used")
        .within(path.display())
        .expected_found("a JSON object with the fields of the validator's config", why)
}

/// Ends a run that gave no result. The validator's own words go to stderr as they are.
pub fn halted(halt: Halt) -> Result<Exit, Failure> {
    match halt {
        Halt::Raised(raised) => {
            eprintln!("{raised}");
            Ok(Exit::NotEligible)
        }
        Halt::Fault(error) => Err(error.into()),
    }
}
