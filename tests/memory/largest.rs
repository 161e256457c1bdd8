//! Writes files with the longest headers that the limits allow into a folder: `largest FOLDER`.
//!
//! They are what memory limits are tried on: under any `ulimit -v` the command ends with a verdict or with "not enough
//! memory", never by a signal.

use std::fs;
use std::path::PathBuf;

use conformance::largest::Shape;

fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).expect("usage: largest FOLDER").into();
    fs::create_dir_all(&folder).expect("a folder");
    for shape in Shape::ALL {
        fs::write(folder.join(shape.name()), shape.bytes(shape.most())).expect("a file");
    }
}
