//! The comparison of a model's kernels with their twins, as a browser's worker makes it before it measures: a wrong kernel is
//! named, and a matrix uploaded by blocks of rows is the matrix.

use bitgauge_core::{BlockType, Matrix};
use bitgauge_eval::{
    AdapterChoice, Backend, Check, GpuBackend, GpuMatrix, GpuOptions, Sample, ShaderPatch, checks,
};
use bitgauge_shaders::{Codec, Kernel};
use conformance::{fixtures, open_model};
use pollster::block_on;

use crate::data::{Form, Random, Rescue, matrix};
use crate::kernels::{patch, poisoned, put};

/// Every case.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    let mut cases = vec![("blocks of rows are the matrix".to_owned(), joined())];
    for (model, faults) in [("qwen3_5_full", faults_of_hybrids()), ("llama", Vec::new())] {
        let sound = check(model, None);
        cases.push((format!("self-check, {model}"), sound.and_then(|found| expect(found, None))));
        for fault in faults {
            let label = fault.kernel.label();
            let found = check(model, Some(fault));
            let name = format!("self-check names {label}");
            cases.push((name, found.and_then(|found| expect(found, Some(&label)))));
        }
    }
    cases
}

fn expect(found: Option<String>, label: Option<&str>) -> Result<(), String> {
    let is_named = match (&found, label) {
        (None, None) => true,
        (Some(error), Some(label)) => error.contains(&format!("\"{label}\"")),
        _ => false,
    };
    if is_named { Ok(()) } else { Err(format!("expected {label:?}, found {found:?}")) }
}

/// A fault in each kind of kernel.
fn faults_of_hybrids() -> Vec<ShaderPatch> {
    let bits = Codec::Bits;
    vec![
        patch(Kernel::Attention, "let shrink = exp(before - largest);", "let shrink = vec4<f32>(1.0);"),
        patch(Kernel::Embed(bits), "vec4<u32>(1u, 2u, 4u, 8u)", "vec4<u32>(2u, 4u, 8u, 1u)"),
        patch(Kernel::Matmul(bits), "vec4<f32>(tokens.x), rows,", "vec4<f32>(tokens.x), rows * 1.001,"),
        patch(Kernel::HeadLoss, "sum += exp(", "sum += 1.001 * exp("),
        patch(Kernel::Rotary, "b * turn.x + a * turn.y", "b * turn.x - a * turn.y"),
        patch(Kernel::CausalConv, "p.taps - 1u - back", "back"),
    ]
}

/// Compares every kernel of a model; gives the first error.
fn check(model: &str, fault: Option<ShaderPatch>) -> Result<Option<String>, String> {
    let options = GpuOptions { patch: fault, ..GpuOptions::default() };
    let mut backend = GpuBackend::new(&AdapterChoice::Best, options).map_err(|e| e.to_string())?;
    let model = open_model(&mut backend, &fixtures().join("models").join(model))?;
    let packed = Form::Bits { bases: 2, scale_group: 128, rescue: Rescue::Some };
    let sample = |form: Form, seed| matrix(form, 68, form.columns(256), 0.05, seed);
    let samples = vec![
        (Sample::Embedding, sample(packed, 1)),
        (Sample::Layer, sample(packed, 2)),
        (Sample::Layer, sample(Form::Bf16, 3)),
        (Sample::Layer, sample(Form::Blocks(BlockType::Q6K), 4)),
        (Sample::Head, sample(packed, 5)),
    ];
    let checks = checks(&backend, &model, samples).map_err(|e| e.to_string())?;
    let run = |check: &Check| block_on(check.run(&mut backend)).err().map(|error| error.to_string());
    Ok(checks.iter().find_map(run))
}

/// A product with a matrix in one piece, and with its rows in blocks.
fn joined() -> Result<(), String> {
    let text = |error: bitgauge_eval::BackendError| error.to_string();
    let mut backend = GpuBackend::new(&AdapterChoice::Best, GpuOptions::default()).map_err(text)?;
    let (rows, cols, tokens) = (72, 64, 9);
    let whole = matrix(Form::F32, rows, cols, 0.1, 6);
    let values = whole.to_f32();
    let block = |rows: std::ops::Range<usize>| {
        let values = bitgauge_core::Values::F32(values[rows.start * cols..rows.end * cols].to_vec());
        Matrix::Dense(bitgauge_core::Dense { rows: rows.len(), cols, values })
    };
    let mut product = |w: &GpuMatrix, backend: &mut GpuBackend| {
        let x = put(backend, &Random(7).values(tokens * cols), cols).map_err(text)?;
        let mut out = poisoned(backend, tokens, rows).map_err(text)?;
        backend.matmul(&x, w, &mut out).map_err(text)?;
        block_on(backend.read(&out)).map_err(text)
    };
    let mut upload = |matrix: Matrix, backend: &mut GpuBackend| backend.upload_matrix(matrix).map_err(text);
    let in_one = upload(whole.clone(), &mut backend)?;
    let blocks = [0..8, 8..40, 40..72]
        .map(|rows| upload(block(rows), &mut backend))
        .into_iter()
        .collect::<Result<_, _>>()?;
    let by_blocks = GpuMatrix::joined(blocks).ok_or("blocks of one form make no matrix")?;
    let want = product(&in_one, &mut backend)?;
    if product(&by_blocks, &mut backend)? != want {
        return Err("a product with blocks differs".into());
    }
    let swapped = [8..40, 0..8, 40..72].map(|rows| upload(block(rows), &mut backend));
    let swapped = GpuMatrix::joined(swapped.into_iter().collect::<Result<_, _>>()?);
    if product(&swapped.ok_or("no matrix")?, &mut backend)? == want {
        return Err("blocks in another order give the same".into());
    }
    let other = upload(matrix(Form::F16, 4, cols, 0.1, 8), &mut backend)?;
    match GpuMatrix::joined(vec![in_one, other]) {
        Some(_) => Err("blocks of two forms make a matrix".into()),
        None => Ok(()),
    }
}
