//! One plain CPU twin per kernel: the definition that every WGSL and SIMD kernel is compared with.
//! Two kernels that compute the same share one.
//!
//! Loops as written in the formula, f32 storage, f64 accumulation, arguments in the order of the
//! `Backend` operation of the same name. Activations are row-major, one row per token; the
//! documents of a batch lie end to end and `positions` holds each token's index in its document.
//! A twin panics where lengths disagree: it runs in tests, on data that the test made.

mod add;
mod attention;
mod bias;
mod causal_conv;
mod decay_gates;
mod delta_rule;
mod embed;
mod gated_norm;
mod head_loss;
mod head_norm;
mod l2_norm;
mod matmul;
mod matmul_f16;
mod rms_norm;
mod rotary;
mod scatter;
mod sigmoid_gate;
mod split_heads;
mod swiglu;
mod to_f16;

pub use add::add;
pub use attention::attention;
pub use bias::bias;
pub use causal_conv::causal_conv;
pub use decay_gates::decay_gates;
pub use delta_rule::delta_rule;
pub use embed::embed;
pub use gated_norm::gated_norm;
pub use head_loss::{NO_TARGET, head_loss};
pub use head_norm::head_norm;
pub use l2_norm::l2_norm;
pub use matmul::matmul;
pub use matmul_f16::matmul_f16;
pub use rms_norm::rms_norm;
pub use rotary::rotary;
pub use scatter::scatter;
pub use sigmoid_gate::sigmoid_gate;
pub use split_heads::split_heads;
pub use swiglu::swiglu;
pub use to_f16::to_f16;
