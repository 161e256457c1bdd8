use bitgauge_core::container::Artifact;
use bitgauge_eval::{CpuBackend, EvaluateOptions, Model, evaluate};
use pollster::block_on;

use super::*;
use crate::threads::open_cpu;

const DEMO: &[u8] = include_bytes!("../../demo/model.zip");

fn demo(bytes: &[u8]) -> (Source, Artifact) {
    let source = Source::from_bytes("demo", bytes.to_vec()).unwrap();
    let artifact = source.artifact().clone();
    (source, artifact)
}

/// The bits of the loss of one document.
fn loss(backend: &mut CpuBackend, model: &Model<CpuBackend>) -> u64 {
    let documents = [(1..20).collect()];
    let (options, told) = (EvaluateOptions::default(), &mut |_, _| {});
    block_on(evaluate(backend, model, &documents, &options, told)).unwrap().cross_entropy_nats.to_bits()
}

/// What each of `devices` gives of weights that are read once, after `dropped` more were given up at the beginning.
fn on_several(bytes: &[u8], devices: usize, dropped: usize) -> Vec<Result<(u64, u64), LoadError>> {
    let (source, artifact) = demo(bytes);
    let inventory = Inventory::of(&artifact).unwrap();
    let loader = Loader::new(&inventory, &source, WeightForms::default());
    std::thread::scope(|scope| {
        let mut loadings = loader.start(scope, devices + dropped).unwrap();
        loadings.truncate(devices);
        let run = |loading: Loading<'_>| {
            let (mut backend, mut loaded) = (open_cpu(Some(1)).unwrap(), 0);
            let model = loading.finish(&mut backend, &mut |bytes| loaded += bytes)?;
            Ok((loss(&mut backend, &model), loaded))
        };
        let threads: Vec<_> = loadings.into_iter().map(|loading| scope.spawn(move || run(loading))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// The demo with the first of its final norm's values made NaN.
fn without_a_number() -> Vec<u8> {
    let (mut source, artifact) = demo(DEMO);
    let tensor = artifact.tensors.iter().find(|tensor| tensor.name == "model.norm.weight").unwrap();
    let (mut stored, mut bytes) = (Vec::new(), DEMO.to_vec());
    source.read_tensor_into(tensor, &mut stored).unwrap();
    let place = bytes.windows(stored.len()).position(|window| window == stored).unwrap();
    bytes[place..place + 4].fill(0xff);
    bytes
}

#[test]
fn several_devices_get_the_weights_that_one_gets() {
    let (mut source, artifact) = demo(DEMO);
    let (mut backend, mut all) = (open_cpu(Some(1)).unwrap(), 0);
    let inventory = Inventory::of(&artifact).unwrap();
    let model = load(&mut backend, &mut source, &inventory, &mut |bytes| all += bytes).unwrap();
    let alone = loss(&mut backend, &model);
    for (devices, dropped) in [(1, 0), (3, 0), (2, 1)] {
        for found in on_several(DEMO, devices, dropped) {
            assert_eq!(found.unwrap(), (alone, all), "{devices} devices");
        }
    }
}

#[test]
fn a_faulty_weight_is_an_error_on_every_device() {
    let found = on_several(&without_a_number(), 3, 0);
    assert_eq!(found.len(), 3);
    for result in found {
        let error = result.unwrap_err();
        assert!(matches!(&error, LoadError::NotFinite(_)), "{error}");
        assert!(error.to_string().contains("model.norm.weight"), "{error}");
    }
}

/// Weights of another model would be noticed above.
#[test]
fn a_flipped_sign_changes_the_loss() {
    let (mut source, artifact) = demo(DEMO);
    let tensor = artifact.tensors.iter().find(|tensor| tensor.name.ends_with(".sign")).unwrap();
    let (mut stored, mut bytes) = (Vec::new(), DEMO.to_vec());
    source.read_tensor_into(tensor, &mut stored).unwrap();
    let place = bytes.windows(stored.len()).position(|window| window == stored).unwrap();
    bytes[place] ^= 1;
    let losses = [DEMO, &bytes].map(|bytes| on_several(bytes, 2, 0).remove(0).unwrap().0);
    assert_ne!(losses[0], losses[1]);
}
