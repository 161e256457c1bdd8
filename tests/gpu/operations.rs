//! Operations hand their operands to the kernels in the right order: one case each of those whose kernels
//! declare trials.

use bitgauge_eval::{Backend, BackendError, GpuBackend, GpuBuffer};
use bitgauge_shaders::trial::{EPS, Random};
use bitgauge_shaders::{Kernel, twins};
use pollster::block_on;

use crate::kernels::{Case, flipped, poisoned, put};

type Result<T> = std::result::Result<T, BackendError>;

const ROWS: usize = 3;
const HEADS: usize = 2;
const HEAD_DIM: usize = 5;
const COLUMNS: usize = HEADS * HEAD_DIM;

/// Every case.
pub fn cases() -> Vec<Case> {
    let mut random = Random(17);
    let [x, y] = [(); 2].map(|()| random.values(ROWS * COLUMNS));
    let (weight, head_weight) = (random.values(COLUMNS), random.values(HEAD_DIM));
    let rate: Vec<f32> = random.values(COLUMNS).iter().map(|rate| -rate.abs()).collect();
    let after = |twin: &dyn Fn(&mut [f32])| {
        let mut want = x.clone();
        twin(&mut want);
        want
    };

    let (other, of) = (y.clone(), after(&|x| twins::add(x, &y)));
    let add = case(Kernel::Add, &x, of, move |backend, x| {
        let other = put(backend, &other, COLUMNS)?;
        backend.add(x, &other)
    });
    let (other, of) = (y.clone(), after(&|x| twins::swiglu(x, &y)));
    let swiglu = case(Kernel::Swiglu, &x, of, move |backend, x| {
        let up = put(backend, &other, COLUMNS)?;
        backend.swiglu(x, &up)
    });
    let (other, of) = (y.clone(), after(&|x| twins::sigmoid_gate(x, &y)));
    let sigmoid_gate = case(Kernel::SigmoidGate, &x, of, move |backend, x| {
        let gate = put(backend, &other, COLUMNS)?;
        backend.sigmoid_gate(x, &gate)
    });
    let (own, of) = (weight.clone(), after(&|x| twins::bias(x, &weight)));
    let bias = case(Kernel::Bias, &x, of, move |backend, x| {
        let bias = backend.upload_vector(&own)?;
        backend.bias(x, &bias)
    });
    let (own, of) = (weight.clone(), after(&|out| twins::rms_norm(&x, &weight, EPS, out)));
    let rms_norm = case(Kernel::RmsNorm, &x, of, move |backend, x| {
        let weight = backend.upload_vector(&own)?;
        let mut out = poisoned(backend, ROWS, COLUMNS)?;
        backend.rms_norm(x, &weight, EPS, &mut out)?;
        *x = out;
        Ok(())
    });
    let (own, of) = (head_weight.clone(), after(&|x| twins::head_norm(x, &head_weight, EPS)));
    let head_norm = case(Kernel::HeadNorm, &x, of, move |backend, x| {
        let weight = backend.upload_vector(&own)?;
        backend.head_norm(x, &weight, EPS)
    });
    let of = after(&|x| twins::gated_norm(x, &head_weight, EPS, &y));
    let (own, other) = (head_weight.clone(), y.clone());
    let gated_norm = case(Kernel::GatedNorm, &x, of, move |backend, x| {
        let (weight, gate) = (backend.upload_vector(&own)?, put(backend, &other, COLUMNS)?);
        backend.gated_norm(x, &weight, EPS, &gate)
    });
    let of = after(&|x| twins::l2_norm(x, ROWS, HEADS - 1, HEAD_DIM, EPS));
    let l2_norm = case(Kernel::L2Norm, &x, of, |backend, x| backend.l2_norm(x, HEADS - 1, HEAD_DIM, EPS));
    // Each half is half of the rows: of the second, what is not flipped.
    let mut halves = [vec![0.0; x.len() / 2], vec![0.0; x.len() / 2]];
    let [first, second] = &mut halves;
    twins::split_heads(&x, HEAD_DIM, first, second);
    let split_heads = case(Kernel::SplitHeads, &x, halves.concat(), |backend, x| {
        let mut first = poisoned(backend, ROWS, HEAD_DIM)?;
        let mut second = poisoned(backend, ROWS, HEAD_DIM)?;
        backend.split_heads(x, HEAD_DIM, &mut first, &mut second)?;
        let halves = [block_on(backend.read(&first))?, block_on(backend.read(&second))?].concat();
        *x = put(backend, &halves, COLUMNS)?;
        Ok(())
    });
    let (mut decay, mut beta) = (x.clone(), y.clone());
    twins::decay_gates(&mut decay, &mut beta, &rate, &weight);
    let decay_gates = case(Kernel::DecayGates, &x, [decay, beta].concat(), move |backend, x| {
        let mut b = put(backend, &y, COLUMNS)?;
        let (rate, bias) = (backend.upload_vector(&rate)?, backend.upload_vector(&weight)?);
        backend.decay_gates(x, &mut b, &rate, &bias)?;
        let gates = [block_on(backend.read(x))?, block_on(backend.read(&b))?].concat();
        *x = put(backend, &gates, COLUMNS)?;
        Ok(())
    });
    let plain = [add, swiglu, sigmoid_gate, bias, rms_norm, head_norm, gated_norm, l2_norm];
    plain.into_iter().chain([split_heads, decay_gates]).collect()
}

/// A case of an operation that replaces x by its result.
fn case(
    kernel: Kernel,
    x: &[f32],
    want: Vec<f32>,
    operation: impl Fn(&mut GpuBackend, &mut GpuBuffer) -> Result<()> + 'static,
) -> Case {
    let x = x.to_vec();
    Case {
        name: format!("{}, as an operation", kernel.name()),
        bound: kernel.bound(),
        limit: None,
        patches: Vec::new(),
        want,
        run: Box::new(move |backend, flips| {
            let mut x = put(backend, &flipped(&x, flips), COLUMNS)?;
            operation(backend, &mut x)?;
            block_on(backend.read(&x))
        }),
    }
}
