//! Products through cooperative matrices: activations as f16 tiles, kept while they stay the same, and
//! the dispatch.

use std::ops;
use std::sync::Arc;

use bitgauge_shaders::kernels::matmul::Matmul;
use bitgauge_shaders::kernels::matmul_coop::{self, COLUMN_BLOCK};
use bitgauge_shaders::kernels::scatter::Scatter;
use bitgauge_shaders::kernels::to_f16::{self, ToF16};
use bitgauge_shaders::kernels::weight_tiles::{self, WeightTiles};
use bitgauge_shaders::params::Params;
use bitgauge_shaders::{Codec, Kernel, Staging};

use super::handle::DeviceBuffer;
use super::linear::Columns;
use super::memory::{ROW_BLOCK, over_limit, spans};
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

/// A product with some weights.
struct Product<'a> {
    x: BufferRange<'a>,
    tokens: usize,
    cols: usize,
    weights: Stored<'a>,
    /// Which of their rows.
    rows: ops::Range<usize>,
    /// Where the products go: rows, and the quad of the first column.
    out: (&'a GpuBuffer, ops::Range<usize>, usize),
}

/// Weights, and how they are brought to cooperative matrices.
#[derive(Clone, Copy)]
struct Stored<'a> {
    codec: Codec,
    staging: Staging,
    group: &'a wgpu::BindGroup,
}

/// Most bytes of weights that are f16 at once.
const TILE_BYTES: u64 = 128 << 20;
/// Rows of weights that a workgroup takes.
const PRODUCT_ROWS: usize = 64;

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
            x: tiles.values.block_range(tokens),
            tokens: tokens.len(),
            cols: w.cols,
            weights: Stored { codec: w.codec, staging: part.staging, group: &part.group },
            rows: rows.clone(),
            out: (out, out_rows.clone(), columns.quad),
        };
        self.record_product(&all)?;
        if let Some(rescue) = &part.rescue {
            let number = |row: usize| rescue.numbers.partition_point(|&number| (number as usize) < row);
            let own = number(rows.start)..number(rows.end);
            if !own.is_empty() {
                let products = self.pool.take(&self.device.handle, tokens.len(), own.len())?;
                let rescued = Product {
                    x: tiles.values.block_range(tokens),
                    tokens: tokens.len(),
                    cols: w.cols,
                    weights: Stored { codec: w.codec, staging: Staging::Tiles, group: &rescue.group },
                    rows: own.clone(),
                    out: (&products, 0..tokens.len(), 0),
                };
                self.record_product(&rescued)?;
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

    fn record_product(&mut self, product: &Product<'_>) -> Result<()> {
        let (rows, out_quad) = (&product.rows, product.out.2);
        let Stored { codec, staging: Staging::Tiles, group } = product.weights else {
            return self.record_rows(product, rows.clone(), out_quad, None);
        };
        let step = self.tile_rows(product.cols)?;
        for start in rows.clone().step_by(step) {
            let some = start..rows.end.min(start + step);
            let tiles = self.weight_tiles(codec, group, some.clone(), product.cols)?;
            let quad = out_quad + (start - rows.start) / 4;
            self.record_rows(product, 0..some.len(), quad, Some(&tiles))?;
        }
        Ok(())
    }

    /// Products with some rows: of the tiles, where there are any.
    fn record_rows(
        &mut self,
        product: &Product<'_>,
        rows: ops::Range<usize>,
        out_quad: usize,
        tiles: Option<&GpuBuffer>,
    ) -> Result<()> {
        let (out, out_rows, _) = &product.out;
        let inputs = [product.x, out.block_range(out_rows)];
        let tile_range = tiles.map(|tiles| tiles.block_range(&(0..tiles.rows)));
        let ranges: Vec<_> = inputs.into_iter().chain(tile_range).collect();
        let dispatch = Dispatch {
            kernel: Kernel::MatmulCoop(product.weights.staging),
            params: Matmul {
                tokens: product.tokens as u32,
                columns: product.cols as u32,
                x_stride: tiles_across(product.cols) as u32,
                first_row: rows.start as u32,
                rows: rows.len() as u32,
                out_quad: out_quad as u32,
                out_stride: out.stride_quads() as u32,
            }
            .bytes(),
            ranges: &ranges,
            weights: tiles.is_none().then_some(product.weights.group),
            grid: matmul_coop::grid(product.tokens, rows.len()),
            flops: 2 * (product.tokens * rows.len()) as u64 * product.cols as u64,
        };
        self.recorder.record(&mut self.device, dispatch)
    }

    /// Rows of weights that are f16 at once: whole tiles, of whole workgroups where they fit.
    fn tile_rows(&self, cols: usize) -> Result<usize> {
        let row_bytes = tiles_across(cols) as u64 * 16 * 2;
        let most = (self.limit.min(TILE_BYTES) / row_bytes) as usize;
        let multiple = if most < PRODUCT_ROWS { weight_tiles::TILE as usize } else { PRODUCT_ROWS };
        match most / multiple * multiple {
            0 => Err(over_limit("16 rows of weights as f16", 16 * row_bytes, self.limit)),
            rows => Ok(rows),
        }
    }

    /// Some rows of weights as weight_tiles.wgsl leaves them: rows of f16, two to an f32.
    fn weight_tiles(
        &mut self,
        codec: Codec,
        group: &wgpu::BindGroup,
        rows: ops::Range<usize>,
        cols: usize,
    ) -> Result<GpuBuffer> {
        let across = tiles_across(cols) * 16;
        let tiles = self.pool.take(&self.device.handle, rows.len(), across / 2)?;
        let dispatch = Dispatch {
            kernel: Kernel::WeightTiles(codec),
            params: WeightTiles {
                first_row: rows.start as u32,
                rows: rows.len() as u32,
                columns: cols as u32,
                blocks_across: (across / COLUMN_BLOCK as usize) as u32,
            }
            .bytes(),
            ranges: &[tiles.block_range(&(0..rows.len()))],
            weights: Some(group),
            grid: weight_tiles::grid(rows.len(), cols),
            flops: (rows.len() * cols) as u64,
        };
        self.recorder.record(&mut self.device, dispatch)?;
        Ok(tiles)
    }

    /// Weights as weight_tiles.wgsl leaves them, so many rows at a time, as bits of f16; for tests.
    ///
    /// # Errors
    /// A device failure.
    pub async fn read_weight_tiles(&mut self, w: &GpuMatrix, at_once: usize) -> Result<Vec<u16>> {
        let mut all = Vec::new();
        for part in &w.parts {
            for start in (0..part.rows).step_by(at_once) {
                let rows = start..part.rows.min(start + at_once);
                let tiles = self.weight_tiles(w.codec, &part.group, rows, w.cols)?;
                all.extend(self.read_halves(&tiles).await?);
            }
        }
        Ok(all)
    }

    /// The activations as to_f16.wgsl leaves them, as bits of f16; for tests.
    ///
    /// # Errors
    /// A device failure.
    pub async fn read_f16_tiles(&mut self, x: &GpuBuffer) -> Result<Vec<u16>> {
        let tiles = self.tiles(x)?;
        self.read_halves(&tiles.values).await
    }

    async fn read_halves(&mut self, tiles: &GpuBuffer) -> Result<Vec<u16>> {
        self.recorder.flush(&mut self.device)?;
        let bytes = tiles.block_range(&(0..tiles.rows)).bytes;
        let bytes = self.device.download(&tiles.stored, bytes).await?;
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
