//! The command `bitgauge` as a user has it, built from this very tree.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A fresh command. Builds it first, so that a stale one is never tested.
pub fn bitgauge() -> Command {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    Command::new(PATH.get_or_init(build))
}

fn build() -> PathBuf {
    // target/PROFILE/deps/validator-...
    let test = std::env::current_exe().expect("a path of its own");
    let folder = test.ancestors().nth(2).expect("a target folder");
    let profile = folder.file_name().and_then(|name| name.to_str()).expect("a profile");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("a workspace"));
    // The whole workspace's features, so that no dependency is built a second time.
    cargo.args(["build", "--locked", "--quiet", "--workspace", "--bin", "bitgauge"]);
    cargo.args(["--profile", if profile == "debug" { "dev" } else { profile }]);
    let status = cargo.status().expect("cargo");
    assert!(status.success(), "bitgauge does not build");
    folder.join(format!("bitgauge{}", std::env::consts::EXE_SUFFIX))
}
