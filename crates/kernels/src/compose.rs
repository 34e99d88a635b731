//! Operators made of others, for a device that has nothing better.

use crate::{Activation, Affine, FeedForwardBackward, LayerInput, LinearBackward, LinearSize, Ops};

/// [`Ops::project`].
pub(crate) fn project<O: Ops + ?Sized>(
    ops: &O,
    size: LinearSize,
    x: &O::Buffer,
    layers: [Affine<'_, O::Buffer>; 3],
    outputs: [&mut O::Buffer; 3],
) {
    for (layer, output) in layers.into_iter().zip(outputs) {
        ops.linear(size, x, layer, Activation::Identity, None, output);
    }
}

/// [`Ops::linears_backward`].
pub(crate) fn linears_backward<O: Ops + ?Sized, const N: usize>(
    ops: &O,
    size: LinearSize,
    x: LayerInput<'_, O::Buffer>,
    layers: [LinearBackward<'_, O::Buffer>; N],
    adds: bool,
    dx: &mut O::Buffer,
) {
    let made;
    let x = match x {
        LayerInput::Kept(x) => x,
        LayerInput::Normed { norm, sum, statistics } => {
            let mut output = ops.scratch(size.rows * size.inputs);
            ops.norm_output(norm, size.inputs, sum, statistics, &mut output);
            made = output;
            &made
        }
    };
    if !adds {
        ops.fill(dx, 0.0);
    }
    for LinearBackward { weight, d_output, gradient } in layers {
        ops.linear_backward_parameters(size, x, d_output, gradient);
        ops.linear_backward_input_add(size, weight, d_output, dx);
    }
}

/// [`Ops::feed_forward`].
pub(crate) fn feed_forward<O: Ops + ?Sized>(
    ops: &O,
    size: LinearSize,
    x: &O::Buffer,
    [wide, narrow]: [Affine<'_, O::Buffer>; 2],
    activation: Activation,
    before: Option<&mut O::Buffer>,
    output: &mut O::Buffer,
) {
    let mut activated = ops.scratch(size.rows * size.outputs);
    ops.linear(size, x, wide, activation, before, &mut activated);
    ops.linear(size.back(), &activated, narrow, Activation::Identity, None, output);
}

/// [`Ops::feed_forward_backward_add`].
pub(crate) fn feed_forward_backward_add<O: Ops + ?Sized>(
    ops: &O,
    size: LinearSize,
    activation: Activation,
    layers: FeedForwardBackward<'_, O::Buffer>,
    dx: &mut O::Buffer,
) {
    let FeedForwardBackward { x, before, d_output, weights: [wide, narrow], gradients } = layers;
    let [d_wide, d_narrow] = gradients;
    let [mut activated, mut d_before] = [(); 2].map(|()| ops.scratch(size.rows * size.outputs));
    ops.activate(activation, before, &mut activated);
    let layer = LinearBackward { weight: narrow, d_output, gradient: d_narrow };
    ops.linears_backward(size.back(), LayerInput::Kept(&activated), [layer], false, &mut d_before);
    ops.activate_backward(activation, before, &mut d_before);
    let layer = LinearBackward { weight: wide, d_output: &d_before, gradient: d_wide };
    ops.linears_backward(size, x, [layer], true, dx);
}
