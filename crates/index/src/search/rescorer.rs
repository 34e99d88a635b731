//! Scores of documents here and there: their f32 rows are gathered side by side for the kernel of one query.

use crate::hit::DocOrdinal;
use crate::kernel::{Block, Kernel, MOST_ROWS, Scores};
use crate::level::SimdLevel;

/// Rows that are asked for before the one that is copied: they lie anywhere in memory, and waiting for each in turn
/// would take longer than scoring them.
const AHEAD: usize = 3;

/// Gathers and scores.
pub(super) struct Rescorer {
    kernel: Kernel,
    rows: Vec<f32>,
    scores: Scores,
}

impl Rescorer {
    pub(super) fn new(level: SimdLevel) -> Self {
        Self { kernel: Kernel::for_queries(level, 1), rows: Vec::new(), scores: Scores::new() }
    }

    /// Hands the score of every document to `take`: the bits of [`dot`](crate::dot).
    pub(super) fn score(
        &mut self,
        vectors: &[f32],
        query: &[f32],
        documents: impl Iterator<Item = DocOrdinal>,
        mut take: impl FnMut(DocOrdinal, f32),
    ) {
        let dim = query.len();
        // Places without a document score what an earlier one left there, and nobody asks.
        self.rows.resize(MOST_ROWS * dim, 0.0);
        let row_of = |document: DocOrdinal| &vectors[document as usize * dim..][..dim];
        let mut documents = documents.peekable();
        let mut gathered = Vec::with_capacity(MOST_ROWS);
        while documents.peek().is_some() {
            gathered.clear();
            gathered.extend(documents.by_ref().take(MOST_ROWS));
            for (place, row) in self.rows.chunks_exact_mut(dim).enumerate().take(gathered.len()) {
                if let Some(&later) = gathered.get(place + AHEAD) {
                    prefetch(row_of(later));
                }
                row.copy_from_slice(row_of(gathered[place]));
            }
            let blocks = self.rows.chunks_exact(self.kernel.rows * dim);
            for (documents, rows) in gathered.chunks(self.kernel.rows).zip(blocks) {
                let block = Block { panel: query, rows, dim, floors: &[f32::INFINITY] };
                self.kernel.score(block, &mut self.scores);
                for (&document, &score) in documents.iter().zip(&self.scores.values) {
                    take(document, score);
                }
            }
        }
    }
}

/// Asks for a row that will be read soon.
fn prefetch(row: &[f32]) {
    #[cfg(target_arch = "x86_64")]
    for line in row.chunks(16) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every 64-bit x86 has the instruction, and it changes nothing that can be seen.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}
