//! What the processor does at most: multiply-adds that never leave the registers, and a copy between two arrays.

use std::cell::RefCell;
use std::hint::black_box;
use std::time::Instant;

use sbmoe_kernels::{Cpu, Level, LevelKind, Precision};

/// Operations a second of each precision, and elements a second (read and written), of all threads together.
pub(crate) struct Limits {
    arithmetic: [f64; 3],
    pub(crate) memory: f64,
}

impl Limits {
    pub(crate) fn new(cpu: &Cpu, repetitions: usize) -> Self {
        let arithmetic = [Precision::F32, Precision::Bf16, Precision::Int8]
            .map(|precision| register_loop(cpu, precision, repetitions));
        let n = 1 << 23;
        let memory = fastest(repetitions, &mut || {
            cpu.pool().broadcast(|_| {
                thread_local!(static ARRAYS: RefCell<[Vec<f32>; 2]> =
                    RefCell::new([vec![1.0; 1 << 23], vec![2.0; 1 << 23]]));
                ARRAYS.with_borrow_mut(|[from, to]| to.copy_from_slice(black_box(from)));
            });
        });
        Self { arithmetic, memory: cpu.threads() as f64 * 2.0 * f64::from(n) / memory }
    }

    /// Operations a second.
    pub(crate) fn arithmetic(&self, precision: Precision) -> f64 {
        self.arithmetic[precision as usize]
    }
}

/// The fastest of some runs, in seconds.
pub(crate) fn fastest(repetitions: usize, run: &mut impl FnMut()) -> f64 {
    let time = |_| {
        let start = Instant::now();
        run();
        start.elapsed().as_secs_f64()
    };
    (0..repetitions).map(time).fold(f64::INFINITY, f64::min)
}

/// Operations a second of all threads together.
pub(crate) fn register_loop(cpu: &Cpu, precision: Precision, repetitions: usize) -> f64 {
    let mut operations = 0;
    let seconds = fastest(repetitions, &mut || {
        let run = || (0..LOOPS).map(|_| registers(cpu.level(), precision)).sum::<usize>();
        operations = cpu.pool().broadcast(|_| run()).into_iter().sum();
    });
    operations as f64 / seconds
}

/// Loops that follow each other, so that waking a thread takes no part of their time that counts.
const LOOPS: usize = 10;

/// Turns of a loop.
const TURNS: usize = 1_000_000;

/// Runs the loop of a precision and returns its number of operations.
fn registers(level: Level, precision: Precision) -> usize {
    match (level.kind(), precision) {
        // SAFETY: there is no level whose instructions this processor lacks.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx512Bf16, Precision::Bf16) => unsafe { x86::bf16() },
        // SAFETY: as for bf16.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Amx, Precision::Bf16 | Precision::Int8) => unsafe { x86::tiles(precision) },
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx512 | LevelKind::Avx512Bf16, Precision::Int8)
            if is_x86_feature_detected!("avx512vnni") =>
        {
            // SAFETY: the feature was looked for.
            unsafe { x86::bytes() }
        }
        // SAFETY: as for bf16.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx512 | LevelKind::Avx512Bf16 | LevelKind::Amx, _) => unsafe { x86::avx512() },
        // SAFETY: the feature was looked for.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx2, Precision::Int8) if is_x86_feature_detected!("avxvnni") => unsafe {
            x86::avx2_bytes()
        },
        // SAFETY: as for bf16.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx2, Precision::Int8) => unsafe { x86::avx2_pairs() },
        // SAFETY: as for bf16.
        #[cfg(target_arch = "x86_64")]
        (LevelKind::Avx2, _) => unsafe { x86::avx2() },
        // SAFETY: the feature was looked for.
        #[cfg(target_arch = "aarch64")]
        (LevelKind::Neon, Precision::Int8) if std::arch::is_aarch64_feature_detected!("dotprod") => unsafe {
            aarch64::bytes()
        },
        _ => portable(),
    }
}

/// Sums of the baseline's loops: most of its registers.
const SUMS: usize = if cfg!(target_arch = "aarch64") { 24 } else { 12 };

fn portable() -> usize {
    let (a, b) = (black_box(0.999_f32), black_box(1e-3));
    let mut sums = [[0.5_f32; 4]; SUMS];
    for _ in 0..TURNS {
        for sum in sums.iter_mut().flatten() {
            *sum = if cfg!(target_arch = "aarch64") { sum.mul_add(a, b) } else { *sum * a + b };
        }
    }
    black_box(sums);
    2 * TURNS * SUMS * 4
}

#[cfg(target_arch = "aarch64")]
mod aarch64 {
    use std::arch::aarch64::vdupq_n_s32;
    use std::arch::asm;
    use std::hint::black_box;

    use super::{SUMS, TURNS};

    #[target_feature(enable = "dotprod")]
    pub(super) fn bytes() -> usize {
        let mut sums = [vdupq_n_s32(0); SUMS];
        let ones = black_box(vdupq_n_s32(0x0101_0101));
        for _ in 0..TURNS {
            for sum in &mut sums {
                // SAFETY: the instruction reads and writes registers alone.
                unsafe {
                    asm!(
                        "sdot {sum:v}.4s, {ones:v}.16b, {ones:v}.16b",
                        sum = inout(vreg) *sum,
                        ones = in(vreg) ones,
                        options(pure, nomem, nostack, preserves_flags),
                    );
                }
            }
        }
        black_box(sums);
        2 * TURNS * SUMS * 16
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::asm;
    use std::arch::x86_64::{
        __m512bh, __m512i, _mm256_add_epi32, _mm256_dpbusd_avx_epi32, _mm256_fmadd_ps, _mm256_madd_epi16,
        _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_si256, _mm512_dpbf16_ps,
        _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_set1_epi8, _mm512_set1_ps, _mm512_setzero_ps,
        _mm512_setzero_si512,
    };
    use std::hint::black_box;
    use std::mem::transmute;

    use sbmoe_kernels::Precision;

    use super::TURNS;

    /// `$n` sums, each of which takes `$step` a turn: enough of them to wait for none.
    macro_rules! register_loop {
        ($name:ident, $features:literal, $n:literal, $flops:literal, $zero:expr, |$sum:ident| $step:expr) => {
            #[target_feature(enable = $features)]
            pub(super) fn $name() -> usize {
                let mut sums = [$zero; $n];
                for _ in 0..TURNS {
                    for $sum in &mut sums {
                        *$sum = $step;
                    }
                }
                black_box(sums);
                TURNS * $n * $flops
            }
        };
    }

    register_loop!(avx2, "avx2,fma", 12, 16, black_box(_mm256_set1_ps(0.5)), |sum| _mm256_fmadd_ps(
        *sum,
        _mm256_set1_ps(0.999),
        _mm256_set1_ps(1e-3)
    ));
    register_loop!(avx2_pairs, "avx2", 12, 32, black_box(_mm256_setzero_si256()), |sum| _mm256_add_epi32(
        *sum,
        _mm256_madd_epi16(*sum, _mm256_set1_epi16(3))
    ));
    register_loop!(avx2_bytes, "avx2,avxvnni", 12, 64, black_box(_mm256_setzero_si256()), |sum| {
        _mm256_dpbusd_avx_epi32(*sum, _mm256_set1_epi8(3), _mm256_set1_epi8(5))
    });
    register_loop!(avx512, "avx512f", 24, 32, black_box(_mm512_set1_ps(0.5)), |sum| _mm512_fmadd_ps(
        *sum,
        _mm512_set1_ps(0.999),
        _mm512_set1_ps(1e-3)
    ));
    register_loop!(bf16, "avx512f,avx512bf16", 24, 64, black_box(_mm512_setzero_ps()), |sum| {
        // SAFETY: a register of anything is as good as one of bf16.
        let ones = unsafe { transmute::<__m512i, __m512bh>(_mm512_set1_epi8(0x3f)) };
        _mm512_dpbf16_ps(*sum, ones, ones)
    });
    register_loop!(bytes, "avx512f,avx512bw,avx512vnni", 24, 128, black_box(_mm512_setzero_si512()), |sum| {
        _mm512_dpbusd_epi32(*sum, _mm512_set1_epi8(3), _mm512_set1_epi8(5))
    });

    /// The eight tiles, each of sixteen rows of 64 bytes.
    #[repr(C, align(64))]
    struct Shapes([u8; 64]);

    macro_rules! tile_loop {
        ($product:literal) => {
            asm!(
                "ldtilecfg [{shapes}]",
                "2:",
                concat!($product, " tmm0, tmm4, tmm6"),
                concat!($product, " tmm1, tmm4, tmm7"),
                concat!($product, " tmm2, tmm5, tmm6"),
                concat!($product, " tmm3, tmm5, tmm7"),
                "dec {turns}",
                "jnz 2b",
                "tilerelease",
                shapes = in(reg) &raw const SHAPES,
                turns = inout(reg) TURNS => _,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            )
        };
    }

    static SHAPES: Shapes = {
        let (mut bytes, mut tile) = ([0; 64], 0);
        bytes[0] = 1;
        while tile < 8 {
            bytes[16 + 2 * tile] = 64;
            bytes[48 + tile] = 16;
            tile += 1;
        }
        Shapes(bytes)
    };

    /// Four tiles of sums.
    ///
    /// # Safety
    /// The level `amx` is available, and was asked for before.
    pub(super) unsafe fn tiles(precision: Precision) -> usize {
        // SAFETY: the caller's word; the tiles are nobody else's.
        unsafe {
            match precision {
                Precision::Int8 => tile_loop!("tdpbusd"),
                _ => tile_loop!("tdpbf16ps"),
            }
        }
        let numbers = if precision == Precision::Int8 { 64 } else { 32 };
        TURNS * 4 * 2 * 16 * 16 * numbers
    }
}
