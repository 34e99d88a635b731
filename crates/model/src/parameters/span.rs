//! Neighbours among a model's buffers, to change while others change the rest.

use std::ops::Range;

use sbmoe_kernels::AffineGradient;

use super::{AffineIds, ParameterId, Tensors};

/// The buffers of some parameters that are neighbours in the layout, as a layer's are.
#[derive(Debug)]
pub struct Span<'a, B> {
    first: usize,
    buffers: &'a mut [B],
}

impl<B> Span<'_, B> {
    /// Where the gradients of a layer's weight and bias go.
    pub fn affine(&mut self, ids: AffineIds) -> AffineGradient<'_, B> {
        let [weight, bias] = self.many([ids.weight, ids.bias]);
        AffineGradient { weight, bias }
    }

    /// As [`Span::affine`] for several layers, in their order.
    ///
    /// # Panics
    /// When two of them share a parameter.
    pub fn affines(&mut self, layers: &[AffineIds]) -> Vec<AffineGradient<'_, B>> {
        let mut buffers: Vec<Option<&mut B>> = self.buffers.iter_mut().map(Some).collect();
        let mut take =
            |id: ParameterId| buffers[id.0 - self.first].take().expect("layers share no parameter");
        layers.iter().map(|ids| AffineGradient { weight: take(ids.weight), bias: take(ids.bias) }).collect()
    }

    /// Several different parameters' buffers.
    ///
    /// # Panics
    /// When an id stands twice in `ids`.
    pub fn many<const N: usize>(&mut self, ids: [ParameterId; N]) -> [&mut B; N] {
        let places = ids.map(|id| id.0 - self.first);
        self.buffers.get_disjoint_mut(places).expect("a layer's parameters are different ones")
    }
}

impl<B> Tensors<B> {
    /// The buffers at these places.
    pub fn span(&mut self, places: Range<usize>) -> Span<'_, B> {
        Span { first: places.start, buffers: &mut self.0[places] }
    }

    /// The buffers at the places of each of `ranges`, which stand in the layout's order.
    ///
    /// # Panics
    /// When ranges overlap or are not in order.
    pub fn spans(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Span<'_, B>> {
        let (mut rest, mut first) = (&mut self.0[..], 0);
        let mut take = |range: Range<usize>| {
            let (buffers, others) =
                std::mem::take(&mut rest)[range.start - first..].split_at_mut(range.len());
            (rest, first) = (others, range.end);
            Span { first: range.start, buffers }
        };
        ranges.into_iter().map(&mut take).collect()
    }
}
