use std::sync::{Barrier, Mutex};

use bitgauge_eval::{BackendError, EvaluateOptions, Finished, Queue, Tally, evaluate, work};
use pollster::block_on;

use super::{BenchOptions, Random};
use crate::threads::open_cpu;

/// Both devices of two get documents, and the figures are those of one device, to the bit.
#[test]
fn devices_share_a_queue() {
    let mut options = BenchOptions::published("qwen3-0.6b").unwrap();
    (options.model.vocabulary, options.model.intermediate) = (3000, 256);
    options.cut(1);
    let documents: Vec<Vec<u32>> = (2..9).map(|length| (0..length * 3).collect()).collect();
    let settings = EvaluateOptions::default();
    let mut backend = open_cpu(Some(1)).unwrap();
    let model = options.random_model(&mut backend, &mut Random::new()).unwrap();
    let alone = block_on(evaluate(&mut backend, &model, &documents, &settings, &mut |_, _| {})).unwrap();

    let queue = Queue::new(&documents, 0..documents.len(), 2);
    let (tally, both) = (Mutex::new(Tally::new(documents.len())), Barrier::new(2));
    let batches = std::thread::scope(|scope| {
        let device = || {
            let mut backend = open_cpu(Some(1)).unwrap();
            let model = options.random_model(&mut backend, &mut Random::new()).unwrap();
            let mut batches = 0;
            let finished = &mut |batch: Vec<Finished>| {
                if batches == 0 {
                    both.wait();
                }
                batches += 1;
                tally.lock().unwrap().extend(batch);
                Ok::<_, BackendError>(())
            };
            block_on(work(&mut backend, &model, &queue, None, finished, &mut |_, _| {})).unwrap();
            batches
        };
        [scope.spawn(device), scope.spawn(device)].map(|thread| thread.join().unwrap())
    });
    assert!(batches.iter().all(|&batches| batches > 0), "{batches:?}");
    let shared = tally.into_inner().unwrap().evaluation(&settings, "f32", 1.0).unwrap();
    assert_eq!(shared.documents, alone.documents);
    assert_eq!(shared.cross_entropy_nats.to_bits(), alone.cross_entropy_nats.to_bits());
}
