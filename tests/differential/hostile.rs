//! Small archives on which a reader errs easily, each beside what CPython 3.11.7 does with it as root on Linux. All hold
//! the same four files, or were made to.

use crate::archives::ours;

const CONFIG: &str = "config.json";
const WEIGHTS: &str = "model.safetensors";
const CODE: &str = "modeling_bitpack.py";
const TOKENIZER: &str = "tokenizer.json";

/// What Python does, and what bitgauge does.
enum Answer {
    /// Both read all four files, and these others.
    All(&'static [&'static str]),
    /// Both read the four files in this folder.
    In(&'static str),
    /// Python raises this; bitgauge says that.
    Raises(&'static str, &'static str),
    /// Python silently stops before the weights; bitgauge says that.
    Stops(&'static str),
}

use Answer::{All, In, Raises, Stops};

const LONG: &str = "a member name is too long to be unpacked";
const NUMBER: &str = "a number of a tar header is damaged";

const CASES: [(&str, Answer); 27] = [
    ("bad_dev.tgz", Stops(NUMBER)),
    ("bad_mode.tgz", Stops(NUMBER)),
    ("bad_mtime_first.tgz", Raises("RuntimeError", NUMBER)),
    ("badcheck_nul.tgz", All(&[])),
    ("bracket.tar", In("[v1] model")),
    ("bzip2_member.zip", All(&[])),
    ("deflate_far_page_only.zip", Raises("zlib.error", "the member is not valid deflate data")),
    ("dirmode0.tgz", In("m")),
    ("dirprefix.tgz", All(&[])),
    ("longname.tgz", Raises("OSError", LONG)),
    ("longname.zip", Raises("OSError", LONG)),
    ("mode0.tgz", All(&[])),
    ("mode_huge.tgz", Raises("OverflowError", NUMBER)),
    ("mtime_huge.tgz", Raises("OverflowError", NUMBER)),
    ("pax_bad_utf8key.tgz", All(&["x"])),
    ("pax_bad_utf8val.tgz", All(&["x"])),
    ("pax_charset_utf8.tgz", All(&["y"])),
    ("pax_empty_path.tgz", Raises("IsADirectoryError", "an unsafe member name")),
    ("pax_g_mtime.tgz", Raises("ValueError", "a pax mtime is not a number")),
    ("pax_mtime_nan.tgz", Raises("ValueError", "a pax mtime is not a number")),
    ("pax_schily.tgz", All(&["x"])),
    ("pax_ver.tgz", Raises("ValueError", "a tar member is a sparse file")),
    ("plain.tgz", All(&[])),
    ("prefix_typ0.tgz", All(&["pre"])),
    ("uname_ctl.tgz", All(&[])),
    ("unicode_path_differs.zip", All(&[])),
    ("ver64.zip", Raises("NotImplementedError", "the member needs a newer version of zip")),
];

#[test]
fn hostile_archives_are_read_as_python_reads_them_or_refused() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("differential/hostile");
    assert_eq!(std::fs::read_dir(&folder).expect("the archives").count(), CASES.len());
    for (name, answer) in CASES {
        let found = ours(&std::fs::read(folder.join(name)).expect("an archive"));
        let mut files = [CONFIG, WEIGHTS, CODE, TOKENIZER].map(str::to_owned).to_vec();
        match answer {
            All(others) => files.extend(others.iter().map(|&other| other.to_owned())),
            In(folder) => files.iter_mut().for_each(|file| *file = format!("{folder}/{file}")),
            Raises(error, what) => {
                assert_eq!(found, Err(what.to_owned()), "{name}: Python raises {error}");
                continue;
            }
            Stops(what) => {
                assert_eq!(found, Err(what.to_owned()), "{name}: Python stops before the weights");
                continue;
            }
        }
        files.sort();
        assert_eq!(found.map(|files| files.into_keys().collect()), Ok(files), "{name}");
    }
}
