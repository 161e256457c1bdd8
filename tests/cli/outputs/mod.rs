//! What the command writes, under faults: nothing that was there is lost, and no result.

mod changed;
mod files;
mod full;
mod kills;
mod pack;
mod resume;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{bitgauge, path, text};

/// The dense model that is packed here.
const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/models/qwen3_tied");

/// A command that runs `bitgauge` under bash, after a line of set-up such as `umask 027` or `ulimit -f 8`.
fn after(setup: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("bash");
    let line = format!("{setup}; exec \"$0\" \"$@\"");
    command.args(["-c", &line, env!("CARGO_BIN_EXE_bitgauge")]).args(arguments).env("NO_COLOR", "1");
    command
}

fn run(mut command: Command) -> Output {
    command.output().expect("the command starts")
}

/// Expects an error that holds these words, and nothing on stdout.
fn expect_refused(output: &Output, words: &str) {
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{words}: {stderr}");
    assert!(stderr.contains(words) && output.stdout.is_empty(), "{words}: {stderr}");
}

/// The permission bits of a file.
fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("the file").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("the file");
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().expect("mkfifo").success());
}

fn is_fifo(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|metadata| metadata.file_type().is_fifo())
}

/// All that is below a folder: each path with its bytes, or with what it is.
fn contents(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = fs::symlink_metadata(&path).expect("an entry");
            let what = match metadata.file_type() {
                kind if kind.is_dir() => {
                    folders.push(path.clone());
                    b"a folder".to_vec()
                }
                kind if kind.is_file() => fs::read(&path).expect("a file"),
                kind if kind.is_symlink() => {
                    fs::read_link(&path).expect("a link").into_os_string().into_encoded_bytes()
                }
                kind => format!("{kind:?}").into_bytes(),
            };
            found.insert(path, what);
        }
    }
    found
}

/// Copies the files of a folder into a new one.
fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        fs::copy(entry.path(), to.join(entry.file_name())).expect("a file");
    }
}

/// Runs `bitgauge` where `from` is mounted at `to`; nothing, said on stderr, where this process may not mount.
fn run_mounted(from: &Path, to: &Path, arguments: &[&str]) -> Option<Output> {
    let mount = format!("mount --bind '{}' '{}'", from.display(), to.display());
    let unshared = |bash: Command| {
        let mut command = Command::new("unshare");
        command.arg("--mount").arg(bash.get_program()).args(bash.get_args()).env("NO_COLOR", "1");
        command.output()
    };
    let mut probe = Command::new("bash");
    probe.args(["-c", &mount]);
    match unshared(probe) {
        Ok(output) if output.status.success() => Some(unshared(after(&mount, arguments)).expect("it starts")),
        other => {
            eprintln!("nothing can be mounted here: {other:?}");
            None
        }
    }
}
