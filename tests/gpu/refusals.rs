//! What the backend must refuse with an error rather than a panic or a wrong result, and what it
//! must say about itself.

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_eval::{
    AdapterChoice, Attention, Backend, BackendError, Batch, GpuBackend, GpuOptions, ShaderPatch,
};
use bitgauge_shaders::Kernel;
use pollster::block_on;

use crate::data::with_targets;

type Case = (&'static str, fn(&mut GpuBackend) -> Result<(), String>);

const CASES: [Case; 8] = [
    ("an id past the table", |b| {
        let (table, batch) =
            (text(b.upload_matrix(dense(3, 8)))?, text(b.upload_batch(&Batch::of([&[0, 3][..]])))?);
        let mut out = text(b.buffer(2, 8))?;
        refused(b.embed(&table, &batch, &mut out), "id 3")
    }),
    ("a product of unequal widths", |b| {
        let (x, w) = (text(b.buffer(2, 12))?, text(b.upload_matrix(dense(3, 8)))?);
        let mut out = text(b.buffer(2, 3))?;
        refused(b.matmul(&x, &w, &mut out), "expected: [2, 8]\n  found:    [2, 12]")
    }),
    ("a batch of other rows", |b| {
        let q = text(b.buffer(2, 8))?;
        let batch = text(b.upload_batch(&Batch::of([&[0, 1, 2][..]])))?;
        let mut out = text(b.buffer(2, 8))?;
        let shape = Attention { heads: 1, kv_heads: 1, head_dim: 8 };
        refused(b.attention(&q, &q, &q, &batch, shape, &mut out), "expected: [3, 8]\n  found:    [2, 8]")
    }),
    ("heads of 257 channels", |b| {
        let q = text(b.buffer(1, 257))?;
        let batch = text(b.upload_batch(&Batch::of([&[0][..]])))?;
        let mut out = text(b.buffer(1, 257))?;
        let shape = Attention { heads: 1, kv_heads: 1, head_dim: 257 };
        refused(b.attention(&q, &q, &q, &batch, shape, &mut out), "at most 256")
    }),
    ("a target past the head", |b| {
        let (x, head) = (text(b.buffer(1, 8))?, text(b.upload_matrix(dense(3, 8)))?);
        let batch = text(b.upload_batch(&with_targets(&[3])))?;
        refused(
            block_on(b.head_loss(&x, &head, &batch)).map(drop),
            "expected: an id below 3\n  found:    id 3",
        )
    }),
    ("a buffer over the device's limit", |b| {
        refused(b.buffer(1 << 40, 1 << 10).map(drop), "over the device's limit")
    }),
    ("a buffer whose size overflows", |b| refused(b.buffer(usize::MAX, 64).map(drop), "too large")),
    ("nothing when asked what it holds", |b| {
        let before = b.allocated_bytes();
        let matrix = text(b.upload_matrix(dense(64, 64)))?;
        // What uploading needed is given back then.
        text(b.ready())?;
        let with = b.allocated_bytes();
        drop(matrix);
        let after = b.allocated_bytes();
        let counted = with >= before + 64 * 64 * 4 && after == before;
        counted.then_some(()).ok_or(format!("{before} bytes before, {with} with a matrix, {after} after"))
    }),
];

/// One case per refusal.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    let mut results: Vec<_> = CASES
        .into_iter()
        .map(|(name, case)| {
            let backend = GpuBackend::new(&AdapterChoice::Best, GpuOptions::default());
            (format!("backend refuses {name}"), text(backend).and_then(|mut backend| case(&mut backend)))
        })
        .collect();
    results.push(("backend refuses an unknown adapter".into(), unknown_adapters()));
    results.push(("backend refuses a limit of nothing".into(), open_with(16, None, "1024 or more")));
    results.push(("backend refuses a patch that matches nothing".into(), unmatched_patch()));
    results
}

fn unknown_adapters() -> Result<(), String> {
    let open = |choice| GpuBackend::new(&choice, GpuOptions::default()).map(drop);
    refused(open(AdapterChoice::Index(999)), "no GPU adapter 999")?;
    refused(open(AdapterChoice::Name("no such thing".into())), "`no such thing`")
}

fn unmatched_patch() -> Result<(), String> {
    let patch = ShaderPatch { kernel: Kernel::Add, from: "no such text", to: "" };
    open_with(1 << 20, Some(patch), "occurs 0 times")
}

/// Opens a backend with these options and adds two buffers; one of both must be refused.
fn open_with(limit: u64, patch: Option<ShaderPatch>, reason: &str) -> Result<(), String> {
    let options = GpuOptions { max_binding_bytes: Some(limit), patch, ..GpuOptions::default() };
    let result = GpuBackend::new(&AdapterChoice::Best, options).and_then(|mut backend| {
        let (mut residual, x) = (backend.buffer(1, 4)?, backend.buffer(1, 4)?);
        backend.add(&mut residual, &x)
    });
    refused(result, reason)
}

fn dense(rows: usize, cols: usize) -> Matrix {
    Matrix::Dense(Dense { rows, cols, values: Values::F32(vec![1.0; rows * cols]) })
}

fn text<T>(result: Result<T, BackendError>) -> Result<T, String> {
    result.map_err(|e| e.to_string())
}

fn refused(result: Result<(), BackendError>, reason: &str) -> Result<(), String> {
    match result {
        Err(e) if e.to_string().contains(reason) => Ok(()),
        other => Err(format!("expected a refusal with `{reason}`, found {other:?}")),
    }
}
