//! What is not packed, what is not replaced, and what is left behind then.

use std::fs;

use bitgauge_core::ErrorKind;
use half::bf16;

use super::tests::{CONFIG, Model, SETTINGS, Tensors, read, tensors, uniform, weights, write_model};
use super::{PackSettings, pack};
use crate::source::Source;

#[test]
fn a_target_is_replaced_only_by_force() {
    let model = Model::new();
    let forced = PackSettings { force: true, ..SETTINGS };
    for out in ["folder", "model.zip", "model.tar"] {
        model.pack(out, &SETTINGS).unwrap();
        let error = model.pack(out, &SETTINGS).unwrap_err();
        assert_eq!(error.kind, ErrorKind::Io, "{error}");
        assert!(error.what.contains("exists") && error.hint.is_some(), "{error}");
        model.pack(out, &forced).unwrap();
        read(&model.path(out));
    }
    // A file that a packed model may have goes with the rest, any other keeps the folder as it is.
    fs::write(model.path("folder/vocab.json"), "gone after packing").unwrap();
    model.pack("folder", &forced).unwrap();
    assert!(!model.path("folder/vocab.json").exists());
    fs::write(model.path("folder/notes.txt"), "mine").unwrap();
    let error = model.pack("folder", &forced).unwrap_err();
    assert!(error.found.contains("notes.txt"), "{error}");
    for out in ["source", "source/out.zip", "."] {
        let error = model.pack(out, &forced).unwrap_err();
        assert!(error.what.contains("overwrite its own model"), "{error}");
    }
    assert_eq!(model.listing(), ["folder", "model.tar", "model.zip", "source"], "nothing temporary is left");
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let model = Model::new();
    let mut bad = tensors();
    bad[5].2[7] = bf16::NAN;
    write_model(&model.path("bad"), CONFIG, &bad, 100);
    model.pack("old.zip", &SETTINGS).unwrap();
    let untouched = fs::read(model.path("old.zip")).unwrap();
    let forced = PackSettings { force: true, ..uniform(128, 0.0, 1) };
    let error = model.pack_from("bad", "old.zip", &forced).unwrap_err();
    assert_eq!(
        (error.kind, error.place.as_str()),
        (ErrorKind::BadValue, "model.layers.0.mlp.up_proj.weight")
    );
    assert!(fs::read(model.path("old.zip")).unwrap() == untouched);
    assert_eq!(model.listing(), ["bad", "old.zip", "source"]);
}

#[test]
fn a_source_that_changes_while_it_is_read_is_not_packed() {
    let model = Model::new();
    let weights = model.path("source/model.safetensors");
    let whole = fs::read(&weights).unwrap();
    let mut other = whole.clone();
    // In the middle of a tensor, where nothing is compared when work is gone on with.
    other[whole.len() / 2] ^= 1;
    // The clock of a file system may tick only every few milliseconds.
    let tick = || std::thread::sleep(std::time::Duration::from_millis(20));
    tick();
    let mut source = Source::open(&model.path("source")).unwrap();
    let mut changed = false;
    let error = pack(&mut source, &model.path("out.zip"), &SETTINGS, &mut |_, _, _| {
        if !std::mem::replace(&mut changed, true) {
            fs::write(&weights, &other).unwrap();
        }
    });
    let error = error.unwrap_err();
    assert!(error.what.contains("changed while it was read"), "{error}");
    assert_eq!(model.listing(), ["source"]);
}

#[test]
fn what_cannot_be_packed() {
    let model = Model::new();
    let refused = |change: &dyn Fn(&mut Tensors, &mut String)| {
        let (mut tensors, mut config) = (tensors(), CONFIG.to_owned());
        change(&mut tensors, &mut config);
        let _ = fs::remove_dir_all(model.path("bad"));
        write_model(&model.path("bad"), &config, &tensors, 100);
        let error = model.pack_from("bad", "out", &SETTINGS).unwrap_err();
        assert_eq!(model.listing(), ["bad", "source"]);
        error
    };
    let error = refused(&|tensors, _| drop(tensors.remove(2)));
    let place = "model.layers.0.input_layernorm.weight";
    assert_eq!((error.kind, error.place.as_str()), (ErrorKind::Missing, place));
    let error = refused(&|tensors, _| tensors[0].2[9] = bf16::from_f32(0.3));
    assert_eq!((error.kind, error.place.as_str()), (ErrorKind::BadValue, "lm_head.weight"));
    assert!(error.what.contains("not the embedding") && error.hint.is_some(), "{error}");
    let error = refused(&|tensors, _| tensors[3].1.reverse());
    assert_eq!((error.kind, error.found.as_str()), (ErrorKind::WrongShape, "[35, 66]"));
    let error = refused(&|tensors, _| tensors.push(("extra.bias".into(), vec![2], weights(9, 2))));
    assert_eq!((error.kind, error.place.as_str()), (ErrorKind::BadName, "extra.bias"));
    let error = refused(&|_, config| *config = config.replace("qwen3", "mamba"));
    assert_eq!(error.kind, ErrorKind::Unsupported);
    for method in ["null", r#"{"quant_method": "gptq"}"#] {
        let field = format!("\"quantization_config\": {method}, \"model_type\"");
        let error = refused(&|_, config| *config = config.replace("\"model_type\"", &field));
        assert_eq!(error.kind, ErrorKind::Unsupported, "{error}");
    }
    for (settings, kind) in [
        (uniform(48, 0.1, 1), ErrorKind::BadValue),
        (uniform(128, 0.1, 5), ErrorKind::WrongShape),
        (uniform(128, 1.5, 1), ErrorKind::BadValue),
        (uniform(128, f64::NAN, 1), ErrorKind::BadValue),
    ] {
        assert_eq!(model.pack("out", &settings).unwrap_err().kind, kind, "{settings:?}");
    }
}
