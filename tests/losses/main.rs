//! Files of finished documents, and what is made of them, without evaluating anything: each rule as a table
//! of what is taken and what is refused.

mod files;
mod tally;
