//! How the weighed experts join `x`: three combinations, forward and backward.

use sbmoe_kernels::Ops;

use super::Combine;

/// The norm's floor, as in the paper's code.
const EPSILON: f64 = 1e-6;

/// What backward reads.
#[derive(Debug)]
pub(super) struct KeptCombine<B> {
    /// The experts' outputs as they were mixed: normalised ones in [`Combine::NormalizeExperts`].
    parts: Vec<B>,
    /// `[rows, parts]`.
    weights: B,
    /// Norms of the mixture, or of each part.
    norms: Vec<B>,
    /// The normalised mixture of [`Combine::NormalizeMixture`].
    direction: Option<B>,
}

/// Gradients of the weights and of each part.
pub(super) struct CombineGradient<B> {
    pub(super) weights: Option<B>,
    pub(super) parts: Vec<B>,
}

impl Combine {
    /// `y = x + …` for `parts`, each `[rows, columns]`, and `weights [rows, parts]`.
    pub(super) fn forward<O: Ops>(
        self,
        ops: &O,
        columns: usize,
        x: &O::Buffer,
        mut parts: Vec<O::Buffer>,
        weights: O::Buffer,
    ) -> (O::Buffer, KeptCombine<O::Buffer>) {
        let rows = ops.len(x) / columns;
        let mut norms = Vec::new();
        let mut normalized = |from: &O::Buffer| {
            let (mut out, mut norm) = (ops.scratch(rows * columns), ops.scratch(rows));
            ops.normalize(columns, EPSILON, from, &mut out, &mut norm);
            norms.push(norm);
            out
        };
        if self == Self::NormalizeExperts {
            parts = parts.iter().map(&mut normalized).collect();
        }
        let mut y = ops.scratch(rows * columns);
        ops.mix(columns, &weights, &parts, &mut y);
        let direction = (self == Self::NormalizeMixture).then(|| normalized(&y));
        if let Some(direction) = &direction {
            ops.fill(&mut y, 0.0);
            ops.add(direction, &mut y);
        }
        ops.add(x, &mut y);
        (y, KeptCombine { parts, weights, norms, direction })
    }

    /// Gradients of the parts, and of the weights when `want_weights`.
    pub(super) fn backward<O: Ops>(
        self,
        ops: &O,
        columns: usize,
        kept: &KeptCombine<O::Buffer>,
        d_y: &O::Buffer,
        want_weights: bool,
    ) -> CombineGradient<O::Buffer> {
        let (n_parts, length) = (kept.parts.len(), ops.len(d_y));
        let d_mixture = kept.direction.as_ref().map(|direction| {
            let mut d_mixture = ops.scratch(length);
            ops.normalize_backward(columns, EPSILON, direction, &kept.norms[0], d_y, &mut d_mixture);
            d_mixture
        });
        let d_mixture = d_mixture.as_ref().unwrap_or(d_y);
        let weights = want_weights.then(|| {
            let mut d_weights = ops.scratch(ops.len(&kept.weights));
            ops.mix_backward_weights(columns, &kept.parts, d_mixture, &mut d_weights);
            d_weights
        });
        let part = |part: usize| {
            let mut d_part = ops.scratch(length);
            ops.mix_backward_part(columns, &kept.weights, part, n_parts, d_mixture, &mut d_part);
            if self != Self::NormalizeExperts {
                return d_part;
            }
            let mut d_expert = ops.scratch(length);
            ops.normalize_backward(
                columns,
                EPSILON,
                &kept.parts[part],
                &kept.norms[part],
                &d_part,
                &mut d_expert,
            );
            d_expert
        };
        CombineGradient { weights, parts: ops.side_by_side((0..n_parts).collect(), part) }
    }
}
