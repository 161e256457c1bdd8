//! What the caller is told while a model is packed.

/// What is being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackStep {
    /// Running the model over calibration tokens; counted in layers.
    Calibrating,
    /// Reading and packing; counted in bytes of the source's tensors.
    Packing,
}

/// Told the step, how much of it is done, and how much there is.
pub(super) type Tell<'a> = &'a mut dyn FnMut(PackStep, u64, u64);

/// Adds up what is done.
pub(super) struct Progress<'a> {
    tell: Tell<'a>,
    bytes: u64,
    all_bytes: u64,
}

impl<'a> Progress<'a> {
    pub(super) fn new(all_bytes: u64, tell: Tell<'a>) -> Self {
        Self { tell, bytes: 0, all_bytes }
    }

    /// More bytes of the source's tensors are done.
    pub(super) fn add_bytes(&mut self, bytes: u64) {
        self.bytes += bytes;
        (self.tell)(PackStep::Packing, self.bytes, self.all_bytes);
    }

    /// So many layers are calibrated.
    pub(super) fn set_layers(&mut self, done: u64, all: u64) {
        (self.tell)(PackStep::Calibrating, done, all);
    }
}
