//! cargo-mutants' own list: `cargo mutants --list --json`.

use std::path::Path;

use serde::Deserialize;

/// A place in a file, both counted from 1, columns in characters.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    pub line: usize,
    pub column: usize,
}

/// What a mutant replaces.
#[derive(Deserialize, Clone, Copy, Debug)]
pub struct Span {
    pub start: Position,
    pub end: Position,
}

/// How a mutant changes the code.
#[derive(Deserialize, Clone, Copy, PartialEq, Eq, Debug)]
pub enum Genre {
    FnValue,
    BinaryOperator,
    UnaryOperator,
    MatchArm,
    MatchArmGuard,
    StructField,
}

/// One change of one file. Its number is its place in the list.
#[derive(Deserialize, Debug)]
pub struct Mutant {
    pub name: String,
    pub file: String,
    pub genre: Genre,
    pub replacement: String,
    pub span: Span,
}

/// Reads the list.
pub fn read(path: &Path) -> Vec<Mutant> {
    let text = std::fs::read_to_string(path).expect("the list can be read");
    serde_json::from_str(&text).expect("the list is cargo-mutants' JSON")
}
