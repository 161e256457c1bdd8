//! Files of finished documents: what `--resume` continues and `merge` joins.
//!
//! JSON lines: first the [`Run`], then one [`Finished`] for each document that is done, in any order. A
//! file grows by whole lines, so a killed run leaves at most its last line torn, which is dropped. A power cut may do
//! more: torn lines and blocks of NULs are left out wherever they are.

mod contents;
mod file;
mod merge;
mod shard;

use bitgauge_core::report::Report;
use bitgauge_core::{Error, ErrorKind, Result};
use bitgauge_eval::EvaluateOptions;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub use file::{LossFile, Resumed};
pub use merge::{Merged, merge};
pub use shard::Shard;

/// Version of the file.
const VERSION: u32 = 1;
/// Most documents of a run.
const DOCUMENTS_COUNT: u64 = 1 << 24;

/// What was evaluated, and how: the first line of a file. Losses belong together only where all of it is
/// the same, the shard's index apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    losses_version: u32,
    /// Which of the documents.
    pub shard: Shard,
    /// Documents of all shards.
    pub documents: u64,
    /// SHA-256 of their texts, as in the report.
    pub documents_sha256: String,
    /// SHA-256 of their token ids: the tokenizer, and where long documents are cut.
    pub token_ids_sha256: String,
    /// Longest document in tokens.
    pub max_tokens: u64,
    /// What products with weights are computed in.
    pub precision: String,
    /// The artifact, inspected.
    pub report: Report,
}

impl Run {
    /// A run over documents of these ids.
    ///
    /// # Errors
    /// More documents than a file can hold.
    pub fn new(
        shard: Shard,
        ids: &[Vec<u32>],
        options: &EvaluateOptions,
        precision: &str,
        report: Report,
    ) -> Result<Self> {
        let run = Self {
            losses_version: VERSION,
            shard,
            documents: ids.len() as u64,
            documents_sha256: options.documents_sha256.clone(),
            token_ids_sha256: ids_sha256(ids),
            max_tokens: options.max_tokens as u64,
            precision: precision.to_owned(),
            report,
        };
        run.check_size()?;
        Ok(run)
    }

    /// What a report needs to know of the run.
    fn options(&self) -> EvaluateOptions {
        EvaluateOptions {
            max_tokens: self.max_tokens as usize,
            tokens_in_flight: None,
            documents_sha256: self.documents_sha256.clone(),
        }
    }

    fn check_size(&self) -> Result<()> {
        if self.documents <= DOCUMENTS_COUNT {
            return Ok(());
        }
        Err(Error::new(ErrorKind::TooLarge, "the run has too many documents")
            .expected_found(format!("at most {DOCUMENTS_COUNT}"), self.documents))
    }

    /// Fails where losses of `found` and of this run must not be mixed; the shard's index may differ.
    fn expect_same(&self, found: &Self) -> Result<()> {
        let facts = |run: &Self| {
            [
                ("the artifact", artifact_sha256(&run.report)),
                ("the limits", run.report.pack.name().to_owned()),
                ("the documents", run.documents_sha256.clone()),
                ("the token ids: another tokenizer or --max-tokens", run.token_ids_sha256.clone()),
                ("the longest document", format!("{} tokens", run.max_tokens)),
                ("the precision", run.precision.clone()),
                ("the number of shards", run.shard.count.to_string()),
                ("the number of documents", run.documents.to_string()),
                ("the version of bitgauge", run.report.bitgauge_version.clone()),
            ]
        };
        let differing = facts(self).into_iter().zip(facts(found)).find(|(own, other)| own != other);
        differing.map_or(Ok(()), |((what, expected), (_, found))| {
            Err(Error::new(
                ErrorKind::BadValue,
                format!("the file belongs to another run: it differs in {what}"),
            )
            .expected_found(expected, found)
            .hint("losses of one run have one artifact, one set of documents and the same settings"))
        })
    }
}

/// The artifact's own SHA-256 or, for a folder, that of its files' names and hashes.
fn artifact_sha256(report: &Report) -> String {
    let artifact = &report.artifact;
    artifact.sha256.clone().unwrap_or_else(|| {
        let mut hash = Sha256::new();
        for member in &artifact.members {
            hash.update(format!("{}\0{}\0", member.name, member.sha256.as_deref().unwrap_or_default()));
        }
        hex(&hash.finalize())
    })
}

fn ids_sha256(documents: &[Vec<u32>]) -> String {
    let mut hash = Sha256::new();
    for ids in documents {
        hash.update((ids.len() as u64).to_le_bytes());
        ids.iter().for_each(|id| hash.update(id.to_le_bytes()));
    }
    hex(&hash.finalize())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
