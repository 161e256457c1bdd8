//! What holds for any input of a parser, however damaged or hostile.
//!
//! [`PROPERTIES`] holds one property for each parser. A property takes bytes, panics where it is broken, and says
//! whether the parser took them. The fuzz targets in `fuzz/` run one property each; `conformance --test fuzz` replays
//! seeds, past findings and small changes of both.
//!
//! "No panic" is the least of it. What we accept, another implementation accepts, with the same contents. What is
//! known at once and what is known piece by piece gives the same. What is written is read back to the bit.

mod archives;
mod artifact;
mod comparison;
mod compressed;
mod config;
mod deflate;
mod documents;
mod environment;
mod folder;
pub mod gguf_file;
mod link;
mod pieces;
mod proxy;
mod python_json;
mod report;
pub mod seeds;
mod tensors;
pub mod write;

/// What a parser made of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It gave an error.
    Refused,
    /// It took the input, and what the property says of such inputs was checked.
    Accepted,
}

/// What holds for any input of one parser.
#[derive(Debug, Clone, Copy)]
pub struct Property {
    /// Name of the fuzz target, and of its folders of seeds and findings.
    pub name: &'static str,
    /// Panics where the property is broken.
    pub check: fn(&[u8]) -> Outcome,
}

/// All of them, by name.
pub const PROPERTIES: [Property; 15] = [
    Property { name: "comparison", check: comparison::check },
    Property { name: "compressed", check: compressed::check },
    Property { name: "config", check: config::check },
    Property { name: "deflate", check: deflate::check },
    Property { name: "documents", check: documents::check },
    Property { name: "environment", check: environment::check },
    Property { name: "folder", check: folder::check },
    Property { name: "gguf", check: tensors::check_gguf },
    Property { name: "link", check: link::check },
    Property { name: "proxy", check: proxy::check },
    Property { name: "python_json", check: python_json::check },
    Property { name: "report", check: report::check },
    Property { name: "safetensors", check: tensors::check_safetensors },
    Property { name: "tar", check: archives::check_tar },
    Property { name: "zip", check: archives::check_zip },
];

/// Checks the property of this name.
///
/// # Panics
/// The property is broken, or there is none of this name.
pub fn check(name: &str, input: &[u8]) -> Outcome {
    let property = PROPERTIES.iter().find(|property| property.name == name);
    (property.unwrap_or_else(|| panic!("there is no property called {name}")).check)(input)
}
