//! What is trained, by name: the layout of a model's parameters and device buffers that follow it.
//!
//! Parameters, their gradients and their moments are all [`Tensors`] over one [`Layout`], so that saving, optimising and
//! comparing by name are loops.

mod span;

use sbmoe_kernels::{Affine, AffineGradient, Ops};

pub use span::Span;

/// The place of a parameter in its [`Layout`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ParameterId(usize);

impl ParameterId {
    /// Its position, from 0.
    pub fn index(self) -> usize {
        self.0
    }
}

/// The weight and the bias of a linear layer, or γ and β of a layer norm.
#[derive(Debug, Clone, Copy)]
pub struct AffineIds {
    /// The weight, or γ.
    pub weight: ParameterId,
    /// The bias, or β.
    pub bias: ParameterId,
}

/// A parameter's name in checkpoints and its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The checkpoint key, without the `bert.` prefix.
    pub name: String,
    /// Row-major shape.
    pub shape: Vec<usize>,
}

impl Parameter {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// All parameters of a model, in a fixed order.
#[derive(Debug, Clone, Default)]
pub struct Layout {
    parameters: Vec<Parameter>,
}

impl Layout {
    /// Declares a parameter.
    pub fn add(&mut self, name: impl Into<String>, shape: &[usize]) -> ParameterId {
        self.parameters.push(Parameter { name: name.into(), shape: shape.to_vec() });
        ParameterId(self.parameters.len() - 1)
    }

    /// Declares `{name}.weight [outputs, inputs]` and `{name}.bias [outputs]`.
    pub fn add_linear(&mut self, name: &str, inputs: usize, outputs: usize) -> AffineIds {
        AffineIds {
            weight: self.add(format!("{name}.weight"), &[outputs, inputs]),
            bias: self.add(format!("{name}.bias"), &[outputs]),
        }
    }

    /// Declares `{name}.weight` and `{name}.bias`, both `[hidden]`.
    pub fn add_norm(&mut self, name: &str, hidden: usize) -> AffineIds {
        AffineIds {
            weight: self.add(format!("{name}.weight"), &[hidden]),
            bias: self.add(format!("{name}.bias"), &[hidden]),
        }
    }

    /// The parameters in order.
    pub fn parameters(&self) -> &[Parameter] {
        &self.parameters
    }

    /// Every id in order.
    pub fn ids(&self) -> impl Iterator<Item = ParameterId> + use<> {
        (0..self.parameters.len()).map(ParameterId)
    }

    /// The parameter with this id.
    pub fn get(&self, id: ParameterId) -> &Parameter {
        &self.parameters[id.0]
    }
}

/// One buffer for each parameter of a [`Layout`]: values, gradients or moments.
#[derive(Debug)]
pub struct Tensors<B>(Vec<B>);

impl<B> Tensors<B> {
    /// Zeros.
    pub fn zeros<O: Ops<Buffer = B>>(ops: &O, layout: &Layout) -> Self {
        Self(layout.parameters.iter().map(|parameter| ops.zeros(parameter.len())).collect())
    }

    /// Zeros where `wanted`, an empty buffer elsewhere: gradients and moments of what is not trained take no memory.
    pub fn zeros_where<O: Ops<Buffer = B>>(
        ops: &O,
        layout: &Layout,
        wanted: impl Fn(ParameterId) -> bool,
    ) -> Self {
        Self(layout.ids().map(|id| ops.zeros(if wanted(id) { layout.get(id).len() } else { 0 })).collect())
    }

    /// Buffers in the layout's order.
    pub fn from_buffers(buffers: Vec<B>) -> Self {
        Self(buffers)
    }

    /// Values from the host in the layout's order.
    pub fn upload<O: Ops<Buffer = B>>(ops: &O, values: &[Vec<f32>]) -> Self {
        Self(values.iter().map(|value| ops.upload(value)).collect())
    }

    /// Values to the host in the layout's order.
    pub fn download<O: Ops<Buffer = B>>(&self, ops: &O) -> Vec<Vec<f32>> {
        self.0.iter().map(|buffer| ops.download(buffer)).collect()
    }

    /// Sets every element to zero where `wanted`.
    pub fn clear_where<O: Ops<Buffer = B>>(&mut self, ops: &O, wanted: impl Fn(ParameterId) -> bool)
    where
        B: Send,
    {
        let buffers = self.buffers_mut().enumerate().filter(|(place, _)| wanted(ParameterId(*place)));
        ops.side_by_side(buffers.collect(), |(_, buffer)| ops.fill(buffer, 0.0));
    }

    /// Every buffer in the layout's order, to change.
    pub fn buffers_mut(&mut self) -> impl Iterator<Item = &mut B> {
        self.0.iter_mut()
    }

    /// One parameter's buffer.
    pub fn get(&self, id: ParameterId) -> &B {
        &self.0[id.0]
    }

    /// One parameter's buffer, to change.
    pub fn get_mut(&mut self, id: ParameterId) -> &mut B {
        &mut self.0[id.0]
    }

    /// A layer's weight and bias.
    pub fn affine(&self, ids: AffineIds) -> Affine<'_, B> {
        Affine { weight: self.get(ids.weight), bias: self.get(ids.bias) }
    }
}

/// The gradients of layers that took no part.
pub(crate) fn no_gradients<'a, O: Ops<Buffer: 'a>>(
    ops: &O,
    layers: impl IntoIterator<Item = AffineGradient<'a, O::Buffer>>,
) {
    for AffineGradient { weight, bias } in layers {
        ops.fill(weight, 0.0);
        ops.fill(bias, 0.0);
    }
}
