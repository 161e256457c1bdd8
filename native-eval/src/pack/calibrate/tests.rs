//! Runs a small model for its moments.

use std::fs;

use bitgauge_core::ErrorKind;

use super::{Calibration, MomentStore, run};
use crate::pack::PackSettings;
use crate::pack::plan::Plan;
use crate::pack::progress::Progress;
use crate::pack::tests::{Model, tensors, uniform};
use crate::source::Source;

const EMBEDDING: &str = "model.embed_tokens.weight";

fn store(model: &Model, calibration: &Calibration) -> bitgauge_core::Result<MomentStore> {
    let mut source = Source::open(&model.path("source"))?;
    let mut store = MomentStore::new(model.path("moments"));
    let mut steps = Vec::new();
    let mut tell = |_, done, all| steps.push((done, all));
    let plan = Plan::new(&source, &mut Progress::new(0, &mut |_, _, _| {}))?;
    run(&mut source, &plan, calibration, &mut store, &mut Progress::new(0, &mut tell))?;
    assert!(steps.last().is_none_or(|(done, all)| done == all), "{steps:?}");
    Ok(store)
}

fn values(name: &str) -> Vec<f32> {
    let tensors = tensors();
    let (_, _, values) = tensors.iter().find(|(known, ..)| known == name).unwrap();
    values.iter().map(|value| value.to_f32()).collect()
}

/// Second moments of the first layer's inputs: normed rows of the embedding.
fn expected(documents: &[Vec<u32>]) -> Vec<f64> {
    let (embedding, norm) = (values(EMBEDDING), values("model.layers.0.input_layernorm.weight"));
    let cols = norm.len();
    let mut sums = vec![0.0; cols];
    for &id in documents.iter().flatten() {
        let row = &embedding[id as usize * cols..][..cols];
        let mean: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / cols as f64;
        for ((sum, x), w) in sums.iter_mut().zip(row).zip(&norm) {
            *sum += (f64::from(x * w)).powi(2) / (mean + 1e-6);
        }
    }
    sums
}

/// Levelled, every weight's inputs count 1 on average, in the same proportions.
#[test]
fn inputs_of_all_weights_can_count_alike() {
    let model = Model::new();
    let mut store = store(&model, &Calibration::RandomTokens).unwrap();
    let names = ["self_attn.q_proj", "self_attn.o_proj", "mlp.down_proj"];
    let of = |store: &MomentStore| {
        names.map(|name| store.importance(&format!("model.layers.0.{name}.weight")).unwrap().unwrap())
    };
    let mean = |values: &[f32]| values.iter().sum::<f32>() / values.len() as f32;
    let before = of(&store);
    assert!(before.iter().all(|values| (mean(values) - 1.0).abs() > 1e-2), "{:?}", before.map(|v| mean(&v)));
    store.level();
    for (before, after) in before.iter().zip(of(&store)) {
        assert!((mean(&after) - 1.0).abs() < 1e-4, "{}", mean(&after));
        let part = |at: usize| (after[at] / after[0] - before[at] / before[0]).abs();
        assert!((0..after.len()).all(|at| part(at) < 1e-3 * before[at] / before[0]));
    }
}

#[test]
fn the_moments_are_those_of_the_inputs() {
    let model = Model::new();
    // More tokens than go through the model at once, and documents that are cut.
    let ids =
        |seed: usize, count: usize| (0..count).map(|i| ((i * i + seed) % 40) as u32).collect::<Vec<u32>>();
    let documents: Vec<Vec<u32>> = (0..9).map(|seed| ids(seed, 300 + 60 * seed)).collect();
    let store = store(&model, &Calibration::Documents(documents.clone())).unwrap();
    let cut: Vec<Vec<u32>> = documents.iter().map(|ids| ids[..ids.len().min(512)].to_vec()).collect();
    for projection in ["q_proj", "k_proj", "v_proj"] {
        let found =
            store.importance(&format!("model.layers.0.self_attn.{projection}.weight")).unwrap().unwrap();
        let differs = |expected: &[f64]| {
            found.iter().zip(expected).any(|(&a, b)| (f64::from(a) - b).abs() > 1e-4 * b.abs())
        };
        assert!(!differs(&expected(&cut)), "{projection}");
        assert!(differs(&expected(&documents)) && differs(&expected(&cut[1..])), "other tokens are noticed");
    }
    for (name, cols) in
        [("self_attn.o_proj", 24), ("mlp.gate_proj", 66), ("mlp.up_proj", 66), ("mlp.down_proj", 35)]
    {
        let found = store.importance(&format!("model.layers.0.{name}.weight")).unwrap().unwrap();
        assert!(found.len() == cols && found.iter().all(|&moment| moment > 0.0), "{name}");
    }
    // The head of a tied model is its embedding, whose rows count as often as their tokens occur.
    assert_eq!(store.importance(EMBEDDING).unwrap().unwrap().len(), 66);
    let rows = store.row_importance(EMBEDDING).unwrap();
    let count = |token: u32| 1 + cut.iter().flatten().filter(|&&id| id == token).count();
    for token in [1, 5, 39] {
        let ratio = rows[token as usize] / rows[0];
        assert!(
            (ratio - count(token) as f32 / count(0) as f32).abs() < 1e-4 * ratio,
            "token {token}: {ratio}"
        );
    }
    assert!(store.row_importance("model.layers.0.mlp.up_proj.weight").is_none());
}

#[test]
fn calibration_changes_what_is_packed_and_repeats_itself() {
    let model = Model::new();
    let documents = |id| Calibration::Documents(vec![vec![id, 3, 7, 7, 30], vec![2; 600]]);
    let bytes = |out: &str, calibration: Calibration, threads: usize| {
        let settings = PackSettings { calibration, ..uniform(128, 0.1, 1) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| model.pack(out, &settings)).unwrap();
        fs::read(model.path(out)).unwrap()
    };
    let first = bytes("a.zip", documents(1), 1);
    assert!(first == bytes("b.zip", documents(1), 3), "the number of threads shows");
    assert!(first != bytes("c.zip", documents(9), 1));
    let random = bytes("d.zip", Calibration::RandomTokens, 1);
    assert!(random == bytes("e.zip", Calibration::RandomTokens, 4) && random != first);
    let none = bytes("f.zip", Calibration::None, 1);
    assert!(none != first && none != random && none.len() == first.len());
}

#[test]
fn tokens_of_another_vocabulary_are_refused() {
    let Err(error) = store(&Model::new(), &Calibration::Documents(vec![vec![1, 40]])) else { panic!() };
    assert_eq!((error.kind, error.found.as_str()), (ErrorKind::BadValue, "40"));
}
