//! Which instruction set runs: chosen once, when the backend is made.

/// An instruction set that the kernels are compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InstructionSet {
    /// AVX-512F, 16 lanes.
    Avx512,
    /// AVX2 with FMA, 8 lanes.
    Avx2,
    /// Whatever the compilation target guarantees (SSE2 on x86-64, NEON on AArch64).
    Portable,
}

impl InstructionSet {
    /// All of them, the fastest first.
    pub const ALL: [Self; 3] = [Self::Avx512, Self::Avx2, Self::Portable];

    /// Whether this CPU can run it.
    pub fn is_available(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        let (avx2, avx512) = (
            is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            is_x86_feature_detected!("avx512f"),
        );
        #[cfg(not(target_arch = "x86_64"))]
        let (avx2, avx512) = (false, false);
        match self {
            Self::Avx512 => avx2 && avx512,
            Self::Avx2 => avx2,
            Self::Portable => true,
        }
    }

    /// The name for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Avx512 => "AVX-512",
            Self::Avx2 => "AVX2 + FMA",
            Self::Portable => "portable",
        }
    }
}

/// Defines functions that take an [`Isa`] first and run plain loops compiled for it: the compiler
/// vectorises the same body once per instruction set.
macro_rules! vectorised {
    ($($(#[$doc:meta])* $vis:vis fn $name:ident $(<const $N:ident: usize>)? (
        $($arg:ident: $type:ty),* $(,)?
    ) $(-> $result:ty)? $body:block)*) => {$(
        $(#[$doc])*
        $vis fn $name $(<const $N: usize>)? (isa: $crate::cpu::isa::Isa, $($arg: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body $(<const $N: usize>)? ($($arg: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx2,fma")]
            fn avx512 $(<const $N: usize>)? ($($arg: $type),*) $(-> $result)? {
                body $(::<$N>)? ($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2 $(<const $N: usize>)? ($($arg: $type),*) $(-> $result)? {
                body $(::<$N>)? ($($arg),*)
            }

            match isa.set() {
                // SAFETY: an `Isa` exists only for instruction sets that the CPU has.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::isa::InstructionSet::Avx512 => unsafe { avx512 $(::<$N>)? ($($arg),*) },
                // SAFETY: the same.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::isa::InstructionSet::Avx2 => unsafe { avx2 $(::<$N>)? ($($arg),*) },
                _ => body $(::<$N>)? ($($arg),*),
            }
        }
    )*};
}
pub(super) use vectorised;

/// Proof that this CPU can run a [`InstructionSet`]: only [`Isa::new`] makes one, so calls into
/// functions compiled for it are sound.
#[derive(Debug, Clone, Copy)]
pub(super) struct Isa(InstructionSet);

impl Isa {
    /// The proof, or `None` when this CPU lacks the instruction set.
    pub fn new(set: InstructionSet) -> Option<Self> {
        set.is_available().then_some(Self(set))
    }

    /// The fastest that this CPU has.
    pub fn fastest() -> Self {
        InstructionSet::ALL.into_iter().find_map(Self::new).unwrap_or(Self(InstructionSet::Portable))
    }

    /// Which one it is.
    pub fn set(self) -> InstructionSet {
        self.0
    }

    /// Rows and columns of the output tile that the micro-kernel keeps in registers.
    pub fn tile(self) -> (usize, usize) {
        match self.0 {
            InstructionSet::Avx512 => (12, 32),
            InstructionSet::Avx2 => (6, 16),
            InstructionSet::Portable => (4, 8),
        }
    }
}
