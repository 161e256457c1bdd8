//! The process and its surroundings: closed and full outputs, special files, limits, signals.

mod commands;
mod inputs;
mod limits;
mod printing;
mod screen;
mod sessions;
mod signals;
