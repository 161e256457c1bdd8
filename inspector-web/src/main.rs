//! The browser inspector.
fn main() {}
