//! The instruction sets that the inner loops are written for.

use std::fmt;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// A set of vector instructions, lowest first. Every level gives the same bits; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdLevel {
    /// What the compiler makes of plain loops: on 64-bit Arm these are NEON instructions.
    Portable,
    /// AVX2 with FMA, eight numbers an instruction, and for integers AVX-VNNI where the processor has it.
    Avx2,
    /// AVX-512F, sixteen numbers an instruction, and for integers VNNI where the processor has it.
    Avx512,
}

impl SimdLevel {
    /// Every level, lowest first.
    pub const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    /// The highest level that this processor has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rev().find(|level| level.is_available()).unwrap_or(Self::Portable)
    }

    /// Whether this processor has the level's instructions.
    pub fn is_available(self) -> bool {
        match self {
            Self::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => Self::Avx2.is_available() && is_x86_feature_detected!("avx512f"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 => false,
        }
    }

    /// The level's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
        }
    }
}

/// Whether there is an instruction for pairs of bf16 that does more multiplications a second than f32's: it does twice as
/// many on AMD's processors (Zen 4), and fewer on Intel's, which have AMX for it (`RESULTS.md`).
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_fast_bf16() -> bool {
    // Under a hypervisor the question costs as much as a thousand products.
    static IS_FAST: LazyLock<bool> = LazyLock::new(|| {
        let vendor = std::arch::x86_64::__cpuid(0);
        let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        is_x86_feature_detected!("avx512bf16") && name.as_flattened() != b"GenuineIntel"
    });
    *IS_FAST
}

/// There is none.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn has_fast_bf16() -> bool {
    false
}

impl fmt::Display for SimdLevel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
