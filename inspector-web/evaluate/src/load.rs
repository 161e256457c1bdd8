//! From the files to a model on the device: weight by weight, a large one by blocks of rows, so that WebAssembly's memory stays
//! small.

use bitgauge_core::inventory::Weight;
use bitgauge_core::model::Role;
use bitgauge_core::plan::{Plan, turned_heads};
use bitgauge_core::{Error, Matrix, Result};
use bitgauge_eval::weights::{LoadError, ModelBuilder};
use bitgauge_eval::{Backend, GpuBackend, GpuMatrix, Model, Sample};
use inspector_web::protocol::measuring::Measuring;

use crate::events::send;
use crate::samples::Samples;
use crate::source::Source;
use crate::stored::{self, row_bytes};

/// Bytes of a block of rows, as stored; and of weights that are on their way to the device before it is waited for.
const BLOCK_BYTES: u64 = 4 << 20;
/// Rows of a block are a multiple of this: a quad of a product's outputs lies in one block.
const BLOCK_ROWS: u64 = 4;

/// A model on the device, and some rows of its matrices.
pub struct Loaded {
    /// The model.
    pub model: Model<GpuBackend>,
    /// Of each way in which its matrices are stored.
    pub samples: Vec<(Sample, Matrix)>,
}

/// What loading goes through.
struct Loading<'a> {
    plan: &'a Plan,
    files: &'a [Source],
    backend: &'a mut GpuBackend,
    done: u64,
    /// Bytes on their way to the device.
    on_the_way: u64,
}

/// Brings a model's weights to the device; `files` are those of the plan.
///
/// # Errors
/// Files that can't be read or have changed, weights that are not what their format allows, a device without enough memory.
pub async fn load(plan: &Plan, files: &[Source], backend: &mut GpuBackend) -> Result<Loaded> {
    let mut builder = ModelBuilder::<GpuBackend>::new(&plan.decoder, plan.convention);
    let mut samples = Samples::new(plan);
    let mut loading = Loading { plan, files, backend, done: 0, on_the_way: 0 };
    loading.tell(0);
    for weight in &plan.weights {
        let Some(expected) = &weight.expected else { continue };
        samples.add(weight, loading.files, loading.backend.weight_forms()).await?;
        match loading.blocks(weight, expected.role) {
            Some(rows) => match loading.by_blocks(weight, rows).await? {
                Some(matrix) => builder.put_uploaded(expected.role, matrix),
                // Blocks that come in several forms.
                None => loading.whole(&mut builder, weight).await?,
            },
            None => loading.whole(&mut builder, weight).await?,
        }
    }
    let Loading { backend, .. } = loading;
    backend.ready()?;
    Ok(Loaded { model: builder.finish(backend).map_err(reason)?, samples: samples.found })
}

impl Loading<'_> {
    /// Rows of a block; nothing for what is taken as a whole.
    fn blocks(&self, weight: &Weight, role: Role) -> Option<u64> {
        let expected = weight.expected.as_ref()?;
        let [rows, _] = expected.matrix()?;
        let row_bytes = row_bytes(self.plan, weight)?;
        // Heads whose rows llama.cpp turned stay whole.
        let multiple = turned_heads(&self.plan.decoder, self.plan.convention, role)
            .map_or(BLOCK_ROWS, |head_dim| head_dim as u64 * BLOCK_ROWS);
        let step = (BLOCK_BYTES / row_bytes.max(1) / multiple).max(1) * multiple;
        (step < rows).then_some(step)
    }

    async fn whole(&mut self, builder: &mut ModelBuilder<'_, GpuBackend>, weight: &Weight) -> Result<()> {
        let Some(expected) = &weight.expected else { return Ok(()) };
        let rows = stored::whole(self.plan, weight, self.files).await?;
        let bytes = rows.bytes();
        let matrix = rows.decode(self.plan, self.backend.weight_forms())?;
        drop(rows);
        builder.put(self.backend, expected, matrix).map_err(reason)?;
        self.passed(bytes).await
    }

    /// The matrix, unless its blocks come in several forms.
    async fn by_blocks(&mut self, weight: &Weight, step: u64) -> Result<Option<GpuMatrix>> {
        let Some([rows, _]) = weight.expected.as_ref().and_then(|expected| expected.matrix()) else {
            return Ok(None);
        };
        let rescue_rows = stored::rescue_rows(self.plan, weight, self.files).await?;
        let (mut blocks, mut passed) = (Vec::new(), 0);
        let mut start = 0;
        while start < rows {
            let end = rows.min(start + step);
            let some = stored::rows(self.plan, weight, start..end, &rescue_rows, self.files).await?;
            let bytes = some.bytes();
            let Ok(matrix) = some.decode(self.plan, self.backend.weight_forms()) else {
                // Read as a whole it names the fault by its place.
                self.done -= passed;
                return Ok(None);
            };
            drop(some);
            blocks.push(self.backend.upload_matrix(matrix)?);
            passed += bytes;
            self.passed(bytes).await?;
            start = end;
        }
        let joined = GpuMatrix::joined(blocks);
        if joined.is_none() {
            self.done -= passed;
        }
        Ok(joined)
    }

    /// So many stored bytes are on their way.
    async fn passed(&mut self, bytes: u64) -> Result<()> {
        self.on_the_way += bytes;
        if self.on_the_way >= BLOCK_BYTES {
            self.backend.breathe().await?;
            self.on_the_way = 0;
        }
        self.tell(bytes);
        Ok(())
    }

    fn tell(&mut self, bytes: u64) {
        self.done += bytes;
        send(&Measuring::Loading { done: self.done, total: self.plan.stored_bytes() });
    }
}

fn reason(error: LoadError) -> Error {
    match error {
        LoadError::Artifact(error) | LoadError::NotFinite(error) => error,
        LoadError::Backend(error) => error.into(),
    }
}
