//! A NaN that goes into an operator comes out of it.

use sbmoe_kernels::{
    Activation, Affine, AttentionInputs, Cpu, Dropout, Level, LinearSize, NormOutput, Ops, Pooling,
    Precision, Tokens,
};

#[test]
fn nan_flows_through_every_forward_operator() {
    let tokens = Tokens::new(&[vec![0; 19], vec![0; 3]], 0);
    let (hidden, n) = (20, 22 * 20);
    let mut values = vec![0.5; n];
    values[7] = f32::NAN;
    for level in Level::available() {
        let ops = Cpu::with_level(1, level);
        let x = ops.upload(&values);
        let ones = ops.upload(&vec![1.0; n]);
        let check = |name: &str, out: &<Cpu as Ops>::Buffer| {
            let out = ops.download(out);
            assert!(out[..hidden].iter().any(|x| x.is_nan()), "{name} at {level} hides a NaN");
            assert!(out[out.len() - 3..].iter().all(|x| x.is_finite()), "{name} at {level} spreads a NaN");
        };

        let mut out = ops.zeros(n);
        for activation in [Activation::Relu, Activation::Gelu, Activation::GeluTanh] {
            ops.activate(activation, &x, &mut out);
            check("activation", &out);
        }
        let weight = ops.upload(&vec![0.1; hidden * hidden]);
        let bias = ops.zeros(hidden);
        let layer = Affine { weight: &weight, bias: &bias };
        let size = LinearSize { rows: 22, inputs: hidden, outputs: hidden, precision: Precision::F32 };
        ops.linear(size, &x, layer, Activation::Relu, None, &mut out);
        check("linear", &out);

        let mut log_sums = ops.zeros(2 * 22);
        let read = AttentionInputs {
            query: &x,
            key: &ones,
            value: &ones,
            tokens: &tokens,
            heads: 2,
            hidden,
            dropout: Dropout::NONE,
            precision: Precision::F32,
        };
        ops.attention(read, &mut out, &mut log_sums);
        check("attention", &out);
        ops.attention(AttentionInputs { query: &ones, value: &x, ..read }, &mut out, &mut log_sums);
        check("attention values", &out);

        let gamma = ops.upload(&vec![1.0; hidden]);
        let (mut sum, mut statistics) = (ops.upload(&values), ops.zeros(2 * 22));
        let norm = Affine { weight: &gamma, bias: &bias };
        let written = NormOutput { sum: &mut sum, statistics: &mut statistics, output: &mut out };
        ops.residual_norm(&ones, norm, &tokens, hidden, 1e-12, Dropout::NONE, written);
        check("norm", &out);

        for pooling in [Pooling::Mean, Pooling::Cls, Pooling::Max] {
            let mut pooled = ops.zeros(2 * hidden);
            Ops::pool(&ops, pooling, &tokens, hidden, &x, &mut pooled);
            check("pooling", &pooled);
        }
        ops.softmax(hidden, &x, &mut out);
        check("softmax", &out);
        let mut norms = ops.zeros(22);
        ops.normalize(hidden, 1e-6, &x, &mut out, &mut norms);
        check("normalize", &out);
        let mut logits = ops.zeros(n);
        ops.add_gate_noise(&ones, &x, &mut logits);
        check("gate noise", &logits);
        assert_eq!(ops.arg_max(hidden, &x)[0], 7);
    }
}
