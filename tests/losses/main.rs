//! Files of finished documents, and what is made of them: each rule as a table of what is taken and what is refused;
//! and a small model evaluated.

mod evaluated;
mod files;
mod tally;
mod torn;
