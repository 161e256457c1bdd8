//! What the page and the worker that measures perplexity say to each other, as JSON text. The page posts
//! `[measure, files, documents]`: a [`Measure`], the `File`s that the worker which judges was given, in the same order (none where
//! they are on another host), and the documents' token ids, a `Uint32Array` each. It ends the worker to cancel.

use bitgauge_core::Error;
use bitgauge_core::json::{Fields, FromJson, mismatch, variant};
use bitgauge_core::report::Evaluation;
use serde::Serialize;
use serde_json::Value;

use super::RemoteFile;

/// From the page to the worker: measures the documents that come with the message.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measure {
    /// How to load the model: what [`Event::Plan`](super::Event::Plan) brought.
    pub plan: String,
    /// Longest document in tokens, as the documents were cut; recorded in the report.
    pub max_tokens: u64,
    /// Tokens that were cut off, of all documents together; recorded in the report.
    pub cut_tokens: Option<u64>,
    /// SHA-256 in hex of the documents' texts joined by two newlines; recorded in the report.
    pub documents_sha256: String,
    /// Documents that earlier workers finished; they are not run again.
    pub finished: Vec<Finished>,
    /// The model's files where they are on another host; else they come with the message.
    pub away: Vec<RemoteFile>,
}

/// The loss of one document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finished {
    /// Its number, from 0.
    pub document: u64,
    /// Scored tokens: every token but the first.
    pub tokens: u64,
    /// Sum of their losses in nats.
    pub nats: f64,
    /// Its share of the time that its batch took.
    pub seconds: f64,
    /// What it ran on; empty where there was nothing to score.
    pub device: String,
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Measuring {
    /// The adapter that was opened.
    Adapter {
        /// What the browser calls it.
        name: String,
        /// "GPU", or "software on the CPU".
        class: String,
        /// Largest buffer that it gives, in bytes: browsers do not say how much memory there is.
        buffer_bytes: u64,
        /// Bytes of the stored weights, which is about what the model takes on the device.
        model_bytes: u64,
    },
    /// How much of what the files hold compressed is unpacked.
    Unpacking {
        /// Bytes there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// How much of the stored weights is on the device.
    Loading {
        /// Bytes there.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The kernels that this model runs are compared with plain loops on this device.
    Checking {
        /// The kernel that is compared now.
        kernel: String,
        /// Kernels compared.
        done: u64,
        /// Kernels in all.
        total: u64,
    },
    /// How much of the forward passes is done.
    Running {
        /// Token-layers done, by this worker.
        done: u64,
        /// Token-layers in all that this worker has to do.
        total: u64,
    },
    /// A document is finished. It stays so whatever happens to the worker.
    Document(Finished),
    /// All documents are.
    Measured {
        /// The `evaluation` of a report, with the documents that earlier workers finished.
        evaluation: Evaluation,
    },
    /// Nothing more comes.
    Failed(Error),
}

impl FromJson for Measure {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            plan: fields.take("plan")?,
            max_tokens: fields.take("max_tokens")?,
            cut_tokens: fields.take("cut_tokens")?,
            documents_sha256: fields.take("documents_sha256")?,
            finished: fields.take("finished")?,
            away: fields.take("away")?,
        })
    }
}

impl FromJson for Finished {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self {
            document: fields.take("document")?,
            tokens: fields.take("tokens")?,
            nats: fields.take("nats")?,
            seconds: fields.take("seconds")?,
            device: fields.take("device")?,
        })
    }
}

impl FromJson for Measuring {
    fn from_json(value: Value) -> Result<Self, String> {
        let (name, content) = variant(value)?;
        match name.as_str() {
            "Document" => return Finished::from_json(content).map(Self::Document),
            "Failed" => return Error::from_json(content).map(Self::Failed),
            _ => {}
        }
        let mut fields = Fields::of(content)?;
        match name.as_str() {
            "Adapter" => Ok(Self::Adapter {
                name: fields.take("name")?,
                class: fields.take("class")?,
                buffer_bytes: fields.take("buffer_bytes")?,
                model_bytes: fields.take("model_bytes")?,
            }),
            "Unpacking" => Ok(Self::Unpacking { done: fields.take("done")?, total: fields.take("total")? }),
            "Loading" => Ok(Self::Loading { done: fields.take("done")?, total: fields.take("total")? }),
            "Checking" => Ok(Self::Checking {
                kernel: fields.take("kernel")?,
                done: fields.take("done")?,
                total: fields.take("total")?,
            }),
            "Running" => Ok(Self::Running { done: fields.take("done")?, total: fields.take("total")? }),
            "Measured" => Ok(Self::Measured { evaluation: fields.take("evaluation")? }),
            _ => Err(mismatch("an event", &name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::comes_back;
    use super::*;
    use bitgauge_core::ErrorKind;
    use bitgauge_core::report::DocumentLoss;

    #[test]
    fn what_is_sent_is_received() {
        let text = || "a \"b\"".to_owned();
        let finished =
            Finished { document: 3, tokens: 511, nats: 1221.25048828125, seconds: 0.1, device: text() };
        comes_back(Measure {
            plan: "{}".into(),
            max_tokens: 512,
            cut_tokens: Some(9),
            documents_sha256: "ab".into(),
            finished: vec![finished.clone()],
            away: vec![RemoteFile { path: text(), url: text(), bytes: Some(1 << 40) }],
        });
        comes_back(Measuring::Adapter { name: text(), class: text(), buffer_bytes: 1 << 30, model_bytes: 7 });
        comes_back(Measuring::Unpacking { done: 1, total: 9 });
        comes_back(Measuring::Loading { done: 1, total: u64::MAX });
        comes_back(Measuring::Checking { kernel: text(), done: 1, total: 9 });
        comes_back(Measuring::Running { done: 1, total: 9 });
        comes_back(Measuring::Document(finished));
        let evaluation = Evaluation {
            heldout_ppl: 10.9,
            cross_entropy_nats: 1.0 / 3.0,
            standard_error_nats: None,
            heldout_ppl_low: Some(9.0),
            heldout_ppl_high: Some(11.0),
            scored_documents: 1,
            scored_tokens: 511,
            max_tokens: 512,
            cut_tokens: None,
            window: None,
            stride: None,
            documents_sha256: "ab".into(),
            device: text(),
            precision: "f32".into(),
            seconds: 0.25,
            tokens_per_second: 2044.0,
            documents: vec![DocumentLoss { tokens: 511, nats: 1221.25048828125 }],
        };
        comes_back(Measuring::Measured { evaluation });
        comes_back(Measuring::Failed(
            Error::new(ErrorKind::BadValue, "a kernel is wrong").within("attention"),
        ));
        assert!(Measuring::from_json("Nothing".into()).is_err() && Measure::from_json(Value::Null).is_err());
    }
}
