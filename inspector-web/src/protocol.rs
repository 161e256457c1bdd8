//! What the page and its worker say to each other, as JSON text; the files travel beside it.

use bitgauge_core::Error;
use bitgauge_core::contract::Pack;
use serde::{Deserialize, Serialize};

/// From the page to the worker.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Inspects the files that come with the message.
    Open {
        /// File or folder name, without its path.
        name: String,
        /// Whether the files are those of a folder, under `paths`; otherwise there is one file.
        folder: bool,
        /// Path of each file inside the folder, or the file's bare name.
        paths: Vec<String>,
        /// Whose limits apply.
        pack: Pack,
    },
    /// Inspects a file on another host, from as few bytes as tell the structure.
    Fetch {
        /// File name, without its path.
        name: String,
        /// Its address.
        url: String,
        /// Whose limits apply.
        pack: Pack,
    },
    /// Reads every byte of what [`Request::Fetch`] opened.
    ReadAll,
    /// Judges what is open by the limits of another pack.
    Judge(Pack),
}

/// From the worker to the page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    /// The artifact can't be judged.
    Failed(Error),
}
