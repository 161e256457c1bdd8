//! The gated delta rule by chunks of tokens.
//!
//! One task is one value head of one document. Within a chunk, with G the running sum of the decays and
//! `D[i][j] = e^(G[i] - G[j])` for `j <= i`, what each token writes solves the triangular system
//! `d[i] = beta[i] (v[i] - e^G[i] Sᵀ k[i]) - Σ_{j<i} beta[i] (k[i]·k[j]) D[i][j] d[j]`. So all but the solution by
//! forward substitution is products of small matrices (Yang et al., "Gated Delta Networks", 2024).
//!
//! G reaches thousands below 0, so its differences are taken in f64, before the exponential: the terms
//! `e^G` and `e^-G` alone would vanish and overflow.

use std::ops::Range;

use rayon::prelude::*;

use super::isa::{Isa, vectorised};
use super::panel::{copy_columns, transpose};
use super::product::{Scratch, Tile, product, tiles};
use crate::backend::DeltaRule;

/// Tokens of a chunk.
const CHUNK: usize = 64;

/// The inputs: mixed is `[T, 2 K + V]`, decay and beta are `[T, value heads]`.
#[derive(Clone, Copy)]
pub(super) struct Inputs<'a> {
    pub mixed: &'a [f32],
    pub decay: &'a [f32],
    pub beta: &'a [f32],
    pub shape: DeltaRule,
}

/// The rule over all `documents`, from a state of zeros each; out is `[T, V]`.
pub(super) fn delta_rule(isa: Isa, inputs: Inputs, documents: &[Range<usize>], out: &mut [f32]) {
    let heights: Vec<usize> = documents.iter().map(Range::len).collect();
    let width = inputs.shape.value_width();
    tiles(out, width, &heights, inputs.shape.value_dim)
        .into_par_iter()
        .for_each(|mut tile| Head::new(isa, inputs, &tile).run(&mut tile));
}

/// One value head of one document.
struct Head<'a> {
    isa: Isa,
    inputs: Inputs<'a>,
    /// Which value head.
    head: usize,
    /// Columns of mixed where its queries, keys and values begin.
    columns: [usize; 3],
    /// `[key_dim, value_dim]`.
    state: Vec<f32>,
    /// What the chunk's tokens write, `[CHUNK, value_dim]`.
    written: Vec<f32>,
    /// `[CHUNK, CHUNK]`: k·k, then q·k.
    square: Vec<f32>,
    /// Room for one product, `[CHUNK or key_dim, value_dim]`.
    product: Vec<f32>,
    scratch: Scratch,
}

impl<'a> Head<'a> {
    fn new(isa: Isa, inputs: Inputs<'a>, tile: &Tile) -> Self {
        let DeltaRule { key_dim, value_dim, .. } = inputs.shape;
        let head = tile.col / value_dim;
        let (keys, key_head) = (inputs.shape.key_width(), inputs.shape.key_head(head));
        let rows = CHUNK.max(key_dim);
        Self {
            isa,
            inputs,
            head,
            columns: [key_head * key_dim, keys + key_head * key_dim, 2 * keys + tile.col],
            state: vec![0.0; key_dim * value_dim],
            written: vec![0.0; CHUNK * value_dim],
            square: vec![0.0; CHUNK * CHUNK],
            product: vec![0.0; rows * value_dim],
            scratch: Scratch::new(isa, rows),
        }
    }

    fn run(&mut self, tile: &mut Tile) {
        let first = tile.row;
        for (start, out) in (first..).step_by(CHUNK).zip(tile.rows.chunks_mut(CHUNK)) {
            self.chunk(start, out);
        }
    }

    /// Channels of one token: its query, its key or its value, by `columns`.
    fn channels(&self, token: usize, column: usize) -> &'a [f32] {
        &self.inputs.mixed[token * self.inputs.shape.mixed_width() + column..]
    }

    fn gate(&self, gates: &[f32], token: usize) -> f32 {
        gates[token * self.inputs.shape.value_heads + self.head]
    }

    /// Tokens from `first` on, as many as out has rows.
    fn chunk(&mut self, first: usize, out: &mut [&mut [f32]]) {
        let n = out.len();
        let decay: Vec<f64> = (first..first + n)
            .scan(0.0, |sum, token| {
                *sum += f64::from(self.gate(self.inputs.decay, token));
                Some(*sum)
            })
            .collect();
        self.write(first, &decay);
        self.read(first, &decay, out);
        self.update(first, &decay);
    }

    /// What the tokens write: the values less what the state already knows of them, then the solution
    /// of the triangular system row by row.
    fn write(&mut self, first: usize, decay: &[f64]) {
        let [_, keys, values] = self.columns;
        let dv = self.inputs.shape.value_dim;
        self.multiply_by_state(keys, first, decay.len());
        self.multiply_by_keys(keys, first, decay.len());
        for (i, sum) in decay.iter().enumerate() {
            let (beta, keep) = (self.gate(self.inputs.beta, first + i), fade(0.0, *sum));
            let value = self.channels(first + i, values);
            let (solved, rest) = self.written.split_at_mut(i * dv);
            let row = &mut rest[..dv];
            for ((d, known), v) in row.iter_mut().zip(&self.product[i * dv..]).zip(value) {
                *d = beta * (v - keep * known);
            }
            for (j, earlier) in solved.chunks_exact(dv).enumerate() {
                let weight = beta * self.square[i * CHUNK + j] * fade(decay[j], *sum);
                add_scaled(self.isa, -weight, earlier, row);
            }
        }
    }

    /// What the tokens read: the state that was, and what was written since.
    fn read(&mut self, first: usize, decay: &[f64], out: &mut [&mut [f32]]) {
        let [queries, ..] = self.columns;
        let DeltaRule { key_dim, value_dim: dv, .. } = self.inputs.shape;
        self.multiply_by_state(queries, first, decay.len());
        self.multiply_by_keys(queries, first, decay.len());
        let scale = 1.0 / (key_dim as f32).sqrt();
        for ((i, sum), out) in decay.iter().enumerate().zip(out) {
            let keep = scale * fade(0.0, *sum);
            for (out, read) in out.iter_mut().zip(&self.product[i * dv..]) {
                *out = keep * read;
            }
            for (j, written) in self.written.chunks_exact(dv).take(i + 1).enumerate() {
                let weight = scale * self.square[i * CHUNK + j] * fade(decay[j], *sum);
                add_scaled(self.isa, weight, written, out);
            }
        }
    }

    /// The state after the chunk.
    fn update(&mut self, first: usize, decay: &[f64]) {
        let [_, keys, _] = self.columns;
        let DeltaRule { key_dim, value_dim: dv, .. } = self.inputs.shape;
        let Some(&last) = decay.last() else { return };
        let rows: Vec<&[f32]> = (0..decay.len()).map(|i| self.channels(first + i, keys)).collect();
        let remains: Vec<f32> = decay.iter().map(|sum| fade(*sum, last)).collect();
        let (isa, written) = (self.isa, &self.written);
        let key = |channel: usize, tokens: Range<usize>, line: &mut [f32]| {
            for (line, token) in line.iter_mut().zip(tokens) {
                *line = remains[token] * rows[token][channel];
            }
        };
        let panel = |j: Range<usize>, k: Range<usize>, panel: &mut [f32]| {
            copy_columns(isa, &written[k.start * dv + j.start..], dv, j.len(), panel);
        };
        let mut lines: Vec<&mut [f32]> = self.product.chunks_exact_mut(dv).take(key_dim).collect();
        product(isa, decay.len(), 0..dv, key, panel, &mut lines, &mut self.scratch);
        let keep = fade(0.0, last);
        for (state, added) in self.state.iter_mut().zip(&self.product) {
            *state = keep * *state + added;
        }
    }

    /// `product = x · S` for the queries or keys x in `column`.
    fn multiply_by_state(&mut self, column: usize, first: usize, n: usize) {
        let DeltaRule { key_dim, value_dim: dv, .. } = self.inputs.shape;
        let (isa, state) = (self.isa, &self.state);
        let rows: Vec<&[f32]> = (0..n).map(|i| self.channels(first + i, column)).collect();
        let panel = |j: Range<usize>, k: Range<usize>, panel: &mut [f32]| {
            copy_columns(isa, &state[k.start * dv + j.start..], dv, j.len(), panel);
        };
        let mut lines: Vec<&mut [f32]> = self.product.chunks_exact_mut(dv).take(n).collect();
        let row = |i: usize, k: Range<usize>, line: &mut [f32]| line.copy_from_slice(&rows[i][k]);
        product(isa, key_dim, 0..dv, row, panel, &mut lines, &mut self.scratch);
    }

    /// `square = x · kᵀ` for the queries or keys x in `column`.
    fn multiply_by_keys(&mut self, column: usize, first: usize, n: usize) {
        let (isa, width) = (self.isa, self.inputs.shape.mixed_width());
        let rows: Vec<&[f32]> = (0..n).map(|i| self.channels(first + i, column)).collect();
        let keys = self.channels(first, self.columns[1]);
        let panel = |j: Range<usize>, k: Range<usize>, panel: &mut [f32]| {
            transpose(isa, &keys[j.start * width + k.start..], width, j.len(), panel);
        };
        let mut lines: Vec<&mut [f32]> = self.square.chunks_exact_mut(CHUNK).take(n).collect();
        let row = |i: usize, k: Range<usize>, line: &mut [f32]| line.copy_from_slice(&rows[i][k]);
        product(isa, self.inputs.shape.key_dim, 0..n, row, panel, &mut lines, &mut self.scratch);
    }
}

/// What is left at the running sum `to` of what was there at `from`.
fn fade(from: f64, to: f64) -> f32 {
    (to - from).exp() as f32
}

vectorised! {
    /// `out += weight · x`.
    fn add_scaled(weight: f32, x: &[f32], out: &mut [f32]) {
        for (out, x) in out.iter_mut().zip(x) {
            *out += weight * x;
        }
    }
}
