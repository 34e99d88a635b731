//! Every backward of the reference against central differences of its forward, in f64.

use sbmoe_kernels::{
    Activation, Affine, AffineGradient, AttentionInputs, Dropout, EmbeddingGradient, EmbeddingTables,
    FeedForwardBackward, Key, LinearBackward, LinearSize, NormOutput, Ops, Pooling, Precision, Reference,
    Tokens,
};

use crate::draws::Draws;

type Buffer = Vec<f64>;

const STEP: f64 = 1e-5;

/// Compares `gradients`, one per input, with the differences of `loss`.
pub(crate) fn check(inputs: &[Buffer], loss: impl Fn(&[Buffer]) -> f64, gradients: &[Buffer]) {
    assert_eq!(inputs.len(), gradients.len());
    let mut moved = inputs.to_vec();
    for (input, gradient) in gradients.iter().enumerate() {
        assert_eq!(gradient.len(), inputs[input].len(), "input {input}");
        let largest = gradient.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
        let stride = gradient.len().div_ceil(97);
        for i in (0..gradient.len()).step_by(stride) {
            let x = inputs[input][i];
            moved[input][i] = x + STEP;
            let above = loss(&moved);
            moved[input][i] = x - STEP;
            let below = loss(&moved);
            moved[input][i] = x;
            let difference = (above - below) / (2.0 * STEP);
            let error = (difference - gradient[i]).abs();
            assert!(
                error <= 1e-6 * largest + 1e-9,
                "input {input}, element {i}: differences {difference}, backward {}",
                gradient[i]
            );
        }
    }
}

fn weighted(weights: &[f64], values: &[f64]) -> f64 {
    assert_eq!(weights.len(), values.len());
    weights.iter().zip(values).map(|(weight, value)| weight * value).sum()
}

fn zeros(like: &[f64]) -> Buffer {
    vec![0.0; like.len()]
}

const OPS: fn() -> Reference<f64> = Reference::<f64>::new;

fn dropouts() -> [Dropout; 2] {
    [Dropout::NONE, Dropout::new(0.3, Key::new(5))]
}

#[test]
fn linear() {
    let size = LinearSize { rows: 7, inputs: 5, outputs: 3, precision: Precision::F32 };
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        let mut draws = Draws::new(1);
        let inputs = [draws.wide(35), draws.wide(15), draws.wide(3)];
        let weights = draws.wide(21);
        let forward = |inputs: &[Buffer]| {
            let (mut before, mut output) = (vec![0.0; 21], vec![0.0; 21]);
            let layer = Affine { weight: &inputs[1], bias: &inputs[2] };
            OPS().linear(size, &inputs[0], layer, activation, Some(&mut before), &mut output);
            let mut again = vec![0.0; 21];
            OPS().activate(activation, &before, &mut again);
            assert_eq!(again, output);
            (before, output)
        };
        let (before, _) = forward(&inputs);
        let mut d = weights.clone();
        OPS().activate_backward(activation, &before, &mut d);
        let mut gradients = inputs.each_ref().map(|input| zeros(input));
        let [dx, weight, bias] = &mut gradients;
        OPS().linear_backward_parameters(size, &inputs[0], &d, AffineGradient { weight, bias });
        OPS().linear_backward_input(size, &inputs[1], &d, dx);
        check(&inputs, |inputs| weighted(&weights, &forward(inputs).1), &gradients);

        // Gradients are added to what is there, or written over it, as the operator's name says.
        let once = gradients.clone();
        let [dx, weight, bias] = &mut gradients;
        OPS().linear_backward_parameters(size, &inputs[0], &d, AffineGradient { weight, bias });
        OPS().linear_backward_input_add(size, &inputs[1], &d, dx);
        for (twice, once) in gradients.iter().flatten().zip(once.iter().flatten()) {
            assert!((twice - 2.0 * once).abs() < 1e-12);
        }
        let [_, weight, bias] = &mut gradients;
        OPS().linear_backward_parameters_set(size, &inputs[0], &d, AffineGradient { weight, bias });
        assert_eq!(gradients[1..], once[1..]);
    }
}

#[test]
fn linear_layers_of_one_input() {
    let size = LinearSize { rows: 7, inputs: 5, outputs: 3, precision: Precision::F32 };
    let mut draws = Draws::new(4);
    let weights = [draws.wide(21), draws.wide(21), draws.wide(21)];
    // x, and three layers.
    let inputs = [35, 15, 3, 15, 3, 15, 3].map(|n| draws.wide(n));
    let loss = |inputs: &[Buffer]| {
        let outputs = (0..3).map(|layer| {
            let affine = Affine { weight: &inputs[1 + 2 * layer], bias: &inputs[2 + 2 * layer] };
            let mut output = vec![0.0; 21];
            OPS().linear(size, &inputs[0], affine, Activation::Identity, None, &mut output);
            weighted(&weights[layer], &output)
        });
        outputs.sum()
    };
    let mut gradients = inputs.each_ref().map(|input| zeros(input));
    let [dx, w0, b0, w1, b1, w2, b2] = &mut gradients;
    let layer = |layer: usize, weight, bias| LinearBackward {
        weight: &inputs[1 + 2 * layer],
        d_output: &weights[layer],
        gradient: AffineGradient { weight, bias },
    };
    dx.fill(f64::NAN);
    OPS().linears_backward(size, (&inputs[0]).into(), [layer(0, w0, b0)], false, dx);
    OPS().linears_backward(size, (&inputs[0]).into(), [layer(1, w1, b1), layer(2, w2, b2)], true, dx);
    check(&inputs, loss, &gradients);
}

#[test]
fn feed_forward() {
    let size = LinearSize { rows: 7, inputs: 3, outputs: 5, precision: Precision::F32 };
    for activation in [Activation::Identity, Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
        let mut draws = Draws::new(6);
        let (weights, inputs) = (draws.wide(21), [21, 15, 5, 15, 3].map(|n| draws.wide(n)));
        let forward = |inputs: &[Buffer]| {
            let layers = [1, 3].map(|at| Affine { weight: &inputs[at], bias: &inputs[at + 1] });
            let (mut before, mut output) = (vec![0.0; 35], vec![0.0; 21]);
            OPS().feed_forward(size, &inputs[0], layers, activation, Some(&mut before), &mut output);
            (before, output)
        };
        let mut gradients = inputs.each_ref().map(|input| zeros(input));
        let [dx, w0, b0, w1, b1] = &mut gradients;
        let layers = FeedForwardBackward {
            x: (&inputs[0]).into(),
            before: &forward(&inputs).0,
            d_output: &weights,
            weights: [&inputs[1], &inputs[3]],
            gradients: [AffineGradient { weight: w0, bias: b0 }, AffineGradient { weight: w1, bias: b1 }],
        };
        OPS().feed_forward_backward_add(size, activation, layers, dx);
        check(&inputs, |inputs| weighted(&weights, &forward(inputs).1), &gradients);
    }
}

#[test]
fn embedding_with_repeated_tokens() {
    for dropout in dropouts() {
        let mut draws = Draws::new(2);
        let (hidden, vocabulary) = (6, 4);
        let tokens = draws.tokens(&[3, 1, 5], vocabulary);
        let inputs = [
            draws.wide(vocabulary * hidden),
            draws.wide(5 * hidden),
            draws.wide(2 * hidden),
            draws.wide(hidden),
            draws.wide(hidden),
        ];
        let n = tokens.n_tokens() * hidden;
        let weights = draws.wide(n);
        let forward = |inputs: &[Buffer]| {
            let (mut sum, mut statistics, mut output) =
                (vec![0.0; n], vec![0.0; tokens.n_tokens() * 2], vec![0.0; n]);
            let norm = Affine { weight: &inputs[3], bias: &inputs[4] };
            let tables =
                EmbeddingTables { word: &inputs[0], position: &inputs[1], token_type: &inputs[2], norm };
            let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
            OPS().embed(tables, &tokens, hidden, 1e-12, dropout, out);
            (sum, statistics, output)
        };
        let (sum, statistics, _) = forward(&inputs);
        let mut gradients = inputs.each_ref().map(|input| zeros(input));
        let [word, position, token_type, weight, bias] = &mut gradients;
        let norm = Affine { weight: &inputs[3], bias: &inputs[4] };
        let gradient =
            EmbeddingGradient { word, position, token_type, norm: AffineGradient { weight, bias } };
        OPS().embed_backward(norm, &tokens, hidden, dropout, &sum, &statistics, &weights, gradient);
        check(&inputs, |inputs| weighted(&weights, &forward(inputs).2), &gradients);
    }
}

#[test]
fn attention_on_ragged_texts() {
    for dropout in dropouts() {
        let mut draws = Draws::new(3);
        let (heads, hidden) = (3, 15);
        let tokens = draws.tokens(&[4, 1, 7], 9);
        let n = tokens.n_tokens() * hidden;
        let inputs = [draws.wide(n), draws.wide(n), draws.wide(n)];
        let weights = draws.wide(n);
        let given = |inputs: &[Buffer], tokens: &Tokens| {
            let (mut output, mut log_sums) = (vec![0.0; n], vec![0.0; heads * tokens.n_tokens()]);
            let [query, key, value] = [&inputs[0], &inputs[1], &inputs[2]];
            let inputs = AttentionInputs {
                query,
                key,
                value,
                tokens,
                heads,
                hidden,
                dropout,
                precision: Precision::F32,
            };
            OPS().attention(inputs, &mut output, &mut log_sums);
            (output, log_sums)
        };
        let (output, log_sums) = given(&inputs, &tokens);
        let mut gradients = inputs.each_ref().map(|input| zeros(input));
        let [query, key, value] = inputs.each_ref();
        let read = AttentionInputs {
            query,
            key,
            value,
            tokens: &tokens,
            heads,
            hidden,
            dropout,
            precision: Precision::F32,
        };
        OPS().attention_backward(read, &output, &log_sums, &weights, gradients.each_mut());
        check(&inputs, |inputs| weighted(&weights, &given(inputs, &tokens).0), &gradients);
    }
}

#[test]
fn residual_norm() {
    for dropout in dropouts() {
        let mut draws = Draws::new(4);
        let hidden = 10;
        let tokens = draws.tokens(&[2, 4], 9);
        let n = tokens.n_tokens() * hidden;
        let inputs = [draws.wide(n), draws.wide(n), draws.wide(hidden), draws.wide(hidden)];
        let weights = draws.wide(n);
        let forward = |inputs: &[Buffer]| {
            let mut sum = inputs[0].clone();
            let (mut statistics, mut output) = (vec![0.0; tokens.n_tokens() * 2], vec![0.0; n]);
            let norm = Affine { weight: &inputs[2], bias: &inputs[3] };
            let out = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut output };
            OPS().residual_norm(&inputs[1], norm, &tokens, hidden, 1e-5, dropout, out);
            (sum, statistics, output)
        };
        let (sum, statistics, _) = forward(&inputs);
        let mut gradients = inputs.each_ref().map(|input| zeros(input));
        let [d_layer, d_residual, weight, bias] = &mut gradients;
        let norm = Affine { weight: &inputs[2], bias: &inputs[3] };
        let gradient = AffineGradient { weight, bias };
        OPS().residual_norm_backward(
            norm,
            &tokens,
            hidden,
            dropout,
            &sum,
            &statistics,
            &weights,
            d_layer,
            d_residual,
            gradient,
        );
        check(&inputs, |inputs| weighted(&weights, &forward(inputs).2), &gradients);
    }
}

#[test]
fn pooling() {
    for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max] {
        let mut draws = Draws::new(5);
        let hidden = 4;
        let tokens = draws.tokens(&[3, 1, 6], 9);
        let inputs = [draws.wide(tokens.n_tokens() * hidden)];
        let weights = draws.wide(tokens.n_texts() * hidden);
        let forward = |inputs: &[Buffer]| {
            let mut output = vec![0.0; tokens.n_texts() * hidden];
            OPS().pool(pooling, &tokens, hidden, &inputs[0], &mut output);
            weighted(&weights, &output)
        };
        let mut dx = zeros(&inputs[0]);
        OPS().pool_backward(pooling, &tokens, hidden, &inputs[0], &weights, &mut dx);
        check(&inputs, forward, &[dx]);
    }
}

#[test]
fn softmax() {
    let mut draws = Draws::new(6);
    let inputs = [draws.wide(18)];
    let weights = draws.wide(18);
    let forward = |inputs: &[Buffer]| {
        let mut output = vec![0.0; 18];
        OPS().softmax(6, &inputs[0], &mut output);
        output
    };
    let mut d_logits = vec![0.0; 18];
    OPS().softmax_backward(6, &forward(&inputs), &weights, &mut d_logits);
    check(&inputs, |inputs| weighted(&weights, &forward(inputs)), &[d_logits]);
}

#[test]
fn gate_noise() {
    let mut draws = Draws::new(7);
    let epsilon = draws.wide(12);
    let inputs = [draws.wide(12), draws.wide(12)];
    let weights = draws.wide(12);
    let forward = |inputs: &[Buffer]| {
        let mut logits = inputs[1].clone();
        OPS().add_gate_noise(&epsilon, &inputs[0], &mut logits);
        weighted(&weights, &logits)
    };
    let mut d_raw = vec![0.0; 12];
    OPS().add_gate_noise_backward(&epsilon, &inputs[0], &weights, &mut d_raw);
    check(&inputs, forward, &[d_raw, weights.clone()]);
}

#[test]
fn taking_columns() {
    let mut draws = Draws::new(8);
    let choice = draws.integers(5, 4);
    let inputs = [draws.wide(20)];
    let weights = draws.wide(5);
    let forward = |inputs: &[Buffer]| {
        let mut out = vec![0.0; 5];
        OPS().take_columns(4, &choice, &inputs[0], &mut out);
        weighted(&weights, &out)
    };
    let mut dx = vec![f64::NAN; 20];
    OPS().take_columns_backward(4, &choice, &weights, &mut dx);
    check(&inputs, forward, &[dx]);
}

#[test]
fn mixing() {
    let mut draws = Draws::new(9);
    let (rows, columns, n_parts) = (4, 5, 3);
    let inputs: Vec<Buffer> = [rows * n_parts, rows * columns, rows * columns, rows * columns]
        .iter()
        .map(|&n| draws.wide(n))
        .collect();
    let weights = draws.wide(rows * columns);
    let forward = |inputs: &[Buffer]| {
        let mut out = vec![0.0; rows * columns];
        OPS().mix(columns, &inputs[0], &inputs[1..], &mut out);
        weighted(&weights, &out)
    };
    let mut gradients: Vec<Buffer> = inputs.iter().map(|input| zeros(input)).collect();
    OPS().mix_backward_weights(columns, &inputs[1..], &weights, &mut gradients[0]);
    for part in 0..n_parts {
        OPS().mix_backward_part(columns, &inputs[0], part, n_parts, &weights, &mut gradients[part + 1]);
    }
    check(&inputs, forward, &gradients);
}

#[test]
fn normalizing_above_and_below_epsilon() {
    let mut draws = Draws::new(10);
    let mut x = draws.wide(15);
    for x in &mut x[5..10] {
        *x *= 1e-2;
    }
    let inputs = [x];
    let weights = draws.wide(15);
    let forward = |inputs: &[Buffer]| {
        let (mut out, mut norms) = (vec![0.0; 15], vec![0.0; 3]);
        OPS().normalize(5, 0.1, &inputs[0], &mut out, &mut norms);
        (out, norms)
    };
    let (out, norms) = forward(&inputs);
    assert!(norms[0] > 0.1 && norms[1] < 0.1);
    let mut dx = vec![0.0; 15];
    OPS().normalize_backward(5, 0.1, &out, &norms, &weights, &mut dx);
    check(&inputs, |inputs| weighted(&weights, &forward(inputs).0), &[dx]);
}
