//! What the file of a kernel declares.

pub mod call;
pub mod trial;

use crate::params::{Access, Layout, Params};
use crate::parts::Part;
use crate::variants::Codec;
use trial::Trial;

/// A kernel as its file declares it. The text of its own comes from the WGSL file of its name.
pub(crate) struct Declaration {
    /// The uniform block of group 0.
    pub layout: Layout,
    /// The bindings of group 0, in order.
    pub bindings: &'static [Access],
    /// How the weights in group 1 are stored, for kernels that have any.
    pub codec: Option<Codec>,
    /// Whether it multiplies through cooperative matrices.
    pub is_cooperative: bool,
    /// What comes before its own text.
    pub parts: Vec<Part>,
    /// The names in its own text that stand for numbers, and how many: see [`Part::repeating`].
    pub repeats: Vec<(&'static str, u8)>,
    /// Its cases, if it takes each row by itself: the GPU suite runs them as they are.
    pub trials: fn() -> Vec<Trial>,
}

impl Declaration {
    /// A kernel with this uniform block and these bindings, and nothing else.
    pub fn new<P: Params>(bindings: &'static [Access]) -> Self {
        Self {
            layout: P::LAYOUT,
            bindings,
            codec: None,
            is_cooperative: false,
            parts: Vec::new(),
            repeats: Vec::new(),
            trials: Vec::new,
        }
    }
}
