//! Gradients of layers that read one input against sums of products in f64, of rounded operands in bf16.

use sbmoe_kernels::{
    Activation, Affine, AffineGradient, Cpu, FeedForwardBackward, LayerInput, Level, LinearBackward,
    LinearSize, Ops, Precision,
};

use crate::draws::Draws;

/// The nearest number with eight significant bits, ties to even.
pub(crate) fn rounded(x: f32) -> f64 {
    let unit = 2f64.powi(f64::from(x).abs().log2().floor() as i32 - 7);
    (f64::from(x) / unit).round_ties_even() * unit
}

/// A sum of products and the sum of their sizes.
fn sum(products: impl Iterator<Item = f64>) -> [f64; 2] {
    products.fold([0.0, 0.0], |[sum, size], x| [sum + x, size + x.abs()])
}

fn check(name: &str, found: f32, before: f32, [sum, size]: [f64; 2]) {
    let far = (f64::from(found) - f64::from(before) - sum).abs();
    assert!(far <= 2e-6 * (size + f64::from(before).abs()), "{name}: {found}, {far:e} away");
}

#[test]
fn an_input_that_is_a_norms_output_need_not_be_kept() {
    // More rows than a weight's gradient takes at once.
    let (rows, hidden, inner) = (2149, 39, 20);
    let mut draws = Draws::new(23);
    let [sum, d_output, gamma, beta, wide, narrow] =
        [rows * hidden, rows * hidden, hidden, hidden, inner * hidden, inner * hidden]
            .map(|n| draws.normal(n));
    let statistics: Vec<f32> = draws.normal(2 * rows);
    for level in Level::available() {
        for precision in [Precision::F32, Precision::Bf16] {
            let cpu = Cpu::with_level(2, level);
            let [sum, statistics, d_output, gamma, beta, wide, narrow] =
                [&sum, &statistics, &d_output, &gamma, &beta, &wide, &narrow]
                    .map(|values| cpu.upload(values));
            let norm = Affine { weight: &gamma, bias: &beta };
            let mut x = cpu.scratch(rows * hidden);
            cpu.norm_output(norm, hidden, &sum, &statistics, &mut x);
            let size = LinearSize { rows, inputs: hidden, outputs: inner, precision };
            let biases = [inner, hidden].map(|n| cpu.zeros(n));
            let affines =
                [Affine { weight: &wide, bias: &biases[0] }, Affine { weight: &narrow, bias: &biases[1] }];
            let (mut before, mut y) = (cpu.scratch(cpu.kept_len(size)), cpu.scratch(rows * hidden));
            cpu.feed_forward(size, &x, affines, Activation::Gelu, Some(&mut before), &mut y);
            let run = |x: LayerInput<'_, _>| {
                let n = inner * hidden;
                let mut gradients = [rows * hidden, n, inner, n, hidden].map(|n| cpu.zeros(n));
                let [dx, d_wide, d_wide_bias, d_narrow, d_narrow_bias] = &mut gradients;
                let d_wide = AffineGradient { weight: d_wide, bias: d_wide_bias };
                let d_narrow = AffineGradient { weight: d_narrow, bias: d_narrow_bias };
                let (weights, gradients_of) = ([&wide, &narrow], [d_wide, d_narrow]);
                let layers = FeedForwardBackward {
                    x,
                    before: &before,
                    d_output: &d_output,
                    weights,
                    gradients: gradients_of,
                };
                cpu.feed_forward_backward_add(size, Activation::Gelu, layers, dx);
                let mut square = [hidden * hidden, hidden, rows * hidden].map(|n| cpu.zeros(n));
                let [weight, bias, dx] = &mut square;
                let of_layer = cpu.upload(&vec![0.5; hidden * hidden]);
                let gradient = AffineGradient { weight, bias };
                let layer = LinearBackward { weight: &of_layer, d_output: &d_output, gradient };
                cpu.linears_backward(LinearSize { outputs: hidden, ..size }, x, [layer], false, dx);
                let bits = |buffer| {
                    let values = cpu.download(buffer);
                    assert!(values.iter().all(|x| x.is_finite()), "{level} {precision}");
                    values.into_iter().map(f32::to_bits).collect::<Vec<_>>()
                };
                gradients.iter().chain(&square).map(bits).collect::<Vec<_>>()
            };
            let again = run(LayerInput::Normed { norm, sum: &sum, statistics: &statistics });
            assert!(run(LayerInput::Kept(&x)) == again, "{level} {precision}");
        }
    }
}

#[test]
fn gradients_are_added_to_what_is_there() {
    // Odd, several tiles either way, and more rows than a weight's gradient takes at once.
    for [rows, inputs, outputs] in [[2149, 9, 7], [3, 70, 401], [130, 401, 5]] {
        let mut draws = Draws::new(21);
        let x = draws.normal(rows * inputs);
        let layers: Vec<[Vec<f32>; 4]> = (0..3)
            .map(|_| [outputs * inputs, rows * outputs, outputs * inputs, outputs].map(|n| draws.normal(n)))
            .collect();
        let dx = draws.normal(rows * inputs);
        for level in Level::available() {
            for precision in [Precision::F32, Precision::Bf16] {
                let cpu = Cpu::with_level(2, level);
                let there: Vec<[_; 4]> =
                    layers.iter().map(|layer| layer.each_ref().map(|values| cpu.upload(values))).collect();
                let [mut one, mut two, mut three] = <[[_; 4]; 3]>::try_from(there).expect("three layers");
                let mut found_dx = cpu.upload(&dx);
                let own = [&mut one, &mut two, &mut three].map(|[weight, d_output, d_weight, d_bias]| {
                    let gradient = AffineGradient { weight: d_weight, bias: d_bias };
                    LinearBackward { weight, d_output, gradient }
                });
                let size = LinearSize { rows, inputs, outputs, precision };
                cpu.linears_backward(size, (&cpu.upload(&x)).into(), own, true, &mut found_dx);

                let operand = |x: f32| if precision == Precision::Bf16 { rounded(x) } else { f64::from(x) };
                let name = format!("{level} {precision} {rows}×{inputs}×{outputs}");
                for ([_, _, d_weight, d_bias], [_, d_output, before, before_bias]) in
                    [&one, &two, &three].into_iter().zip(&layers)
                {
                    for output in 0..outputs {
                        let d = |row: usize| d_output[row * outputs + output];
                        let bias = sum((0..rows).map(|row| f64::from(d(row))));
                        check(&name, d_bias[output], before_bias[output], bias);
                        for input in 0..inputs {
                            let of = |row: usize| operand(d(row)) * operand(x[row * inputs + input]);
                            let place = output * inputs + input;
                            check(&name, d_weight[place], before[place], sum((0..rows).map(of)));
                        }
                    }
                }
                for row in 0..rows {
                    for input in 0..inputs {
                        let of = |[weight, d_output, ..]: &[Vec<f32>; 4], output: usize| {
                            operand(d_output[row * outputs + output])
                                * operand(weight[output * inputs + input])
                        };
                        let of = &of;
                        let products =
                            layers.iter().flat_map(|layer| (0..outputs).map(move |output| of(layer, output)));
                        let place = row * inputs + input;
                        check(&name, found_dx[place], dx[place], sum(products));
                    }
                }
            }
        }
    }
}
