//! Products through cooperative matrices: activations as f16 tiles, kept while they stay the same, and
//! the dispatch.

use std::ops;
use std::sync::Arc;

use bitgauge_shaders::kernels::matmul::Matmul;
use bitgauge_shaders::kernels::matmul_coop::{self, COLUMN_BLOCK};
use bitgauge_shaders::kernels::scatter::Scatter;
use bitgauge_shaders::kernels::to_f16::{self, ToF16};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{Kernel, Staging};

use super::handle::DeviceBuffer;
use super::linear::Columns;
use super::memory::{ROW_BLOCK, spans};
use super::products::Products;
use super::recorder::{BufferRange, Dispatch};
use super::weights::MatrixPart;
use super::{GpuBackend, GpuBuffer, GpuMatrix};
use crate::backend::Result;

/// Activations as to_f16.wgsl leaves them.
pub(super) struct Tiles {
    source: Arc<DeviceBuffer>,
    rows: usize,
    cols: usize,
    /// Rows of f16, two to an f32: sixteen of them take as many bytes as a row of tiles.
    values: GpuBuffer,
}

/// One dispatch of matmul_coop.wgsl.
struct Product<'a> {
    kernel: Kernel,
    x: BufferRange<'a>,
    tokens: usize,
    cols: usize,
    /// The weights, and which of their rows.
    group: &'a wgpu::BindGroup,
    rows: ops::Range<usize>,
    /// Where the products go: rows, and the quad of the first column.
    out: (&'a GpuBuffer, ops::Range<usize>, usize),
}

impl GpuBackend {
    /// Whether these tokens can go through cooperative matrices: spans must begin at a tile, and
    /// whole tiles must fit a binding.
    pub(super) fn cooperates(
        &self,
        (x, tokens): (&GpuBuffer, &ops::Range<usize>),
        (out, out_rows): (&GpuBuffer, &ops::Range<usize>),
    ) -> bool {
        let rows = tokens.len().next_multiple_of(ROW_BLOCK) as u64;
        self.device.products == Products::Cooperative
            && tokens.start.is_multiple_of(ROW_BLOCK)
            && out_rows.start.is_multiple_of(ROW_BLOCK)
            && rows * x.row_bytes().max(out.row_bytes()) <= self.limit
    }

    pub(super) fn record_cooperative(
        &mut self,
        (x, tokens): (&GpuBuffer, &ops::Range<usize>),
        (w, part): (&GpuMatrix, &MatrixPart),
        columns: &Columns,
        (out, out_rows): (&GpuBuffer, &ops::Range<usize>),
    ) -> Result<()> {
        let tiles = self.tiles(x)?;
        let rows = &columns.part_rows;
        let all = Product {
            kernel: Kernel::MatmulCoop(part.staging),
            x: tiles.values.block_range(tokens),
            tokens: tokens.len(),
            cols: w.cols,
            group: &part.group,
            rows: rows.clone(),
            out: (out, out_rows.clone(), columns.quad),
        };
        self.record_product(all)?;
        if let Some(rescue) = &part.rescue {
            let number = |row: usize| rescue.numbers.partition_point(|&number| (number as usize) < row);
            let own = number(rows.start)..number(rows.end);
            if !own.is_empty() {
                let products = self.pool.take(&self.device.handle, tokens.len(), own.len())?;
                let rescued = Product {
                    kernel: Kernel::MatmulCoop(Staging::Decoded(w.codec)),
                    x: tiles.values.block_range(tokens),
                    tokens: tokens.len(),
                    cols: w.cols,
                    group: &rescue.group,
                    rows: own.clone(),
                    out: (&products, 0..tokens.len(), 0),
                };
                self.record_product(rescued)?;
                let dispatch = Dispatch {
                    kernel: Kernel::Scatter,
                    params: Scatter {
                        columns: own.len() as u32,
                        first: own.start as u32,
                        first_place: rows.start as u32,
                        x_stride: products.stride() as u32,
                        out_start: columns.quad as u32 * 4,
                        out_stride: out.stride() as u32,
                    }
                    .bytes(),
                    ranges: &[products.range(&(0..tokens.len())), rescue.places.range(), out.range(out_rows)],
                    weights: None,
                    grid: [tokens.len(), 1, 1],
                    flops: 0,
                };
                self.recorder.record(&mut self.device, dispatch)?;
            }
        }
        self.tiles = Some(tiles);
        Ok(())
    }

    fn record_product(&mut self, product: Product<'_>) -> Result<()> {
        let (out, out_rows, out_quad) = product.out;
        let dispatch = Dispatch {
            kernel: product.kernel,
            params: Matmul {
                tokens: product.tokens as u32,
                columns: product.cols as u32,
                x_stride: tiles_across(product.cols) as u32,
                first_row: product.rows.start as u32,
                rows: product.rows.len() as u32,
                out_quad: out_quad as u32,
                out_stride: out.stride_quads() as u32,
            }
            .bytes(),
            ranges: &[product.x, out.block_range(&out_rows)],
            weights: Some(product.group),
            grid: matmul_coop::grid(product.tokens, product.rows.len()),
            flops: 2 * (product.tokens * product.rows.len()) as u64 * product.cols as u64,
        };
        self.recorder.record(&mut self.device, dispatch)
    }

    /// The activations as to_f16.wgsl leaves them, as bits of f16; for tests.
    ///
    /// # Errors
    /// A device failure.
    pub async fn read_f16_tiles(&mut self, x: &GpuBuffer) -> Result<Vec<u16>> {
        let tiles = self.tiles(x)?;
        self.recorder.flush(&mut self.device)?;
        let bytes = tiles.values.block_range(&(0..x.rows)).bytes;
        let bytes = self.device.download(&tiles.values.stored, bytes).await?;
        Ok(bytes.as_chunks::<2>().0.iter().map(|half| u16::from_ne_bytes(*half)).collect())
    }

    /// The activations as tiles: those of the last call, or converted now.
    fn tiles(&mut self, x: &GpuBuffer) -> Result<Tiles> {
        if let Some(tiles) = self.tiles.take()
            && Arc::ptr_eq(&tiles.source, &x.stored)
            && (tiles.rows, tiles.cols) == (x.rows, x.cols)
            && self.recorder.is_unchanged(&x.stored)
        {
            return Ok(tiles);
        }
        let values = self.convert(x)?;
        self.recorder.watch(&x.stored);
        Ok(Tiles { source: Arc::clone(&x.stored), rows: x.rows, cols: x.cols, values })
    }

    /// Activations as tiles, with columns 16 apart side by side.
    fn convert(&mut self, x: &GpuBuffer) -> Result<GpuBuffer> {
        let across = tiles_across(x.cols);
        let values = self.pool.take(&self.device.handle, x.rows, across * 16 / 2)?;
        let row_bytes = x.row_bytes().max(values.row_bytes());
        for span in spans(x.rows, row_bytes, self.limit, usize::MAX)? {
            let dispatch = Dispatch {
                kernel: Kernel::ToF16,
                params: ToF16 {
                    tokens: span.len() as u32,
                    columns: x.cols as u32,
                    x_stride: x.stride() as u32 / 2,
                    tiles_across: across as u32,
                }
                .bytes(),
                ranges: &[x.range(&span), values.block_range(&span)],
                weights: None,
                grid: to_f16::grid(span.len(), across),
                flops: (span.len() * x.cols) as u64,
            };
            self.recorder.record(&mut self.device, dispatch)?;
        }
        Ok(values)
    }
}

/// Tiles of 16 columns, so many that they make whole blocks.
fn tiles_across(cols: usize) -> usize {
    cols.next_multiple_of(COLUMN_BLOCK as usize) / to_f16::TILE as usize
}
