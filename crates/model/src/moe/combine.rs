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

/// The backward of a combination: the gradients of its inputs, each when it is asked for.
pub(super) struct CombineGradient<'a, B> {
    combine: Combine,
    columns: usize,
    kept: &'a KeptCombine<B>,
    d_y: &'a B,
    /// The mixture's gradient, where it is not `d_y`.
    d_mixture: Option<B>,
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
            ops.copy(direction, &mut y);
        }
        ops.add(x, &mut y);
        (y, KeptCombine { parts, weights, norms, direction })
    }

    /// The backward of [`Combine::forward`].
    pub(super) fn backward<'a, O: Ops>(
        self,
        ops: &O,
        columns: usize,
        kept: &'a KeptCombine<O::Buffer>,
        d_y: &'a O::Buffer,
    ) -> CombineGradient<'a, O::Buffer> {
        let d_mixture = kept.direction.as_ref().map(|direction| {
            let mut d_mixture = ops.scratch(ops.len(d_y));
            ops.normalize_backward(columns, EPSILON, direction, &kept.norms[0], d_y, &mut d_mixture);
            d_mixture
        });
        CombineGradient { combine: self, columns, kept, d_y, d_mixture }
    }
}

impl<B> CombineGradient<'_, B> {
    /// The gradient of the weights, `[rows, parts]`.
    pub(super) fn weights<O: Ops<Buffer = B>>(&self, ops: &O) -> B {
        let mut d_weights = ops.scratch(ops.len(&self.kept.weights));
        ops.mix_backward_weights(self.columns, &self.kept.parts, self.d_mixture(), &mut d_weights);
        d_weights
    }

    /// How many parts were mixed.
    pub(super) fn n_parts(&self) -> usize {
        self.kept.parts.len()
    }

    /// The gradient of one part, `[rows, columns]`.
    pub(super) fn part<O: Ops<Buffer = B>>(&self, ops: &O, part: usize) -> B {
        let KeptCombine { parts, weights, norms, .. } = self.kept;
        let (columns, d_mixture) = (self.columns, self.d_mixture());
        let mut d_part = ops.scratch(ops.len(d_mixture));
        ops.mix_backward_part(columns, weights, part, parts.len(), d_mixture, &mut d_part);
        if self.combine != Combine::NormalizeExperts {
            return d_part;
        }
        let mut d_expert = ops.scratch(ops.len(&d_part));
        ops.normalize_backward(columns, EPSILON, &parts[part], &norms[part], &d_part, &mut d_expert);
        d_expert
    }

    fn d_mixture(&self) -> &B {
        self.d_mixture.as_ref().unwrap_or(self.d_y)
    }
}
