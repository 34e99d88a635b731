//! Which vector instructions the loops are compiled for, chosen at run time.

use std::fmt;
use std::str::FromStr;
#[cfg(target_arch = "x86_64")]
use std::sync::LazyLock;

#[cfg(target_arch = "x86_64")]
use super::amx;

/// The sets of vector instructions that there are loops for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LevelKind {
    /// What every processor of the architecture has.
    Scalar,
    /// x86-64 with AVX2 and FMA, and for integers AVX-VNNI where the processor has it.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL and DQ, and for integers VNNI where the processor has it.
    Avx512,
    /// The same with AVX512-BF16, whose products of bf16 numbers it uses.
    Avx512Bf16,
    /// The same with AVX512-VNNI and AMX, whose products of tiles of bf16 and bytes it uses.
    Amx,
    /// AArch64, whose baseline includes NEON, and for integers products of bytes (`dotprod`) where the processor has them.
    Neon,
}

impl LevelKind {
    const ALL: [Self; 6] = [Self::Scalar, Self::Avx2, Self::Avx512, Self::Avx512Bf16, Self::Amx, Self::Neon];

    /// The level, where this processor has the instructions.
    pub fn detect(self) -> Option<Level> {
        self.is_available().then_some(Level(self))
    }

    /// Whether it is faster than the ones before it, where the processor has it.
    fn pays(self) -> bool {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => has_fast_bf16(),
            _ => true,
        }
    }

    fn is_available(self) -> bool {
        match self {
            Self::Scalar => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => {
                is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
            }
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 => Self::Avx512.is_available() && is_x86_feature_detected!("avx512bf16"),
            #[cfg(target_arch = "x86_64")]
            Self::Amx => {
                Self::Avx512Bf16.is_available()
                    && is_x86_feature_detected!("avx512vnni")
                    && amx::is_available()
            }
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 | Self::Avx512 | Self::Avx512Bf16 | Self::Amx => false,
            Self::Neon => cfg!(target_arch = "aarch64"),
        }
    }
}

/// A set of vector instructions that this processor has: whoever holds one may have them run, which is why there is no
/// other way to one than looking for its instructions.
///
/// Results are the same bytes for any number of threads at one level, and may differ between levels in the last bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Level(LevelKind);

impl Level {
    /// What every processor has.
    pub const SCALAR: Self = Self(LevelKind::Scalar);

    /// The fastest that this processor has.
    pub fn best() -> Self {
        Self::available().into_iter().rfind(|level| level.0.pays()).unwrap_or(Self::SCALAR)
    }

    /// All that this processor has; each can do what the ones before it can, and more.
    pub fn available() -> Vec<Self> {
        LevelKind::ALL.into_iter().filter_map(LevelKind::detect).collect()
    }

    /// Which instructions these are.
    pub fn kind(self) -> LevelKind {
        self.0
    }
}

/// Whether there is an instruction for pairs of bf16 that does more multiplications a second than f32's: it does twice as
/// many on AMD's processors (Zen 4), and fewer on Intel's, which have [`LevelKind::Amx`] for it (`RESULTS.md`).
#[cfg(target_arch = "x86_64")]
fn has_fast_bf16() -> bool {
    // Under a hypervisor the question costs as much as a thousand products.
    static IS_FAST: LazyLock<bool> = LazyLock::new(|| {
        let vendor = std::arch::x86_64::__cpuid(0);
        let name = [vendor.ebx, vendor.edx, vendor.ecx].map(u32::to_le_bytes);
        is_x86_feature_detected!("avx512bf16") && name.as_flattened() != b"GenuineIntel"
    });
    *IS_FAST
}

impl fmt::Display for LevelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Scalar => "scalar",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512bf16",
            Self::Amx => "amx",
            Self::Neon => "neon",
        })
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for Level {
    type Err = String;

    /// The level of that name, which this processor must have.
    fn from_str(name: &str) -> Result<Self, String> {
        let kind = LevelKind::ALL.into_iter().find(|kind| kind.to_string() == name).ok_or_else(|| {
            format!("instruction level `{name}` is unknown; choose `scalar`, `avx2`, `avx512`, `avx512bf16`, `amx` or `neon`")
        })?;
        kind.detect().ok_or_else(|| {
            let available: Vec<String> = Self::available().iter().map(|level| format!("`{level}`")).collect();
            format!("this machine lacks the instruction level `{name}`; choose {}", available.join(", "))
        })
    }
}

/// Compiles a function once per level and adds a first parameter `level: Level` that chooses.
///
/// The body sees the constants `FMA`, true where a fused multiply-add is one instruction, and `WIDTH`, the f32 in a
/// register.
/// Everything that it calls in a loop must be `#[inline(always)]` or name its own features, or it keeps the baseline's
/// instructions.
macro_rules! multiversion {
    (
        $(#[$attribute:meta])*
        $visibility:vis fn $name:ident($($argument:ident: $type:ty),* $(,)?) $(-> $result:ty)? $body:block
    ) => {
        $(#[$attribute])*
        $visibility fn $name(level: $crate::cpu::level::Level, $($argument: $type),*) $(-> $result)? {
            #[inline(always)]
            fn body<const FMA: bool, const WIDTH: usize>($($argument: $type),*) $(-> $result)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512dq,avx2,fma")]
            fn avx512($($argument: $type),*) $(-> $result)? {
                body::<true, 16>($($argument),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($argument: $type),*) $(-> $result)? {
                body::<true, 8>($($argument),*)
            }

            match level.kind() {
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::level::LevelKind::Avx512
                | $crate::cpu::level::LevelKind::Avx512Bf16
                | $crate::cpu::level::LevelKind::Amx => {
                    // SAFETY: there is no level whose instructions this processor lacks.
                    unsafe { avx512($($argument),*) }
                }
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::cpu::level::LevelKind::Avx2 => unsafe { avx2($($argument),*) },
                _ => body::<{ cfg!(target_arch = "aarch64") }, 4>($($argument),*),
            }
        }
    };
}

pub(super) use multiversion;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_level_only_where_its_instructions_are_found() {
        for kind in LevelKind::ALL {
            let read: Result<Level, String> = kind.to_string().parse();
            assert_eq!(read.clone().ok(), kind.detect());
            match read {
                Ok(level) => assert!(level.kind() == kind && Level::available().contains(&level)),
                Err(message) => assert!(message.contains(&format!("lacks the instruction level `{kind}`"))),
            }
        }
        // No processor has the instructions of two architectures.
        let other = if cfg!(target_arch = "aarch64") { LevelKind::Avx2 } else { LevelKind::Neon };
        assert_eq!(other.detect(), None);
        assert!("sse".parse::<Level>().is_err_and(|message| message.contains("unknown")));
    }
}
