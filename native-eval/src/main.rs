//! The command `bitgauge`.
fn main() {}
