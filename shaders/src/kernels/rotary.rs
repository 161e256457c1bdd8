//! Rotary position embedding.

use super::prelude::*;

params! { Rotary { heads: u32, head_dim: u32, pairs: u32, stride: u32, turn_stride: u32 } }

/// Two products and a sum, with sines rounded to f32.
pub const BOUND: f64 = 2e-7;

pub(super) fn declare() -> Declaration {
    Declaration::new::<Rotary>(&[Uniform, Write, Read])
}

/// The kernel for heads of this many channels in rows of x; a row of turns is a cosine and a sine for each
/// pair of channels.
pub fn call(x: Row, turns: Row, head_dim: u32) -> Call {
    let (heads, pairs) = (x.heads(head_dim), turns.columns / 2);
    let params = Rotary { heads, head_dim, pairs, stride: x.stride, turn_stride: turns.stride / 2 };
    Call::new(Kernel::Rotary, params, 6, heads * pairs)
}
/// Rotates channels `i` and `i + n` of each head by `positions[t] * frequencies[i]` radians, for
/// `i < n = frequencies.len()`, in place. x is `[T, heads * head_dim]` f32, positions is `[T]`;
/// channels from `2 n` on pass through.
///
/// The angle is rounded to f32, as the models were trained; its sine and cosine are not.
pub fn twin(x: &mut [f32], positions: &[u32], frequencies: &[f32], head_dim: usize) {
    let (t, n) = (positions.len(), frequencies.len());
    assert!(2 * n <= head_dim);
    assert_eq!(x.len() % (t * head_dim), 0);
    let heads = x.len() / (t * head_dim);
    for (t, &position) in positions.iter().enumerate() {
        for head in 0..heads {
            let start = (t * heads + head) * head_dim;
            for (i, frequency) in frequencies.iter().enumerate() {
                let (sin, cos) = f64::from(position as f32 * frequency).sin_cos();
                let (a, b) = (f64::from(x[start + i]), f64::from(x[start + i + n]));
                x[start + i] = (a * cos - b * sin) as f32;
                x[start + i + n] = (b * cos + a * sin) as f32;
            }
        }
    }
}
