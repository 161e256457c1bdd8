//! What the page and its workers say to each other, as JSON text; files and the workers' places in their ring travel
//! beside it.

pub mod measuring;
pub mod tokenizing;

use bitgauge_core::Error;
use bitgauge_core::contract::Rules;
use bitgauge_core::json::{Fields, FromJson, mismatch, variant};
use serde::Serialize;
use serde_json::Value;

use self::tokenizing::TokenizerFiles;

/// A file on another host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemoteFile {
    /// Path inside the folder, or the file's bare name.
    pub path: String,
    /// Its address.
    pub url: String,
    /// Length in bytes, where it is known beforehand.
    pub bytes: Option<u64>,
}

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Request {
    /// Inspects the files that come with the message.
    Open {
        /// File or folder name, without its path.
        name: String,
        /// Whether the files are those of a folder, under `paths`; otherwise there is one file.
        folder: bool,
        /// Path of each file inside the folder, or the file's bare name.
        paths: Vec<String>,
        /// How the weights lie in tensors, as a table in JSON (docs/layouts.md), where the user says so.
        layout: Option<String>,
        /// Whose limits apply.
        rules: Rules,
    },
    /// For the workers beside the one that inspects: hashes what that one asks for, of the bytes that it reads.
    Hash,
    /// Inspects files on another host, from as few bytes as tell the structure.
    Fetch {
        /// File or folder name, without its path.
        name: String,
        /// Whether the files are those of a folder; otherwise there is one.
        folder: bool,
        /// The files.
        files: Vec<RemoteFile>,
        /// Whose limits apply.
        rules: Rules,
    },
    /// Reads every byte of what is open.
    ReadAll {
        /// Whether each tensor gets a hash of its own, which takes as long as that of all bytes.
        hash_tensors: bool,
    },
    /// Judges what is open by other rules.
    Judge(Rules),
    /// Asks how the worker that measures is to load what is open.
    Plan,
    /// Asks for the files of the artifact's tokenizer.
    Tokenizer,
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Event {
    /// What is known now.
    Report {
        /// The report, exactly as `bitgauge inspect --report` writes it.
        json: String,
        /// Whether every byte has been read.
        complete: bool,
        /// The text of config.json.
        config: Option<String>,
    },
    /// How far the pass over the bytes is.
    Progress {
        /// Bytes read.
        done: u64,
        /// Bytes that there are.
        total: u64,
    },
    /// The structure of a file on another host is known, from so much of it.
    Fetched {
        /// Range requests made.
        requests: u64,
        /// Bytes that came.
        bytes: u64,
    },
    /// The file is one for the worker for rarer formats.
    Rare,
    /// How the worker that measures is to load what is open.
    Plan {
        /// A text for [`measuring::Measure`].
        plan: String,
    },
    /// The files of the artifact's tokenizer, whose bytes come beside this: `[event, bytes]`.
    Tokenizer(TokenizerFiles),
    /// The artifact can't be judged.
    Failed(Error),
}

impl FromJson for Request {
    fn from_json(value: Value) -> Result<Self, String> {
        let (name, content) = variant(value)?;
        match name.as_str() {
            "Hash" => return Ok(Self::Hash),
            "Plan" => return Ok(Self::Plan),
            "Tokenizer" => return Ok(Self::Tokenizer),
            "Judge" => return Rules::from_json(content).map(Self::Judge),
            _ => {}
        }
        let mut fields = Fields::of(content)?;
        match name.as_str() {
            "Open" => Ok(Self::Open {
                name: fields.take("name")?,
                folder: fields.take("folder")?,
                paths: fields.take("paths")?,
                layout: fields.take("layout")?,
                rules: fields.take("rules")?,
            }),
            "ReadAll" => Ok(Self::ReadAll { hash_tensors: fields.take("hash_tensors")? }),
            "Fetch" => Ok(Self::Fetch {
                name: fields.take("name")?,
                folder: fields.take("folder")?,
                files: fields.take("files")?,
                rules: fields.take("rules")?,
            }),
            _ => Err(mismatch("a request", &name.into())),
        }
    }
}

impl FromJson for RemoteFile {
    fn from_json(value: Value) -> Result<Self, String> {
        let mut fields = Fields::of(value)?;
        Ok(Self { path: fields.take("path")?, url: fields.take("url")?, bytes: fields.take("bytes")? })
    }
}

impl FromJson for Event {
    fn from_json(value: Value) -> Result<Self, String> {
        let (name, content) = variant(value)?;
        match name.as_str() {
            "Rare" => return Ok(Self::Rare),
            "Failed" => return Error::from_json(content).map(Self::Failed),
            "Tokenizer" => return TokenizerFiles::from_json(content).map(Self::Tokenizer),
            _ => {}
        }
        let mut fields = Fields::of(content)?;
        match name.as_str() {
            "Report" => Ok(Self::Report {
                json: fields.take("json")?,
                complete: fields.take("complete")?,
                config: fields.take("config")?,
            }),
            "Plan" => Ok(Self::Plan { plan: fields.take("plan")? }),
            "Progress" => Ok(Self::Progress { done: fields.take("done")?, total: fields.take("total")? }),
            "Fetched" => {
                Ok(Self::Fetched { requests: fields.take("requests")?, bytes: fields.take("bytes")? })
            }
            _ => Err(mismatch("an event", &name.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bitgauge_core::ErrorKind;

    pub fn comes_back<T: Serialize + FromJson + PartialEq + std::fmt::Debug>(message: T) {
        let text = serde_json::to_string(&message).unwrap();
        let value = serde_json::from_str(&text).unwrap();
        assert_eq!(T::from_json(value), Ok(message));
    }

    #[test]
    fn what_is_sent_is_received() {
        let name = || "m.zip".to_owned();
        let rules = Rules::Ternary;
        comes_back(Request::Open {
            name: name(),
            folder: true,
            paths: vec!["a".into(), "b/c".into()],
            layout: Some("{}".into()),
            rules,
        });
        let url = "https://example.org/".to_owned();
        let files = [None, Some(7)].map(|bytes| RemoteFile { path: name(), url: url.clone(), bytes }).into();
        comes_back(Request::Fetch { name: name(), folder: true, files, rules });
        comes_back(Request::Hash);
        comes_back(Request::Plan);
        comes_back(Request::Tokenizer);
        comes_back(Event::Tokenizer(TokenizerFiles::default()));
        comes_back(Event::Plan { plan: "{\"a\": 1}".into() });
        comes_back(Request::ReadAll { hash_tensors: true });
        comes_back(Request::Judge(rules));
        comes_back(Event::Report { json: "{}".into(), complete: false, config: None });
        comes_back(Event::Rare);
        comes_back(Event::Progress { done: 1, total: u64::MAX });
        comes_back(Event::Fetched { requests: 3, bytes: 500_000 });
        let error = Error::new(ErrorKind::BadValue, "a scale is out of range").at(7).hint("pack it again");
        comes_back(Event::Failed(error));
        assert!(Event::from_json("Nothing".into()).is_err() && Request::from_json(Value::Null).is_err());
    }
}
