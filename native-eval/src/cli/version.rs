//! What tells two builds apart; build.rs finds it out.

/// Version, commit and the commit's date.
pub const SHORT: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BITGAUGE_COMMIT"), ")");

/// The same, with the target and what the build can do.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BITGAUGE_COMMIT"),
    ")\ntarget: ",
    env!("BITGAUGE_TARGET"),
    "\nfeatures: ",
    env!("BITGAUGE_FEATURES"),
);
