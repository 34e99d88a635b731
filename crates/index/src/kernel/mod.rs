//! Inner products of a few documents with a panel of queries: the loop in which a search spends its time.
//!
//! A panel holds the queries of one block side by side, `[dim, width]`, so that a vector register holds the same
//! position of neighbouring queries and every pair has its own lane. A pair's products are therefore added one
//! after the other, from the first position to the last, each with one rounding: the order that [`dot`] defines,
//! whatever the width of the registers. No lane is ever added to another, and a document's row is read as it lies
//! in the file.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
pub(crate) mod rounded;

use crate::level::{SimdKind, SimdLevel};

/// Rows that no kernel exceeds at once, and a multiple of every kernel's. Tiles of documents are multiples of it.
pub(crate) const MOST_ROWS: usize = 24;

/// The widest panel.
pub(crate) const MOST_WIDTH: usize = 32;

/// The inner product that a query and a document score: their products added in order, each addition fused with its
/// product, so that there is one rounding a position.
///
/// This is the definition; every search gives these bits.
///
/// # Panics
/// The vectors differ in length.
pub fn dot(query: &[f32], document: &[f32]) -> f32 {
    assert_eq!(query.len(), document.len(), "an inner product needs vectors of one length");
    query.iter().zip(document).fold(0.0, |sum, (&query, &document)| query.mul_add(document, sum))
}

/// What a kernel works on.
#[derive(Clone, Copy)]
pub(crate) struct Block<'a> {
    /// Queries, `[dim, width]`.
    pub(crate) panel: &'a [f32],
    /// Documents, `[rows, dim]`.
    pub(crate) rows: &'a [f32],
    /// Numbers a vector.
    pub(crate) dim: usize,
    /// For each query the score below which a document is of no interest, `[width]`.
    pub(crate) floors: &'a [f32],
}

/// What a kernel finds.
pub(crate) struct Scores {
    /// `[rows, width]`.
    pub(crate) values: [f32; MOST_ROWS * MOST_WIDTH],
    /// For each row a bit for every query whose score is not below its floor, or is not finite.
    pub(crate) candidates: [u32; MOST_ROWS],
}

impl Scores {
    pub(crate) fn new() -> Self {
        Self { values: [0.0; MOST_ROWS * MOST_WIDTH], candidates: [0; MOST_ROWS] }
    }
}

/// # Safety
/// The processor must have the level that the kernel was chosen for.
type BlockFunction = unsafe fn(Block<'_>, &mut Scores);

/// The inner loops for one width of panel.
#[derive(Clone, Copy)]
pub(crate) struct Kernel {
    /// Queries a panel.
    pub(crate) width: usize,
    /// Documents at once.
    pub(crate) rows: usize,
    many: BlockFunction,
    one: BlockFunction,
}

impl Kernel {
    /// The kernel for a panel of `queries` or more: the narrowest that holds them all, else the widest.
    pub(crate) fn for_queries(level: SimdLevel, queries: usize) -> Self {
        let kernels = match level.kind() {
            SimdKind::Portable => PORTABLE,
            #[cfg(target_arch = "x86_64")]
            SimdKind::Avx2 => AVX2,
            #[cfg(target_arch = "x86_64")]
            SimdKind::Avx512 => AVX512,
            #[cfg(not(target_arch = "x86_64"))]
            SimdKind::Avx2 | SimdKind::Avx512 => PORTABLE,
        };
        let fitting = kernels.iter().find(|kernel| kernel.width >= queries);
        *fitting.unwrap_or(&kernels[kernels.len() - 1])
    }

    /// Scores the documents of `block`, either [`Kernel::rows`] of them or one.
    pub(crate) fn score(&self, block: Block<'_>, scores: &mut Scores) {
        let rows = block.rows.len() / block.dim;
        assert!(
            block.panel.len() == block.dim * self.width
                && block.rows.len() == rows * block.dim
                && block.floors.len() == self.width
                && (rows == self.rows || rows == 1),
            "a block has the kernel's shape"
        );
        let function = if rows == self.rows { self.many } else { self.one };
        // SAFETY: a kernel is chosen for a level, which this processor has, and the shapes were checked above.
        unsafe { function(block, scores) }
    }
}

/// Rows whose sums for sixteen queries the baseline's registers hold: AArch64 has thirty-two of four numbers.
const PORTABLE_ROWS: usize = if cfg!(target_arch = "aarch64") { 6 } else { 2 };

const PORTABLE: &[Kernel] = &[
    Kernel { width: 1, rows: 8, many: portable::block::<1, 8>, one: portable::block::<1, 1> },
    Kernel {
        width: 8,
        rows: 2 * PORTABLE_ROWS,
        many: portable::block::<8, { 2 * PORTABLE_ROWS }>,
        one: portable::block::<8, 1>,
    },
    Kernel {
        width: 16,
        rows: PORTABLE_ROWS,
        many: portable::block::<16, PORTABLE_ROWS>,
        one: portable::block::<16, 1>,
    },
];

/// Whether tiles of documents are whole blocks of each kernel.
const fn divide_tiles(kernels: &[Kernel]) -> bool {
    let mut i = 0;
    while i < kernels.len() {
        if !MOST_ROWS.is_multiple_of(kernels[i].rows) {
            return false;
        }
        i += 1;
    }
    true
}

const _: () = assert!(divide_tiles(PORTABLE));
#[cfg(target_arch = "x86_64")]
const _: () = assert!(divide_tiles(AVX2) && divide_tiles(AVX512));

#[cfg(target_arch = "x86_64")]
const AVX2: &[Kernel] = &[
    Kernel { width: 1, rows: 8, many: avx2::lone, one: portable::block::<1, 1> },
    Kernel { width: 8, rows: 12, many: avx2::block::<1, 12>, one: avx2::block::<1, 1> },
    Kernel { width: 16, rows: 6, many: avx2::block::<2, 6>, one: avx2::block::<2, 1> },
];

#[cfg(target_arch = "x86_64")]
const AVX512: &[Kernel] = &[
    AVX2[0],
    AVX2[1],
    AVX2[2],
    Kernel { width: 32, rows: 12, many: avx512::block::<2, 12>, one: avx512::block::<2, 1> },
];
