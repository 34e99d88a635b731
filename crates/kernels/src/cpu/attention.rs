//! Ragged multi-head attention: a head of a text is one task, blocks of its query rows against all its keys.
//!
//! Probabilities live in a block's scratch and nowhere else.

use super::Cpu;
use super::arithmetic::Arithmetic;
use super::block::multiply;
use super::columns::Columns;
use super::functions::ln;
use super::heads::{Head, heads, size, split};
use super::lanes::LANES;
use super::left::Left;
use super::level::multiversion;
use super::mask;
use super::memory::Buffer;
use super::packing::{Rows, pack, pack_transposed, panels};
#[cfg(target_arch = "x86_64")]
use super::powers;
use super::projection::Apart;
use super::rows::scale_rows;
use super::softmax::exponentials;
use crate::AttentionInputs;

multiversion! {
    /// Turns the scores of `log_sums.len()` rows into exponentials of their distance to the row's largest, drops some, and
    /// says what the rows of the output must be multiplied by.
    ///
    /// Where [`in_words`], words of bf16 stand where a row began.
    fn probabilities(
        head: Head<'_>,
        keys: &[[u32; 2]],
        arithmetic: Arithmetic,
        scores: &mut [f32],
        log_sums: &mut [f32],
        factors: &mut [f32],
    ) {
        let (scale, len) = (head.scale(), head.len());
        let dropout_scale = head.dropout.scale() as f32;
        let (stride, rows) = (head.score_stride(), log_sums.len());
        let in_words = in_words(arithmetic, keys);
        // Whole registers: behind the text stands what adds nothing.
        let padded = len.next_multiple_of(LANES);
        for row in scores.chunks_exact_mut(stride).take(rows) {
            row[len..padded].fill(f32::NEG_INFINITY);
        }
        if WIDTH == LANES {
            #[cfg(target_arch = "x86_64")]
            for (four, results) in scores
                .as_chunks_mut()
                .0
                .chunks_exact_mut(powers::ROWS * stride / LANES)
                .zip(log_sums.chunks_mut(powers::ROWS).zip(factors.chunks_mut(powers::ROWS)))
            {
                let (stride, length) = (stride / LANES, padded / LANES);
                // SAFETY: this width is AVX-512's, and where powers are rounded the arithmetic's level has the words'
                // instruction.
                let found = unsafe {
                    if in_words {
                        powers::exponentials_in_words(scale, four, stride, length)
                    } else {
                        powers::exponentials(scale, four, stride, length)
                    }
                };
                // Of the last four, some may be rows of nobody.
                for (([shift, sum], log_sum), factor) in found.into_iter().zip(results.0).zip(results.1) {
                    (*log_sum, *factor) = (shift, sum);
                }
            }
        } else {
            debug_assert!(!in_words, "only AVX-512 has an instruction for words");
            for (scores, (log_sum, factor)) in
                scores.chunks_exact_mut(stride).zip(log_sums.iter_mut().zip(&mut *factors))
            {
                [*log_sum, *factor] = exponentials::<FMA>(scale, &mut scores[..padded]);
            }
        }
        for (scores, &key) in scores.chunks_exact_mut(stride).zip(keys).take(rows) {
            mask::apply(key, head.dropout.threshold(), 1.0, &mut scores[..len]);
        }
        for (log_sum, factor) in log_sums.iter_mut().zip(factors) {
            *log_sum += ln::<FMA>(*factor);
            *factor = dropout_scale / *factor;
        }
    }
}

/// Whether powers are written as words of bf16: the instruction is there and none of them is dropped.
fn in_words(arithmetic: Arithmetic, keys: &[[u32; 2]]) -> bool {
    arithmetic.rounds_powers() && keys.is_empty()
}

fn forward_head(
    cpu: &Cpu,
    arithmetic: Arithmetic,
    head: Head<'_>,
    given: [&[f32]; 3],
    output: Columns<'_>,
    log_sums: &mut [f32],
) {
    let (level, len, width) = (cpu.level, head.len(), head.width);
    let (block, padded, stride) = (head.block(), len.next_multiple_of(LANES), panels(width) * LANES);
    // Words along a head's width, and along the text.
    let (wide, long) = (arithmetic.words(width), arithmetic.words(len));
    // Columns of a head that ends with a whole word.
    let whole = wide * arithmetic.form().numbers();
    let sizes = [
        padded * wide,
        long * stride,
        block * head.score_stride(),
        block.next_multiple_of(LANES),
        arithmetic.room((len * wide).max(long * whole).max(block * long)),
    ];
    let mut scratch = cpu.memory.near(sizes.iter().sum());
    let [packed_key, packed_value, scores, factors, room] = cut(&mut scratch, sizes);
    let [query, key, value] = given.map(|values| head.kept_rows(arithmetic.form(), values));
    pack_transposed(level, arithmetic.along_kept(key, len, room), len, packed_key);
    let value = Rows { columns: width, ..arithmetic.across_kept(value, len, room) };
    pack(level, value, long, &mut Columns::whole(packed_value, long * LANES));
    let (packed_key, packed_value) =
        (arithmetic.panels(packed_key, wide), arithmetic.panels(packed_value, long));
    let keys = head.keys();
    let blocks = (0..len).step_by(block).zip(log_sums.chunks_mut(block)).zip(output.blocks(block));
    for ((first, log_sums), mut output) in blocks {
        let n = log_sums.len();
        let left = arithmetic.along_kept(query.from(first), n, room).left();
        multiply(level, left, n, packed_key, false, &mut Columns::whole(scores, head.score_stride()));
        let keys = keys.get(first..).unwrap_or_default();
        probabilities(level, head, keys, arithmetic, scores, log_sums, factors);
        let left = if in_words(arithmetic, keys) {
            Left::rows(scores, head.score_stride())
        } else {
            arithmetic.along(head.score_rows(scores), n, room).left()
        };
        multiply(level, left, n, packed_value, false, &mut output);
        scale_rows(level, factors[..n].iter().copied(), &mut output);
    }
}

/// Cuts scratch memory into pieces of these sizes.
pub(super) fn cut<const N: usize>(scratch: &mut [f32], sizes: [usize; N]) -> [&mut [f32]; N] {
    let mut rest = scratch;
    sizes.map(|size| {
        let (piece, after) = std::mem::take(&mut rest).split_at_mut(size);
        rest = after;
        piece
    })
}

/// Queries, keys and values, heads in words of their own.
pub(super) fn apart<'a>(
    cpu: &Cpu,
    arithmetic: Arithmetic,
    &AttentionInputs { query, key, value, tokens, hidden, heads, .. }: &AttentionInputs<'a, Buffer>,
) -> [Apart<'a>; 3] {
    let (form, n) = (arithmetic.form(), tokens.n_tokens());
    [query, key, value].map(|kept| {
        let len = n * form.words(hidden);
        assert_eq!(kept.len(), len, "{n} rows of {hidden} are not as `Ops::project` keeps them");
        Apart::new(cpu, form, [hidden, heads], kept)
    })
}

/// `output = dropout(softmax(q kᵀ / √d)) v`.
pub(super) fn forward(
    cpu: &Cpu,
    inputs: AttentionInputs<'_, Buffer>,
    output: &mut [f32],
    log_sums: &mut [f32],
) {
    let (tokens, arithmetic) = (inputs.tokens, Arithmetic::new(cpu.level, inputs.precision));
    let given = apart(cpu, arithmetic, &inputs);
    // `[heads, tokens]` cut into texts, in the order of texts and then heads.
    let mut pieces: Vec<Vec<&mut [f32]>> =
        (0..tokens.n_texts()).map(|_| Vec::with_capacity(inputs.heads)).collect();
    for mut row in log_sums.chunks_exact_mut(tokens.n_tokens().max(1)) {
        for (text, pieces) in pieces.iter_mut().enumerate() {
            let (piece, rest) = row.split_at_mut(tokens.range(text).len());
            pieces.push(piece);
            row = rest;
        }
    }
    let mut tasks: Vec<_> =
        heads(&inputs).zip(split(&inputs, output)).zip(pieces.into_iter().flatten()).collect();
    tasks.sort_by_key(|((head, _), _)| std::cmp::Reverse(head.len()));
    cpu.each(size(&inputs), tasks.into_iter(), |((head, output), log_sums)| {
        forward_head(cpu, arithmetic, head, given.each_ref().map(Apart::rows), output, log_sums);
    });
}
