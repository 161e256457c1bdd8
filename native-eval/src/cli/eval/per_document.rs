//! The loss of every document: a file for programs, the lowest and highest for people.

use std::path::{Path, PathBuf};

use bitgauge_core::report::{DocumentLoss, Evaluation, words};
use bitgauge_core::{Error, ErrorKind};
use native_eval::OutputFile;
use native_eval::documents::Document;
use serde::Serialize;

use crate::cli::print::{columns, println};
use crate::cli::{table, text};

/// Documents listed at either end.
const LISTED: usize = 3;
/// Characters of a text that tell which one it is.
const BEGINNING_CHARACTERS: usize = 48;

/// Columns of the table before a document's words.
const NUMBERS_COLUMNS: usize = 46;

/// One document with something to score.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// Its number, from 0, as in the report's list.
    document: usize,
    /// Where it is from.
    name: String,
    /// Scored tokens.
    tokens: u64,
    /// Sum of their losses.
    nats: f64,
    /// Mean of their losses.
    nats_per_token: f64,
    /// Its own perplexity.
    perplexity: f64,
    /// How its text begins, on one line.
    begins: String,
}

impl Row {
    /// The file that it is from, without folders, and how it begins.
    fn words(&self) -> String {
        let file = self.name.rsplit('/').next().unwrap_or_default();
        if file.is_empty() { self.begins.clone() } else { format!("{file}: {}", self.begins) }
    }
}

/// The scored documents of an evaluation, in order.
pub fn rows(evaluation: Option<&Evaluation>, documents: &[Document]) -> Vec<Row> {
    let losses = evaluation.map_or(&[][..], |evaluation| &evaluation.documents);
    let scored = losses.iter().zip(documents).enumerate().filter(|(_, (loss, _))| loss.tokens > 0);
    let row = |(number, (loss, document)): (usize, (&DocumentLoss, &Document))| {
        let mean = loss.nats / loss.tokens as f64;
        Row {
            document: number,
            name: document.name.clone(),
            tokens: loss.tokens,
            nats: loss.nats,
            nats_per_token: mean,
            perplexity: mean.exp(),
            begins: beginning(&document.text),
        }
    };
    scored.map(row).collect()
}

/// The first characters of a text; white space and control characters are spaces.
fn beginning(text: &str) -> String {
    let plain = |c: char| if c.is_whitespace() || c.is_control() { ' ' } else { c };
    let mut begins: String = text.trim_start().chars().take(BEGINNING_CHARACTERS).map(plain).collect();
    begins.truncate(begins.trim_end().len());
    begins
}

/// Prints the documents with the lowest and the highest loss per token.
pub fn print(rows: &[Row]) {
    let mut sorted: Vec<&Row> = rows.iter().collect();
    sorted.sort_by(|a, b| a.nats_per_token.total_cmp(&b.nats_per_token).then(a.document.cmp(&b.document)));
    if sorted.len() < 2 {
        return;
    }
    let (lowest, highest) = sorted.split_at(sorted.len().div_ceil(2));
    let ends = [&lowest[..lowest.len().min(LISTED)], &highest[highest.len().saturating_sub(LISTED)..]];
    let room = columns().saturating_sub(NUMBERS_COLUMNS).max(BEGINNING_CHARACTERS / 2);
    let cells = |row: &&Row| {
        vec![
            format!("  {}", row.document),
            words::count(row.tokens),
            format!("{:.4}", row.nats_per_token),
            format!("{:.4}", row.perplexity),
            text::cut(&row.words(), room),
        ]
    };
    println!("\n{}", text::heading("Documents with the lowest and the highest perplexity"));
    let mut table = table::table(
        &["  number", "tokens", "nats per token", "perplexity", "document"],
        ends.concat().iter().map(cells).collect(),
        0,
    );
    if let Some(column) = table.column_mut(4) {
        column.set_cell_alignment(comfy_table::CellAlignment::Left);
    }
    table::print(&table);
}

/// The forms of a file of rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Csv,
    JsonLines,
}

/// A file that the rows go to, checked before there are any.
pub struct PerDocumentFile {
    file: OutputFile,
    form: Form,
}

impl PerDocumentFile {
    /// Checks that it can be written and is none of the `inputs`.
    ///
    /// # Errors
    /// Those of [`OutputFile::check`]; another name than one of the two forms.
    pub fn check(path: &Path, inputs: &[PathBuf]) -> Result<Self, Error> {
        let form = match path.extension().and_then(|extension| extension.to_str()) {
            Some("csv") => Form::Csv,
            Some("jsonl") => Form::JsonLines,
            _ => {
                return Err(Error::new(ErrorKind::BadValue, "the file's name does not tell its form")
                    .within(path.display())
                    .expected_found("a name that ends in .csv or .jsonl", path.display()));
            }
        };
        Ok(Self { file: OutputFile::check(path, inputs)?, form })
    }

    /// Writes the rows.
    ///
    /// # Errors
    /// Those of [`OutputFile::write`].
    pub fn write(&self, rows: &[Row]) -> Result<(), Error> {
        let text = match self.form {
            Form::Csv => csv(rows),
            Form::JsonLines => rows.iter().map(json_line).collect(),
        };
        self.file.write(text.as_bytes())
    }
}

fn json_line(row: &Row) -> String {
    // Numbers and a text can always be written.
    format!("{}\n", serde_json::to_string(row).unwrap_or_default())
}

/// RFC 4180, but for line ends: LF alone.
fn csv(rows: &[Row]) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut text = "document,name,tokens,nats,nats_per_token,perplexity,begins\n".to_owned();
    for row in rows {
        let Row { document, name, tokens, nats, nats_per_token, perplexity, begins } = row;
        let (name, begins) = (quoted(name), quoted(begins));
        text += &format!("{document},{name},{tokens},{nats},{nats_per_token},{perplexity},{begins}\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_and_line_ends_stay_in_their_cell() {
        let losses = [(4, 8.0), (0, 0.0), (2, 1.0)];
        let documents = losses.map(|(tokens, nats)| DocumentLoss { tokens, nats }).to_vec();
        let evaluation = Evaluation { documents, ..Evaluation::default() };
        let document = |text: String| Document { name: "t.txt".to_owned(), text };
        let documents = ["a \"b\",\nc".to_owned(), "x".to_owned(), "y".repeat(99)].map(document);
        let rows = rows(Some(&evaluation), &documents);
        assert_eq!((rows.len(), rows[1].document), (2, 2));
        let lines: Vec<String> = csv(&rows).lines().map(str::to_owned).collect();
        assert_eq!(lines[1], format!("0,\"t.txt\",4,8,2,{},\"a \"\"b\"\", c\"", 2_f64.exp()));
        assert!(lines[2].ends_with(&format!(",\"{}\"", "y".repeat(BEGINNING_CHARACTERS))));
        let read: serde_json::Value = serde_json::from_str(&json_line(&rows[0])).unwrap();
        assert_eq!((read["begins"].as_str(), read["nats"].as_f64()), (Some("a \"b\", c"), Some(8.0)));
    }
}
