//! Weight matrices on the device, cut by rows into parts that fit a binding.

use std::borrow::Cow;
use std::ops;

use bitgauge_core::format::{Layout, Part};
use bitgauge_core::{Bitpacked, BlockType, Blocks, Dense, Matrix, RowSlot, Values};
use bitgauge_shaders::kernels::matmul_coop::COLUMN_BLOCK;
use bitgauge_shaders::params::{BitsWeight, BlocksWeight, DenseWeight, Params};
use bitgauge_shaders::{Codec, Kernel, Staging};
use bytemuck::cast_slice;
use half::slice::HalfFloatSliceExt;

use super::device::Device;
use super::handle::DeviceBuffer;
use super::memory::over_limit;
use super::products::Products;
use super::recorder::{MAX_WORKGROUPS, Recorder, bind};
use crate::backend::{Result, wrong_shape};

/// Parts begin at a multiple of this many rows, so that a quad of outputs lies within one part; or, with
/// cooperative matrices, a whole matrix of them.
const PART_ROWS: usize = 4;
const COOPERATIVE_PART_ROWS: usize = 16;
/// Rows of signs are padded to whole quads of words, which matmul_coop.wgsl reads.
const SIGN_WORDS: u64 = COLUMN_BLOCK as u64 / 32;
/// A single scale per row may stand for any number of columns: one that matmul_coop.wgsl likes.
const SCALE_COLUMNS: u64 = COLUMN_BLOCK as u64;
/// Rows that are converted at once on the way to the device.
const CONVERTED_BYTES: usize = 8 << 20;

/// A weight matrix `[rows, cols]` on the device.
#[derive(Debug)]
pub struct GpuMatrix {
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) codec: Codec,
    pub(super) parts: Vec<MatrixPart>,
}

/// Some consecutive rows of a matrix.
#[derive(Debug)]
pub(super) struct MatrixPart {
    pub first_row: usize,
    pub rows: usize,
    /// Group 1 of the kernels that decode weights; it keeps the buffers alive.
    pub group: wgpu::BindGroup,
    /// How cooperative matrices take them.
    pub staging: Staging,
    /// The rescue rows, where `staging` leaves them out.
    pub rescue: Option<RescueRows>,
    _buffers: Vec<DeviceBuffer>,
}

/// The rescue rows of a part, as a matrix of their own.
#[derive(Debug)]
pub(super) struct RescueRows {
    /// Their numbers within the part, increasing.
    pub numbers: Vec<u32>,
    /// The same on the device.
    pub places: DeviceBuffer,
    /// Group 1, with these rows alone.
    pub group: wgpu::BindGroup,
    _slots: DeviceBuffer,
}

/// Takes a matrix to the device. No binding of a part is over `limit` bytes.
pub(super) fn upload(
    device: &mut Device,
    recorder: &mut Recorder,
    matrix: &Matrix,
    limit: u64,
) -> Result<GpuMatrix> {
    let (rows, cols) = (matrix.rows(), matrix.cols());
    let (codec, row_bytes) = codec_and_row(matrix)?;
    let slots = match matrix {
        Matrix::Bitpacked(packed) => packed.slots(),
        Matrix::Dense(_) | Matrix::Blocks(_) => Vec::new(),
    };
    recorder.prepare(device, kernels(device.products, staging(matrix), codec, matrix))?;
    let mut parts = Vec::new();
    let multiple = match device.products {
        Products::Cooperative => COOPERATIVE_PART_ROWS,
        Products::F32 | Products::F16 => PART_ROWS,
    };
    for rows in part_rows(rows, multiple, row_bytes, limit)? {
        let buffers = match matrix {
            Matrix::Bitpacked(packed) => bits_part(device, packed, &slots[rows.clone()])?,
            Matrix::Dense(dense) => dense_part(device, dense, rows.clone(), row_bytes)?,
            Matrix::Blocks(blocks) => blocks_part(device, blocks, rows.clone(), row_bytes)?,
        };
        let layout = recorder.weight_layout(&device.handle, codec);
        let group =
            bind(&device.handle, layout, &buffers.iter().map(DeviceBuffer::range).collect::<Vec<_>>());
        let staging = staging(matrix);
        let rescue = match staging {
            Staging::Signs(_) => rescue_rows(device, layout, &slots[rows.clone()], &buffers)?,
            Staging::Tiles => None,
        };
        parts.push(MatrixPart {
            first_row: rows.start,
            rows: rows.len(),
            group,
            staging,
            rescue,
            _buffers: buffers,
        });
    }
    device.handle.check()?;
    Ok(GpuMatrix { rows, cols, codec, parts })
}

/// How kernels decode a matrix.
pub(super) fn codec(matrix: &Matrix) -> Result<Codec> {
    codec_and_row(matrix).map(|(codec, _)| codec)
}

/// The codec, and the bytes of a row in the buffer that takes most.
fn codec_and_row(matrix: &Matrix) -> Result<(Codec, u64)> {
    match matrix {
        Matrix::Bitpacked(packed) => Ok((Codec::Bits, longest_row(packed)?)),
        Matrix::Dense(dense) => Ok(dense_codec(dense)),
        Matrix::Blocks(blocks) => blocks_codec(blocks),
    }
}

impl GpuMatrix {
    /// One matrix of matrices that have some of its rows each, in order; nothing of none, or of matrices that differ in their
    /// columns or in how they are stored.
    pub fn joined(blocks: Vec<Self>) -> Option<Self> {
        let mut blocks = blocks.into_iter();
        let mut whole = blocks.next()?;
        for block in blocks {
            if (block.cols, block.codec) != (whole.cols, whole.codec) {
                return None;
            }
            let parts = block.parts.into_iter();
            whole
                .parts
                .extend(parts.map(|part| MatrixPart { first_row: whole.rows + part.first_row, ..part }));
            whole.rows += block.rows;
        }
        Some(whole)
    }
}

/// The kernels that will multiply by a matrix.
fn kernels(products: Products, staging: Staging, codec: Codec, matrix: &Matrix) -> Vec<Kernel> {
    let mut kernels = vec![Kernel::Embed(codec)];
    match products {
        Products::F32 => kernels.push(Kernel::Matmul(codec)),
        Products::F16 => kernels.push(Kernel::MatmulF16(codec)),
        Products::Cooperative => kernels.extend([Kernel::MatmulCoop(staging), Kernel::ToF16]),
    }
    if products != Products::Cooperative {
        return kernels;
    }
    let has_rescue_rows = matches!(matrix, Matrix::Bitpacked(packed) if !packed.rescue_rows.is_empty());
    if has_rescue_rows {
        kernels.extend([Kernel::MatmulCoop(Staging::Tiles), Kernel::Scatter]);
    }
    if has_rescue_rows || staging == Staging::Tiles {
        kernels.push(Kernel::WeightTiles(codec));
    }
    kernels
}

/// How cooperative matrices take a matrix.
fn staging(matrix: &Matrix) -> Staging {
    match matrix {
        Matrix::Bitpacked(packed)
            if (1..=4).contains(&packed.bases())
                && (packed.layout.scale_groups() == 1
                    || packed.layout.scale_group().is_multiple_of(SCALE_COLUMNS)) =>
        {
            Staging::Signs(packed.bases() as u8)
        }
        Matrix::Bitpacked(_) | Matrix::Dense(_) | Matrix::Blocks(_) => Staging::Tiles,
    }
}

/// The rescue rows among these slots; `buffers` are the part's.
fn rescue_rows(
    device: &mut Device,
    layout: &wgpu::BindGroupLayout,
    slots: &[RowSlot],
    buffers: &[DeviceBuffer],
) -> Result<Option<RescueRows>> {
    let is_rescue = |slot: &RowSlot| matches!(slot, RowSlot::Rescue(_));
    let numbers: Vec<u32> =
        (0..).zip(slots).filter(|(_, slot)| is_rescue(slot)).map(|(row, _)| row).collect();
    if numbers.is_empty() {
        return Ok(None);
    }
    let own: Vec<u32> = (0..numbers.len() as u32).map(|row| Codec::RESCUE | row).collect();
    let places = device.upload(cast_slice(&numbers), wgpu::BufferUsages::STORAGE)?;
    let slots = device.upload(cast_slice(&own), wgpu::BufferUsages::STORAGE)?;
    let ranges =
        buffers.iter().enumerate().map(|(i, buffer)| if i == 1 { slots.range() } else { buffer.range() });
    let group = bind(&device.handle, layout, &ranges.collect::<Vec<_>>());
    Ok(Some(RescueRows { numbers, places, group, _slots: slots }))
}

fn part_rows(
    rows: usize,
    multiple: usize,
    row_bytes: u64,
    limit: u64,
) -> Result<impl Iterator<Item = ops::Range<usize>>> {
    let most = usize::try_from(limit / row_bytes.max(1)).unwrap_or(usize::MAX).min(MAX_WORKGROUPS * 64);
    let step = most / multiple * multiple;
    if step == 0 {
        return Err(over_limit(&format!("{multiple} rows of weights"), multiple as u64 * row_bytes, limit));
    }
    Ok((0..rows).step_by(step).map(move |start| start..rows.min(start + step)))
}

fn dense_codec(dense: &Dense) -> (Codec, u64) {
    let quads = dense.cols.div_ceil(4) as u64;
    match dense.values {
        Values::F32(_) => (Codec::F32, 16 * quads),
        Values::F16(_) => (Codec::F16, 8 * quads),
        Values::BF16(_) => (Codec::Bf16, 8 * quads),
    }
}

/// The codec, and the bytes of a row whose blocks are padded to whole words.
fn blocks_codec(blocks: &Blocks) -> Result<(Codec, u64)> {
    let codec = match blocks.block {
        BlockType::Q4K => Codec::Q4K,
        BlockType::Q5K => Codec::Q5K,
        BlockType::Q6K => Codec::Q6K,
        other => return Err(wrong_shape("weights: their type", "Q4_K, Q5_K or Q6_K", other.name())),
    };
    let block_bytes = blocks.block.bytes().next_multiple_of(4);
    Ok((codec, blocks.cols as u64 / blocks.block.values() * block_bytes))
}

/// The uniform block and the blocks of some rows.
fn blocks_part(
    device: &mut Device,
    blocks: &Blocks,
    rows: ops::Range<usize>,
    row_bytes: u64,
) -> Result<Vec<DeviceBuffer>> {
    let params = BlocksWeight { row_words: (row_bytes / 4) as u32 };
    let uniform = device.upload(&params.bytes(), wgpu::BufferUsages::UNIFORM)?;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let values = device.handle.create(rows.len() as u64 * row_bytes, usage)?;
    let stored_row = blocks.bytes.len() / blocks.rows.max(1);
    let stored = &blocks.bytes[rows.start * stored_row..rows.end * stored_row];
    let (bytes, padded) = (blocks.block.bytes() as usize, blocks.block.bytes().next_multiple_of(4) as usize);
    if bytes == padded {
        device.write(&values, 0, stored)?;
        return Ok(vec![uniform, values]);
    }
    let step = CONVERTED_BYTES / padded;
    for (number, piece) in stored.chunks(step * bytes).enumerate() {
        let mut words = vec![0; piece.len() / bytes * padded];
        for (word, block) in words.chunks_exact_mut(padded).zip(piece.chunks_exact(bytes)) {
            word[..bytes].copy_from_slice(block);
        }
        device.write(&values, (number * step * padded) as u64, &words)?;
    }
    Ok(vec![uniform, values])
}

/// The uniform block and the values of some rows, each row padded to whole quads.
fn dense_part(
    device: &mut Device,
    dense: &Dense,
    rows: ops::Range<usize>,
    row_bytes: u64,
) -> Result<Vec<DeviceBuffer>> {
    let params = DenseWeight { row_quads: dense.cols.div_ceil(4) as u32 };
    let uniform = device.upload(&params.bytes(), wgpu::BufferUsages::UNIFORM)?;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let values = device.handle.create(rows.len() as u64 * row_bytes, usage)?;
    let step = (CONVERTED_BYTES / row_bytes.max(1) as usize).max(1);
    for start in rows.clone().step_by(step) {
        let mut bytes = Vec::with_capacity(step * row_bytes as usize);
        for row in start..rows.end.min(start + step) {
            let row = row * dense.cols..(row + 1) * dense.cols;
            match &dense.values {
                Values::F32(v) => bytes.extend_from_slice(cast_slice(&v[row])),
                Values::F16(v) => bytes.extend_from_slice(cast_slice(v[row].reinterpret_cast())),
                Values::BF16(v) => bytes.extend_from_slice(cast_slice(v[row].reinterpret_cast())),
            }
            bytes.resize(bytes.len().next_multiple_of(row_bytes as usize), 0);
        }
        device.write(&values, (start - rows.start) as u64 * row_bytes, &bytes)?;
    }
    Ok(vec![uniform, values])
}

/// Bytes that one row takes in whichever of the five buffers it takes most.
fn longest_row(packed: &Bitpacked) -> Result<u64> {
    let layout = &packed.layout;
    if !layout.scale_group().is_multiple_of(4) {
        let columns = layout.scale_group();
        return Err(wrong_shape("weights: columns of a scale group", "a multiple of 4", columns));
    }
    let sign = layout.bases() * sign_words(layout) * 4;
    let scale = layout.bases() * layout.row_bytes(Part::Scale);
    let code = layout.row_bytes(Part::RescueCode).next_multiple_of(4);
    // Scales are bound as whole words, which may add half a word to a buffer: 4 covers that too.
    Ok(sign.max(scale + 4).max(if layout.rescued() == 0 { 4 } else { code }))
}

/// Words of one row of a sign plane, padded to what is read at a time.
fn sign_words(layout: &Layout) -> u64 {
    (layout.row_bytes(Part::Sign) / 4).next_multiple_of(SIGN_WORDS)
}

/// The uniform block and the five buffers of codecs/bits.wgsl for some consecutive rows.
fn bits_part(device: &mut Device, packed: &Bitpacked, slots: &[RowSlot]) -> Result<Vec<DeviceBuffer>> {
    let numbers = |binary: bool| {
        let mut indices = slots.iter().filter_map(move |slot| match slot {
            RowSlot::Binary(m) if binary => Some(*m as usize),
            RowSlot::Rescue(r) if !binary => Some(*r as usize),
            _ => None,
        });
        let first = indices.next();
        first.map_or(0..0, |first| first..first + 1 + indices.count())
    };
    let (binary, rescue) = (numbers(true), numbers(false));
    let local: Vec<u32> = slots
        .iter()
        .map(|slot| match slot {
            RowSlot::Binary(m) => m - binary.start as u32,
            RowSlot::Rescue(r) => Codec::RESCUE | (r - rescue.start as u32),
        })
        .collect();

    let layout = &packed.layout;
    let plane = |basis: usize| packed.scales(basis, binary.clone()).reinterpret_cast();
    let scale: Cow<'_, [u16]> = match packed.bases() {
        1 => plane(0).into(),
        bases => (0..bases).flat_map(plane).copied().collect(),
    };
    let code_bytes = layout.row_bytes(Part::RescueCode) as usize;
    let mut code = Vec::new();
    for row in packed.codes(rescue.clone()).chunks(code_bytes) {
        code.extend_from_slice(row);
        code.resize(code.len().next_multiple_of(4), 0);
    }
    let rescue_scale: &[u16] = packed.rescue_scales(rescue).reinterpret_cast();

    let group_columns = match layout.scale_groups() {
        1 => layout.cols().next_multiple_of(SCALE_COLUMNS),
        _ => layout.scale_columns(),
    };
    let params = BitsWeight {
        bases: layout.bases() as u32,
        binary_rows: binary.len() as u32,
        sign_words: sign_words(layout) as u32,
        scale_groups: layout.scale_groups() as u32,
        group_columns: group_columns as u32,
        code_words: code_bytes.div_ceil(4) as u32,
        rescue_groups: layout.rescue_groups() as u32,
    };
    let storage = wgpu::BufferUsages::STORAGE;
    Ok(vec![
        device.upload(&params.bytes(), wgpu::BufferUsages::UNIFORM)?,
        device.upload(cast_slice(&local), storage)?,
        upload_signs(device, packed, &binary)?,
        device.upload(cast_slice(&scale), storage)?,
        device.upload(&code, storage)?,
        device.upload(cast_slice(rescue_scale), storage)?,
    ])
}

/// The sign planes of some binary rows, each row padded to a multiple of [`SIGN_WORDS`].
fn upload_signs(device: &mut Device, packed: &Bitpacked, binary: &ops::Range<usize>) -> Result<DeviceBuffer> {
    let words = packed.layout.row_bytes(Part::Sign) as usize / 4;
    let padded = sign_words(&packed.layout) as usize;
    let plane_bytes = (binary.len() * padded) as u64 * 4;
    let usage = wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_DST;
    let stored = device.handle.create(packed.layout.bases() * plane_bytes, usage)?;
    for basis in 0..packed.bases() {
        let signs = packed.sign_words(basis, binary.clone());
        let offset = basis as u64 * plane_bytes;
        if words == padded {
            device.write(&stored, offset, cast_slice(signs))?;
            continue;
        }
        let mut rows = Vec::with_capacity(binary.len() * padded);
        for row in signs.chunks(words) {
            rows.extend_from_slice(row);
            rows.resize(rows.len().next_multiple_of(padded), 0);
        }
        device.write(&stored, offset, cast_slice(&rows))?;
    }
    Ok(stored)
}
