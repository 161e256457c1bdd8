//! Tells the command its commit, its target and what it can do, for `bitgauge --version`.
//!
//! The commit is that of BITGAUGE_COMMIT if it is set (packages are built outside git), else git's. Incremental and debug
//! builds, which are for development, name none: each commit would have them all built anew.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=BITGAUGE_COMMIT");
    println!("cargo:rerun-if-env-changed=CARGO_INCREMENTAL");
    println!("cargo:rustc-env=BITGAUGE_TARGET={}", variable("TARGET"));
    println!("cargo:rustc-env=BITGAUGE_FEATURES={}, gguf, parquet, tar.gz, tar.bz2, tar.xz, https", gpu());
    println!("cargo:rustc-env=BITGAUGE_COMMIT={}", commit());
    expect_links();
}

/// The demo's files are links to its folder, so that a package holds them. Git makes none on Windows unless it is told to.
fn expect_links() {
    println!("cargo:rerun-if-changed=demo/model.zip");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("demo/model.zip");
    let is_zip = std::fs::read(demo).is_ok_and(|bytes| bytes.starts_with(b"PK"));
    assert!(is_zip, "native-eval/demo/model.zip is no link: clone with `git clone -c core.symlinks=true`");
}

/// The interfaces through which this target's GPUs are reached.
fn gpu() -> &'static str {
    match variable("CARGO_CFG_TARGET_OS").as_str() {
        "macos" => "metal",
        "windows" => "vulkan, dx12",
        _ => "vulkan",
    }
}

fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_default()
}

/// The first digits of the commit and its date.
fn commit() -> String {
    let given = variable("BITGAUGE_COMMIT");
    if !given.is_empty() {
        return given;
    }
    if variable("PROFILE") != "release" || variable("CARGO_INCREMENTAL") == "1" {
        return "development build".to_owned();
    }
    of_git().unwrap_or_else(|| "commit unknown".to_owned())
}

/// What git says, of this project's repository only: a package may lie in somebody else's.
fn of_git() -> Option<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let folder = git(&["rev-parse", "--show-toplevel"])?;
    if Path::new(&folder).canonicalize().ok()? != root.canonicalize().ok()? {
        return None;
    }
    for path in ["HEAD", "logs/HEAD"] {
        let path = git(&["rev-parse", "--git-path", path])?;
        println!("cargo:rerun-if-changed={}", Path::new(env!("CARGO_MANIFEST_DIR")).join(path).display());
    }
    git(&["show", "--no-patch", "--format=%h %cs", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).current_dir(env!("CARGO_MANIFEST_DIR")).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned()).filter(|text| !text.is_empty())
}
