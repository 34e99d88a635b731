//! The instruction sets that the inner loops are written for.

use std::fmt;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

/// The sets of vector instructions that there are loops for, lowest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SimdKind {
    /// What the compiler makes of plain loops: on 64-bit Arm these are NEON instructions.
    Portable,
    /// AVX2 with FMA, eight numbers an instruction, and for integers AVX-VNNI where the processor has it.
    Avx2,
    /// AVX-512F, sixteen numbers an instruction, and for integers VNNI where the processor has it.
    Avx512,
}

impl SimdKind {
    const ALL: [Self; 3] = [Self::Portable, Self::Avx2, Self::Avx512];

    fn is_available(self) -> bool {
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
}

/// A set of vector instructions that this processor has: whoever holds one may have them run, which is why there is no
/// other way to one than looking for its instructions. Every level gives the same bits; they differ in speed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SimdLevel(SimdKind);

impl SimdLevel {
    /// What every processor has.
    pub const PORTABLE: Self = Self(SimdKind::Portable);

    /// Every level that this processor has, lowest first.
    pub fn available() -> impl DoubleEndedIterator<Item = Self> {
        SimdKind::ALL.into_iter().filter(|kind| kind.is_available()).map(Self)
    }

    /// The highest level that this processor has.
    pub fn best() -> Self {
        Self::up_to(SimdKind::Avx512)
    }

    /// The highest level that this processor has among those up to `kind`.
    pub fn up_to(kind: SimdKind) -> Self {
        Self::available().rfind(|level| level.0 <= kind).unwrap_or(Self::PORTABLE)
    }

    /// Which instructions these are.
    pub fn kind(self) -> SimdKind {
        self.0
    }

    /// The level's name.
    pub fn name(self) -> &'static str {
        match self.0 {
            SimdKind::Portable => "portable",
            SimdKind::Avx2 => "avx2",
            SimdKind::Avx512 => "avx512",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_level_is_one_that_the_processor_has_and_none_above_what_was_asked_for() {
        for kind in SimdKind::ALL {
            let level = SimdLevel::up_to(kind);
            assert!(level.kind() <= kind && level.kind().is_available());
            assert_eq!(level.kind() == kind, kind.is_available());
        }
        assert_eq!(SimdLevel::available().next_back(), Some(SimdLevel::best()));
    }
}
