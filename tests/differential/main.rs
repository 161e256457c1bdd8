//! What bitgauge takes against what the real libraries take: recorded answers, made by the scripts beside this file.

mod archives;
mod byte_level;
mod folders;
mod hostile;
mod models;
mod recorded;
mod settings;
