//! `pack` of GGUF files: what a checkpoint would hold comes out, whatever llama.cpp stores.

use std::fs;
use std::path::Path;

use conformance::{Device, Tally, compare, fixtures, on_device};
use native_eval::{Calibration, Fit, PackMix, PackSettings, PackSummary, Source, pack};

use crate::convert::{self, Fault, Target};
use crate::{LOGITS, Logits};

type Result<T> = std::result::Result<T, String>;

fn packed(from: &Path, to: &Path) -> Result<PackSummary> {
    let mix = PackMix::Uniform { scale_group: 128, rescue_fraction: 0.2, bases: 2 };
    let settings = PackSettings { mix, fit: Fit::LeastSquares, calibration: Calibration::None, force: true };
    let mut source = Source::open(from).map_err(|e| e.to_string())?;
    pack(&mut source, to, &settings, &mut |_, _, _| {}).map_err(|e| e.to_string())
}

/// Packs a model and its GGUF file and compares the logits of both; then again with each fault in the file.
pub fn check(tally: &mut Tally, name: &str, model: &Path, faults: &[Fault]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [file, one, two] = ["model.gguf", "one", "two"].map(|name| folder.path().join(name));
    let run = |fault| {
        convert::convert(model, &file, Target::F32, fault)?;
        packed(&file, &one)?;
        packed(model, &two)?;
        let [got, want] = [&one, &two].map(|path| on_device(Device::Cpu, Logits(path)));
        compare("logits", &got?, &want?, LOGITS)
    };
    tally.case(&format!("{name} packed"), run(None).map(|c| format!("worst {:.1e}", c.worst)));
    for &fault in faults {
        let caught = match run(Some(fault)) {
            Err(why) if why.contains("off by") || why.contains("no logarithm") => {
                Ok(format!("caught: {why}"))
            }
            other => Err(format!("went unnoticed: {other:?}")),
        };
        tally.case(&format!("{name} packed {fault:?}"), caught);
    }
}

/// A packed model becomes a GGUF file of signs, and that the packed model again: the same file.
pub fn one_bit(tally: &mut Tally) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [dense, one, two, file] = ["dense", "one", "two", "model.gguf"].map(|name| folder.path().join(name));
    let run = || {
        convert::write_wide(&fixtures().join("models/qwen3_untied"), &dense, 2)?;
        let mix = PackMix::Uniform { scale_group: 128, rescue_fraction: 0.0, bases: 1 };
        let settings = PackSettings { mix, fit: Fit::Mean, calibration: Calibration::None, force: false };
        let mut source = Source::open(&dense).map_err(|e| e.to_string())?;
        pack(&mut source, &one, &settings, &mut |_, _, _| {}).map_err(|e| e.to_string())?;
        convert::convert(&one, &file, Target::Q1_0, None)?;
        let summary = packed(&file, &two)?;
        if (summary.exact, summary.rounded) != (summary.packed, 0) {
            return Err(format!("not all matrices were kept: {summary:?}"));
        }
        let weights = |folder: &Path| fs::read(folder.join("model.safetensors")).map_err(|e| e.to_string());
        let mut bytes = weights(&one)?;
        if bytes != weights(&two)? {
            return Err("the two artifacts differ".into());
        }
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        if bytes == weights(&two)? {
            Err("a changed bit went unnoticed".into())
        } else {
            Ok("the same file".into())
        }
    };
    tally.case("Q1_0 packed", run());
}
