//! Operators whose results follow from arithmetic on paper, for both implementations.

use sbmoe_kernels::{
    AdamwStep, ContrastiveInputs, Cpu, Directions, Dropout, Key, Ops, Pooling, Reference, Tokens,
};

fn close(values: &[f32], expected: &[f32]) {
    assert_eq!(values.len(), expected.len());
    for (value, expected) in values.iter().zip(expected) {
        assert!((value - expected).abs() <= 1e-6 * (1.0 + expected.abs()), "{values:?}");
    }
}

fn known<O: Ops>(ops: &O) {
    let x = ops.upload(&[1.0, 5.0, 5.0, -2.0, -3.0, -1.0]);
    assert_eq!(ops.arg_max(3, &x), [1, 2]);
    assert_eq!(ops.len(&x), 6);
    assert!((ops.sum_of_squares(&x) - 65.0).abs() < 1e-12);

    let mut out = ops.zeros(4);
    ops.gather_rows(2, &[2, 0], &x, &mut out);
    close(&ops.download(&out), &[-3.0, -1.0, 1.0, 5.0]);
    ops.scatter_add_rows(2, &[1, 1, 0], &x, &mut out);
    close(&ops.download(&out), &[-6.0, -2.0, 7.0, 8.0]);
    ops.scale(&mut out, 0.5);
    let other = ops.upload(&[1.0; 4]);
    ops.add(&other, &mut out);
    close(&ops.download(&out), &[-2.0, 0.0, 4.5, 5.0]);
    ops.fill(&mut out, 2.5);
    close(&ops.download(&out), &[2.5; 4]);
    ops.copy(&other, &mut out);
    close(&ops.download(&out), &[1.0; 4]);

    let tokens = Tokens::new(&[vec![0, 0], vec![0]], 0);
    let mut pooled = ops.zeros(4);
    ops.pool(Pooling::Mean, &tokens, 2, &x, &mut pooled);
    close(&ops.download(&pooled), &[3.0, 1.5, -3.0, -1.0]);
    ops.pool(Pooling::Max, &tokens, 2, &x, &mut pooled);
    close(&ops.download(&pooled), &[5.0, 5.0, -3.0, -1.0]);
    ops.pool(Pooling::Cls, &tokens, 2, &x, &mut pooled);
    close(&ops.download(&pooled), &[1.0, 5.0, -3.0, -1.0]);

    // Two orthogonal pairs: each row's loss is ln(1 + e⁻¹); a tie counts as found.
    let unit = ops.upload_rows(&[&[1.0, 0.0, 0.0, 1.0], &[1.0, 0.0], &[0.0, 1.0]]);
    let read = |vectors, excluded| ContrastiveInputs {
        vectors,
        n_queries: 2,
        n_documents: 2,
        hidden: 2,
        temperature: 1.0,
        excluded,
        directions: Directions::OneWay,
    };
    let mut d_vectors = ops.zeros(8);
    let agreement = ops.contrastive(read(&unit, &[]), &mut d_vectors);
    assert!((agreement.loss - (-1.0_f64).exp().ln_1p()).abs() < 1e-7);
    assert_eq!(agreement.correct, 2);
    let nothing = ops.upload(&[0.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 1.0]);
    let agreement = ops.contrastive(read(&nothing, &[]), &mut d_vectors);
    assert!((agreement.loss - 2.0_f64.ln()).abs() < 1e-7);
    assert_eq!(agreement.correct, 2);
    let agreement = ops.contrastive(read(&unit, &[(0, 1), (1, 0)]), &mut d_vectors);
    assert!(agreement.loss.abs() < 1e-7);
    close(&ops.download(&d_vectors), &[0.0; 8]);

    // The first step moves by the learning rate against the sign of the gradient, after the decay.
    let step = AdamwStep {
        learning_rate: 0.1,
        beta1: 0.9,
        beta2: 0.999,
        epsilon: 1e-8,
        weight_decay: 0.01,
        step: 1,
        gradient_scale: 1.0,
    };
    let (mut m, mut v) = (ops.zeros(2), ops.zeros(2));
    let mut parameter = ops.upload(&[1.0, 1.0]);
    ops.adamw(step, &ops.upload(&[0.5, -0.02]), [&mut m, &mut v], &mut parameter);
    close(&ops.download(&parameter), &[0.899, 1.099]);
    close(&ops.download(&m), &[0.05, -0.002]);
}

#[test]
fn both_implementations_give_the_known_values() {
    known(&Reference::<f64>::new());
    known(&Reference::<f32>::new());
    known(&Cpu::new(2));
}

#[test]
fn dropout_keeps_the_share_that_it_says() {
    let dropout = Dropout::new(0.1, Key::new(9));
    let mut kept = 0;
    for row in 0..1000 {
        let key = dropout.row(2, 1, row);
        kept += (0..1000).filter(|&column| dropout.keeps(key, column)).count();
    }
    assert!((kept as f64 / 1e6 - 0.9).abs() < 0.002, "{kept}");
    assert!((dropout.scale() - 1.0 / 0.9).abs() < 1e-4);
}
