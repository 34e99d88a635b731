//! What the 32-bit words of a product's operands hold.

use super::level::{Level, LevelKind};
use crate::Precision;

/// What a word holds: one number, or several that are neighbours along the inner index.
///
/// The product of two words is the inner product of their numbers, so that the loops over words are the same for all
/// forms, and an operand of narrow numbers is laid out by moving words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// A number in f32.
    Single,
    /// Two in bf16, multiplied and added in f32.
    Bf16,
    /// Two integers of sixteen bits; sums are integers of 32 bits.
    Pairs,
    /// Four integers of eight bits, on the left without a sign on x86-64 and with one on AArch64; sums are integers of 32
    /// bits.
    Bytes,
}

impl Form {
    /// In which the operands of a linear layer's products are.
    pub(super) fn of(precision: Precision, level: Level) -> Self {
        match precision {
            Precision::F32 => Self::Single,
            Precision::Bf16 => Self::of_bf16(level),
            Precision::Int8 => Self::of_integers(level),
        }
    }

    /// In which numbers rounded to bf16 are multiplied: without an instruction for pairs of them, in f32, in which their
    /// products are exact.
    pub(super) fn of_bf16(level: Level) -> Self {
        if matches!(level.kind(), LevelKind::Avx512Bf16 | LevelKind::Amx) { Self::Bf16 } else { Self::Single }
    }

    /// In which attention's operands are, and what only an encoder's own operators read: beside integers bf16, where that
    /// is faster than f32.
    pub(super) fn beside(precision: Precision, level: Level) -> Self {
        if precision == Precision::F32 { Self::Single } else { Self::of_bf16(level) }
    }

    /// In which small integers are multiplied: bytes where an instruction adds their products without saturating.
    pub(super) fn of_integers(level: Level) -> Self {
        match level.kind() {
            #[cfg(target_arch = "x86_64")]
            LevelKind::Avx512 | LevelKind::Avx512Bf16 | LevelKind::Amx
                if is_x86_feature_detected!("avx512vnni") =>
            {
                Self::Bytes
            }
            #[cfg(target_arch = "x86_64")]
            LevelKind::Avx2 if is_x86_feature_detected!("avxvnni") => Self::Bytes,
            #[cfg(target_arch = "aarch64")]
            LevelKind::Neon if std::arch::is_aarch64_feature_detected!("dotprod") => Self::Bytes,
            _ => Self::Pairs,
        }
    }

    /// Numbers of a word.
    pub(super) fn numbers(self) -> usize {
        match self {
            Self::Single => 1,
            Self::Bf16 | Self::Pairs => 2,
            Self::Bytes => 4,
        }
    }

    /// Words that `numbers` numbers take.
    pub(super) fn words(self, numbers: usize) -> usize {
        numbers.div_ceil(self.numbers())
    }
}
