//! GGUF files evaluate like the models that they were made from, on every device.
//!
//! The files are written here, in llama.cpp's conventions, from golden models that the suite `models`
//! holds to transformers. Leaving one convention out must show.

mod blocks;
mod convert;
mod packing;
mod shards;

use std::path::Path;
use std::process::ExitCode;

use bitgauge_core::format::decode_blocks;
use bitgauge_core::inventory::Inventory;
use bitgauge_eval::{Backend, Batch, Task};
use blocks::Blocks;
use conformance::{Device, GgmlType, Tally, compare, fixtures, on_device, open_model};
use convert::{Fault, Target};
use native_eval::{Calibration, Fit, PackMix, PackSettings, Source, pack};
use pollster::block_on;

/// Absolute bound on logits, that of the suite `models`: another order of DeltaNet's heads rounds
/// differently, and rounding alone moves these logits by 1e-4 there.
const LOGITS: f64 = 1e-3;

fn main() -> ExitCode {
    let mut tally = Tally::default();
    let faults: [(&str, &[Fault]); 6] = [
        ("qwen3_tied", &[]),
        ("qwen3_untied", &[]),
        ("llama", &[Fault::UnturnedHeads]),
        ("llama_rope3_tied", &[Fault::UnturnedHeads, Fault::PlainFrequencies]),
        ("qwen3_5_text", &[Fault::CentredNorms, Fault::LogDecay, Fault::OrderedHeads]),
        ("qwen3_5_full", &[Fault::CentredNorms, Fault::LogDecay, Fault::OrderedHeads]),
    ];
    for (name, faults) in faults {
        let model = fixtures().join("models").join(name);
        check(&mut tally, name, &model, faults);
        packing::check(&mut tally, name, &model, faults);
    }
    one_bit(&mut tally);
    packing::one_bit(&mut tally);
    every_type(&mut tally);
    shards::check(&mut tally);
    tally.finish()
}

/// Converts a model and compares the logits of both; then again with each fault.
fn check(tally: &mut Tally, name: &str, model: &Path, faults: &[Fault]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("model.gguf");
    for device in Device::ALL {
        let run = |fault| {
            convert::convert(model, &file, Target::F32, fault)?;
            let (got, want) = (on_device(device, Logits(&file))?, on_device(device, Logits(model))?);
            compare("logits", &got, &want, LOGITS)
        };
        tally.case(&format!("{name} {device:?}"), run(None).map(|c| format!("worst {:.1e}", c.worst)));
        for &fault in faults {
            let caught = match run(Some(fault)) {
                Err(why) if why.contains("off by") || why.contains("the state would grow") => {
                    Ok(format!("caught: {why}"))
                }
                other => Err(format!("went unnoticed: {other:?}")),
            };
            tally.case(&format!("{name} {fault:?} {device:?}"), caught);
        }
    }
}

/// A packed model without rescue rows and its Q1_0 file hold the same bits.
fn one_bit(tally: &mut Tally) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (dense, packed) = (folder.path().join("dense"), folder.path().join("packed"));
    let file = folder.path().join("model.gguf");
    let prepared = (|| {
        convert::write_wide(&fixtures().join("models/qwen3_untied"), &dense, 2)?;
        let mix = PackMix::Uniform { scale_group: 128, rescue_fraction: 0.0, bases: 1 };
        let settings = PackSettings { mix, fit: Fit::Mean, calibration: Calibration::None, force: false };
        let mut source = Source::open(&dense).map_err(|e| e.to_string())?;
        pack(&mut source, &packed, &settings, &mut |_, _, _| {}).map_err(|e| e.to_string())?;
        convert::convert(&packed, &file, Target::Q1_0, None)?;
        let parameters = |path: &Path| -> Result<Option<u64>, String> {
            let source = Source::open(path).map_err(|e| e.to_string())?;
            Ok(Inventory::of(source.artifact()).map_err(|e| e.to_string())?.parameters())
        };
        if parameters(&packed)? != parameters(&file)? {
            return Err("the two count different parameters".to_owned());
        }
        Ok(())
    })();
    for device in Device::ALL {
        let result = prepared.clone().and_then(|()| {
            let (got, want) = (on_device(device, Logits(&file))?, on_device(device, Logits(&packed))?);
            compare("logits", &got, &want, 0.0)?;
            let other = on_device(device, Logits(&dense))?;
            match compare("logits", &other, &want, LOGITS) {
                Err(_) => Ok("the same to the bit".to_owned()),
                Ok(_) => Err("the dense model's logits went unnoticed".into()),
            }
        });
        tally.case(&format!("Q1_0 {device:?}"), result);
    }
}

/// A model whose matrices are of every type that has values, beside the same values as F32.
fn every_type(tally: &mut Tally) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| folder.path().join(name);
    let (dense, blocks, values) = (place("dense"), place("blocks.gguf"), place("values.gguf"));
    let prepared = (|| {
        convert::write_wide(&fixtures().join("models/qwen3_untied"), &dense, 4)?;
        let mut given = Blocks::new();
        convert::convert_with(&dense, &blocks, Target::F32, None, &mut |shape| {
            let (block, bytes) = given.next(shape)?;
            Ok(Some((GgmlType(block.id()), bytes)))
        })?;
        if !given.were_all_given() {
            return Err("the model has too few matrices for every type".to_owned());
        }
        let mut given = Blocks::new();
        convert::convert_with(&dense, &values, Target::F32, None, &mut |shape| {
            let (block, bytes) = given.next(shape)?;
            let matrix = decode_blocks("weight", block, shape, &bytes).map_err(|e| e.to_string())?;
            let bytes = matrix.to_f32().iter().flat_map(|value| value.to_le_bytes()).collect();
            Ok(Some((GgmlType::F32, bytes)))
        })
    })();
    for device in Device::ALL {
        let result = prepared.clone().and_then(|()| {
            let (got, want) = (on_device(device, Logits(&blocks))?, on_device(device, Logits(&values))?);
            let worst = compare("logits", &got, &want, LOGITS)?.worst;
            let other = on_device(device, Logits(&dense))?;
            match compare("logits", &other, &want, LOGITS) {
                Err(_) => Ok(format!("worst {worst:.1e}")),
                Ok(_) => Err("another model's logits went unnoticed".into()),
            }
        });
        tally.case(&format!("every type {device:?}"), result);
    }
}

/// Logits of the model at this path for two fixed documents.
pub struct Logits<'a>(pub &'a Path);

impl Task for Logits<'_> {
    type Output = Result<Vec<f32>, String>;

    fn run<B: Backend>(self, backend: &mut B) -> Self::Output {
        let model = open_model(backend, self.0)?;
        let mut batch = Batch::default();
        for (len, step) in [(70_u32, 7_u32), (33, 11)] {
            batch.push(&(0..len).map(|i| i * step % 101).collect::<Vec<_>>());
        }
        block_on(model.logits(backend, &batch, &mut ())).map_err(|e| e.to_string())
    }
}
