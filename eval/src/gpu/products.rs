//! How products with weights are computed: which precision was asked for, and which kernel the
//! adapter can run.

use bitgauge_core::{Error, ErrorKind};

use super::adapters::AdapterInfo;
use crate::backend::Result;

/// What the products with weights are computed in. Sums are f32 in any case, or nearly so; so is
/// everything that is no product with weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Precision {
    /// f32 factors: what is compared with references.
    #[default]
    F32,
    /// f16 factors, through cooperative matrices where there are any; f32 where there is no f16.
    F16,
    /// f16 factors without cooperative matrices.
    F16Plain,
    /// f16 through cooperative matrices where there are any, else f32.
    Auto,
}

/// The kernel that multiplies by weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Products {
    F32,
    F16,
    Cooperative,
}

impl Products {
    /// What comes closest to `precision` on this adapter.
    pub fn choose(precision: Precision, adapter: &AdapterInfo) -> Result<Self> {
        match precision {
            Precision::F16 | Precision::Auto if adapter.has_cooperative_matrices => Ok(Self::Cooperative),
            Precision::F16 | Precision::F16Plain if adapter.has_f16 => Ok(Self::F16),
            Precision::F16Plain => {
                let what = format!("{adapter} has no 16-bit floats in kernels");
                Err(Error::new(ErrorKind::Unsupported, what).hint("--precision f32 needs none").into())
            }
            Precision::F32 | Precision::F16 | Precision::Auto => Ok(Self::F32),
        }
    }

    /// The features of the device that the kernel needs.
    pub fn features(self) -> wgpu::Features {
        match self {
            Self::F32 => wgpu::Features::empty(),
            Self::F16 => wgpu::Features::SHADER_F16,
            Self::Cooperative => {
                wgpu::Features::SHADER_F16
                    | wgpu::Features::SUBGROUP
                    | wgpu::Features::EXPERIMENTAL_COOPERATIVE_MATRIX
            }
        }
    }

    pub fn experimental_features(self) -> wgpu::ExperimentalFeatures {
        match self {
            Self::F32 | Self::F16 => wgpu::ExperimentalFeatures::disabled(),
            // SAFETY: wgpu asks to be told that its experimental features may hold bugs. The only
            // one used is cooperative matrices, in one kernel, whose loads and stores stay within
            // their buffers (see `Recorder::build`).
            Self::Cooperative => unsafe { wgpu::ExperimentalFeatures::enabled() },
        }
    }

    /// For people and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Cooperative => "f16, cooperative matrices",
        }
    }
}
