//! Held-out documents from files, folders and standard input, and long ones in windows.

mod columns;
mod read;
mod windows;

pub use bitgauge_texts::{Document, Documents, Form, TextSettings, TextTokenizer, parse};
pub use read::read;
pub use windows::{Piece, Pieces, Windows};
