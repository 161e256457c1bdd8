//! Causal grouped-query attention with a streaming softmax.
//!
//! One task is one tile of queries of one document for one key/value head, with all query heads
//! that share it. It walks over blocks of keys: scores and mixes are products like any other
//! ([`product`]), and the running maximum and sum of each row make earlier blocks comparable with
//! later ones (Milakov and Gimelshein, "Online normalizer calculation for softmax", 2018).

use std::ops::Range;

use rayon::prelude::*;

use super::isa::{Isa, vectorised};
use super::panel::{copy_columns, transpose};
use super::product::{Scratch, Tile, block_rows, product, tiles};
use super::rows;
use crate::backend::Attention;

/// Most tokens of a query tile. Half of a tile's triangle of scores is computed in vain.
const QUERIES: usize = 60;
/// Keys in one block.
const KEYS: usize = 256;

/// The inputs: q is `[T, heads * d]`, k and v are `[T, kv_heads * d]`.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub q: &'a [f32],
    pub k: &'a [f32],
    pub v: &'a [f32],
    pub shape: Attention,
}

/// Attention over all `documents`; out is `[T, heads * d]`.
pub(super) fn attention(isa: Isa, inputs: Inputs, documents: &[Range<usize>], out: &mut [f32]) {
    let Attention { heads, kv_heads, head_dim } = inputs.shape;
    let group = heads / kv_heads;
    let queries = QUERIES.min(block_rows(isa) / group).max(1);

    let (mut heights, mut starts, mut row) = (Vec::new(), Vec::new(), 0);
    for document in documents {
        while row < document.end {
            heights.push(queries.min(document.end - row));
            starts.push(document.start);
            row += heights[heights.len() - 1];
        }
    }
    let starts: Vec<usize> =
        starts.into_iter().flat_map(|start| std::iter::repeat_n(start, kv_heads)).collect();
    let mut tasks: Vec<(Tile, usize)> =
        tiles(out, heads * head_dim, &heights, group * head_dim).into_iter().zip(starts).collect();
    // Tiles that read the same keys follow each other, so that the keys stay in the cache.
    tasks.sort_by_key(|(tile, start)| (*start, tile.col));
    tasks.par_iter_mut().for_each(|(tile, start)| attend(isa, inputs, *start, tile));
}

/// One task: the queries and heads that `tile` covers against keys from `start` on.
fn attend(isa: Isa, inputs: Inputs, start: usize, tile: &mut Tile) {
    let Attention { heads, kv_heads, head_dim: d } = inputs.shape;
    let (group, tokens, first) = (heads / kv_heads, tile.rows.len(), tile.row);
    let (width, column) = (kv_heads * d, tile.col / group);
    let rows = tokens * group;
    let scale = 1.0 / (d as f32).sqrt();
    let mut out: Vec<&mut [f32]> = tile.rows.iter_mut().flat_map(|row| row.chunks_exact_mut(d)).collect();

    let mut scratch = Scratch::new(isa, rows);
    let (mut scores, mut mixes) = (vec![0.0; rows * KEYS], vec![0.0; rows * d]);
    let (mut maximum, mut sum) = (vec![f32::NEG_INFINITY; rows], vec![0.0f32; rows]);

    for block in (start..first + tokens).step_by(KEYS) {
        let keys = KEYS.min(first + tokens - block);
        let mut lines: Vec<&mut [f32]> = scores.chunks_exact_mut(keys).take(rows).collect();
        let query = |i: usize, k: Range<usize>, line: &mut [f32]| {
            let from = (first + i / group) * heads * d + tile.col + i % group * d;
            for (line, q) in line.iter_mut().zip(&inputs.q[from..][k]) {
                *line = q * scale;
            }
        };
        let key_panel = |j: Range<usize>, k: Range<usize>, panel: &mut [f32]| {
            let keys = &inputs.k[(block + j.start) * width + column + k.start..];
            transpose(isa, keys, width, j.len(), panel);
        };
        product(isa, d, 0..keys, query, key_panel, &mut lines, &mut scratch);

        let mut fade = vec![1.0; rows];
        for (i, line) in lines.iter_mut().enumerate() {
            let visible = (first + i / group + 1).saturating_sub(block).min(keys);
            let (seen, hidden) = line.split_at_mut(visible);
            hidden.fill(0.0);
            if !seen.is_empty() {
                fade[i] = soften(isa, seen, &mut maximum[i], &mut sum[i]);
            }
        }

        let weight = |i: usize, k: Range<usize>, line: &mut [f32]| line.copy_from_slice(&lines[i][k]);
        let value_panel = |j: Range<usize>, k: Range<usize>, panel: &mut [f32]| {
            let values = &inputs.v[(block + k.start) * width + column + j.start..];
            copy_columns(isa, values, width, j.len(), panel);
        };
        let mut mixed: Vec<&mut [f32]> = mixes.chunks_exact_mut(d).collect();
        product(isa, keys, 0..d, weight, value_panel, &mut mixed, &mut scratch);
        for ((out, mix), fade) in out.iter_mut().zip(&mixed).zip(fade) {
            for (out, mix) in out.iter_mut().zip(mix.iter()) {
                *out = if block == start { *mix } else { *out * fade + mix };
            }
        }
    }
    for (out, sum) in out.iter_mut().zip(sum) {
        out.iter_mut().for_each(|out| *out /= sum);
    }
}

vectorised! {
    /// Turns the scores of one row into weights relative to the new running maximum, and returns
    /// what earlier weights and sums shrink by.
    fn soften(scores: &mut [f32], maximum: &mut f32, sum: &mut f32) -> f32 {
        let higher = maximum.max(rows::max(scores));
        let fade = if *maximum == f32::NEG_INFINITY { 0.0 } else { rows::exp(*maximum - higher) };
        *sum = *sum * fade + rows::exp_and_sum(scores, higher);
        *maximum = higher;
        fade
    }
}
