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
    ///
    /// # Panics
    /// When they are not of the span.
    pub fn affine(&mut self, ids: AffineIds) -> AffineGradient<'_, B> {
        let [weight, bias] = self.many([ids.weight, ids.bias]);
        AffineGradient { weight, bias }
    }

    /// As [`Span::affine`] for several layers, in their order.
    ///
    /// # Panics
    /// When two of them share a parameter, or one is not of the span.
    pub fn affines(&mut self, layers: &[AffineIds]) -> Vec<AffineGradient<'_, B>> {
        let ids = layers.iter().flat_map(|ids| [ids.weight, ids.bias]);
        let places: Vec<usize> = ids.map(|id| self.place(id)).collect();
        let mut buffers: Vec<Option<&mut B>> = self.buffers.iter_mut().map(Some).collect();
        let mut own =
            places.into_iter().map(|place| buffers[place].take().expect("layers share no parameter"));
        let mut next = || own.next().expect("two a layer");
        layers.iter().map(|_| AffineGradient { weight: next(), bias: next() }).collect()
    }

    /// Several different parameters' buffers.
    ///
    /// # Panics
    /// When an id stands twice in `ids`, or is not of the span.
    pub fn many<const N: usize>(&mut self, ids: [ParameterId; N]) -> [&mut B; N] {
        let places = ids.map(|id| self.place(id));
        self.buffers.get_disjoint_mut(places).expect("a layer's parameters are different ones")
    }

    /// Where a parameter is in the span.
    fn place(&self, ParameterId(place): ParameterId) -> usize {
        let end = self.first + self.buffers.len();
        assert!((self.first..end).contains(&place), "parameter {place} of a span of {} to {end}", self.first);
        place - self.first
    }
}

impl<B> Tensors<B> {
    /// The buffers at these places.
    ///
    /// # Panics
    /// When the layout has fewer.
    pub fn span(&mut self, places: Range<usize>) -> Span<'_, B> {
        Span { first: places.start, buffers: &mut self.0[places] }
    }

    /// The buffers at the places of each of `ranges`, which stand in the layout's order.
    ///
    /// # Panics
    /// When ranges overlap or are not in order, or the layout has fewer places.
    pub fn spans(&mut self, ranges: impl IntoIterator<Item = Range<usize>>) -> Vec<Span<'_, B>> {
        let (mut rest, mut first) = (&mut self.0[..], 0);
        let mut take = |range: Range<usize>| {
            assert!(range.start >= first, "{range:?} and the ranges before it overlap or are not in order");
            let (buffers, others) =
                std::mem::take(&mut rest)[range.start - first..].split_at_mut(range.len());
            (rest, first) = (others, range.end);
            Span { first: range.start, buffers }
        };
        ranges.into_iter().map(&mut take).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tensors() -> Tensors<Vec<f64>> {
        Tensors::from_buffers((0..6).map(|place| vec![f64::from(place)]).collect())
    }

    #[test]
    fn spans_are_the_buffers_of_their_places() {
        let mut tensors = tensors();
        let [mut low, mut high] = <[_; 2]>::try_from(tensors.spans([1..3, 4..6])).expect("two spans");
        let ids = |first| AffineIds { weight: ParameterId(first), bias: ParameterId(first + 1) };
        let gradient = low.affine(ids(1));
        assert_eq!([&gradient.weight[..], &gradient.bias[..]], [[1.0], [2.0]]);
        let gradients = high.affines(&[ids(4)]);
        assert_eq!([&gradients[0].weight[..], &gradients[0].bias[..]], [[4.0], [5.0]]);
    }

    #[test]
    #[should_panic(expected = "parameter 3 of a span of 1 to 3")]
    fn a_parameter_of_another_span_is_refused() {
        tensors().span(1..3).many([ParameterId(3)]);
    }

    #[test]
    #[should_panic(expected = "overlap or are not in order")]
    fn spans_do_not_overlap() {
        tensors().spans([0..3, 2..4]);
    }
}
