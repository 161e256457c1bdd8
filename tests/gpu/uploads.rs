//! Weights that go through every staging buffer more than once.

use bitgauge_core::{Dense, Matrix, Values};
use bitgauge_eval::{AdapterChoice, Backend, BackendError, Batch, GpuBackend, GpuOptions};
use pollster::block_on;

/// 88 MB in f32, more than all staging buffers together, and rows that no staging buffer's end falls between.
const ROWS: usize = 5_500;
const COLS: usize = 4_004;

/// What value is where.
fn value(row: usize, col: usize) -> f32 {
    ((row * COLS + col) % 16_777_213) as f32
}

/// Every row of two large matrices, the second uploaded while the first may still be on the way, comes back as it
/// was; a row in the place of another would be noticed.
pub fn cases() -> Vec<(String, Result<(), String>)> {
    let rows: Vec<u32> = (0..ROWS as u32).collect();
    let mut swapped = rows.clone();
    swapped.swap(ROWS / 2, ROWS / 2 + 1);
    vec![
        (
            "uploads, every row".into(),
            check(&rows)
                .map_err(|e| e.to_string())
                .and_then(|same| if same { Ok(()) } else { Err("a row is not what was uploaded".into()) }),
        ),
        (
            "uploads, two rows exchanged".into(),
            check(&swapped)
                .map_err(|e| e.to_string())
                .and_then(|same| if same { Err("two exchanged rows went unnoticed".into()) } else { Ok(()) }),
        ),
    ]
}

/// Whether the rows of these ids are, in this order, the matrix's.
fn check(ids: &[u32]) -> Result<bool, BackendError> {
    let mut backend = GpuBackend::new(&AdapterChoice::Best, GpuOptions::default())?;
    let matrix = |first: usize| {
        let values = (0..ROWS * COLS).map(|i| value(first + i / COLS, i % COLS)).collect();
        Matrix::Dense(Dense { rows: ROWS, cols: COLS, values: Values::F32(values) })
    };
    let tables = [backend.upload_matrix(matrix(0))?, backend.upload_matrix(matrix(ROWS))?];
    let mut same = true;
    for (first, table) in [0, ROWS].into_iter().zip(&tables) {
        for (start, ids) in (first..).step_by(500).zip(ids.chunks(500)) {
            let batch = backend.upload_batch(&Batch::of([ids]))?;
            let mut out = backend.buffer(ids.len(), COLS)?;
            backend.embed(table, &batch, &mut out)?;
            let found = block_on(backend.read(&out))?;
            same &= found.iter().enumerate().all(|(i, found)| *found == value(start + i / COLS, i % COLS));
        }
    }
    backend.ready()?;
    Ok(same)
}
