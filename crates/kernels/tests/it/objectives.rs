//! The losses: what [`agreement`](crate::agreement) compares of them, their finite differences, and what a NaN does.

use sbmoe_kernels::{
    ContrastiveInputs, Cpu, Directions, DistillInputs, DistillLoss, Level, Objectives, Ops, Reference,
};

use crate::agreement::Results;
use crate::draws::Draws;
use crate::gradients::check;

const LOSSES: [DistillLoss; 3] =
    [DistillLoss::Kl { temperature: 1.0 }, DistillLoss::Kl { temperature: 0.25 }, DistillLoss::MarginMse];

/// Runs every loss on inputs that depend on the seed and the sizes alone.
pub(crate) fn run<O: Ops>(ops: &O, seed: u64, texts: usize, hidden: usize, results: &mut Results) {
    let mut draws = Draws::new(seed);
    let mut keep = |name: String, buffer: &O::Buffer| results.push((name, ops.download(buffer)));
    // Twelve texts make enough pairs for every loop to be cut into tasks.
    let (n_queries, n_documents) = (texts * 16, texts * 17 + 1);
    let vectors = ops.upload(&draws.normal((n_queries + n_documents) * hidden));
    let mut d_vectors = ops.scratch((n_queries + n_documents) * hidden);
    for directions in [Directions::OneWay, Directions::Both] {
        let inputs = ContrastiveInputs {
            vectors: &vectors,
            n_queries,
            n_documents,
            hidden,
            temperature: hidden as f64,
            excluded: &[(2, 0), (0, 1), (2, 3), (0, n_documents as u32 - 1)],
            directions,
        };
        let agreement = ops.contrastive(inputs, &mut d_vectors);
        let agreement = ops.upload(&[agreement.loss as f32, agreement.correct as f32]);
        keep(format!("contrastive, {directions:?}"), &agreement);
        keep(format!("contrastive d_vectors, {directions:?}"), &d_vectors);
    }
    let targets = targets(&mut draws, n_queries, n_documents);
    for loss in LOSSES {
        let inputs = DistillInputs {
            vectors: &vectors,
            n_queries,
            n_documents,
            hidden,
            temperature: hidden as f64,
            targets: &targets,
            loss,
            weight: 0.7,
        };
        let value = ops.distill(inputs, &mut d_vectors);
        keep(format!("distill, {loss:?}"), &ops.upload(&[value as f32]));
        keep(format!("distill d_vectors, {loss:?}"), &d_vectors);
    }
}

/// A teacher's scores of two pairs in three; the second query has one, the third none of its positive.
fn targets(draws: &mut Draws, n_queries: usize, n_documents: usize) -> Vec<f32> {
    let mut targets = draws.normal(n_queries * n_documents);
    targets.iter_mut().skip(1).step_by(3).for_each(|target| *target = f32::NAN);
    targets[n_documents..2 * n_documents].fill(f32::NAN);
    targets[n_documents + 2] = 0.5;
    targets[2 * n_documents + 2] = f32::NAN;
    targets
}

#[test]
fn contrastive_with_more_documents_than_queries_and_excluded_pairs() {
    for directions in [Directions::OneWay, Directions::Both] {
        for excluded in [vec![], vec![(0, 1), (2, 4), (2, 0)]] {
            let (n_queries, n_documents, hidden) = (3, 6, 4);
            let inputs = [Draws::new(11).wide((n_queries + n_documents) * hidden)];
            let loss = |inputs: &[Vec<f64>]| {
                let mut d_vectors = vec![f64::NAN; inputs[0].len()];
                let read = ContrastiveInputs {
                    vectors: &inputs[0],
                    n_queries,
                    n_documents,
                    hidden,
                    temperature: 0.7,
                    excluded: &excluded,
                    directions,
                };
                let agreement = Reference::<f64>::new().contrastive(read, &mut d_vectors);
                (agreement.loss, [d_vectors])
            };
            let (_, gradients) = loss(&inputs);
            check(&inputs, |inputs| loss(inputs).0, &gradients);
        }
    }
}

#[test]
fn distillation_adds_its_weight_times_the_gradients_of_its_loss() {
    let (n_queries, n_documents, hidden, weight, before) = (4, 7, 5, 0.3, 2.0);
    for loss in LOSSES {
        let mut draws = Draws::new(12);
        let inputs = [draws.wide((n_queries + n_documents) * hidden)];
        let targets = targets(&mut draws, n_queries, n_documents);
        let value = |inputs: &[Vec<f64>]| {
            let mut d_vectors = vec![before; inputs[0].len()];
            let read = DistillInputs {
                vectors: &inputs[0],
                n_queries,
                n_documents,
                hidden,
                temperature: 0.6,
                targets: &targets,
                loss,
                weight,
            };
            (Reference::<f64>::new().distill(read, &mut d_vectors), d_vectors)
        };
        let (found, gradients) = value(&inputs);
        assert!(found > 0.1, "{loss:?}: {found}");
        let own = gradients.iter().map(|gradient| (gradient - before) / weight).collect();
        check(&inputs, |inputs| value(inputs).0, &[own]);
    }
}

/// Both losses of two queries and three documents over `ops`, with the gradients.
fn distilled<O: Ops>(ops: &O, values: &[f32], targets: &[f32], loss: DistillLoss) -> (f64, Vec<f32>) {
    let mut d_vectors = ops.upload(&vec![1.0; values.len()]);
    let inputs = DistillInputs {
        vectors: &ops.upload(values),
        n_queries: 2,
        n_documents: 3,
        hidden: 2,
        temperature: 0.5,
        targets,
        loss,
        weight: 2.0,
    };
    let value = ops.distill(inputs, &mut d_vectors);
    (value, ops.download(&d_vectors))
}

const VECTORS: [f32; 10] = [1.0, 0.5, -0.5, 1.0, 0.25, 0.75, 1.0, -1.0, 0.5, 0.5];

const NONE: f32 = f32::NAN;

#[test]
fn a_pair_that_the_teacher_did_not_score_takes_no_part() {
    fn check<O: Ops>(ops: &O) {
        for loss in LOSSES {
            let kl = matches!(loss, DistillLoss::Kl { .. });
            let nothing = [NONE, NONE, NONE, NONE, 0.5, NONE];
            assert_eq!(distilled(ops, &VECTORS, &nothing, loss), (0.0, vec![1.0; 10]), "{loss:?}");
            // Without the positive of the only query there are no margins, but there is a distribution.
            let others = [NONE, 0.5, 2.0, NONE, NONE, NONE];
            assert_eq!(distilled(ops, &VECTORS, &others, loss).0 != 0.0, kl, "{loss:?}");
            let some = [0.5, NONE, 2.0, NONE, NONE, NONE];
            let (value, gradients) = distilled(ops, &VECTORS, &some, loss);
            assert!(value > 0.0, "{loss:?}");
            // The second query and the second document are in no pair.
            assert_eq!([&gradients[2..4], &gradients[6..8]], [&[1.0; 2]; 2], "{loss:?}");
            assert!(gradients[0..2].iter().all(|gradient| (gradient - 1.0).abs() > 1e-3), "{loss:?}");
            let moved: Vec<f32> =
                VECTORS.iter().enumerate().map(|(i, x)| if matches!(i, 2 | 6) { 9.0 } else { *x }).collect();
            assert_eq!(distilled(ops, &moved, &some, loss).0.to_bits(), value.to_bits(), "{loss:?}");
        }
    }
    check(&Reference::<f64>::new());
    for level in Level::available() {
        check(&Cpu::with_level(1, level));
    }
}

#[test]
fn known_divergences_and_margins() {
    fn check<O: Ops>(ops: &O) {
        // The student's scores of the first query: .625, .5 and .75; divided by ½, 1.25, 1 and 1.5.
        let same = [2.5, 2.0, 3.0, NONE, NONE, NONE];
        let (value, gradients) = distilled(ops, &VECTORS, &same, DistillLoss::Kl { temperature: 2.0 });
        assert!(value.abs() < 1e-6, "{value}");
        assert!(gradients.iter().all(|gradient| (gradient - 1.0).abs() < 1e-6), "{gradients:?}");
        // Margins of .125 and −.125 where the teacher has .5 and −.5.
        let (value, gradients) = distilled(ops, &VECTORS, &same, DistillLoss::MarginMse);
        assert!((value - 0.375 * 0.375).abs() < 1e-6, "{value}");
        // The margins pull the positive both ways alike; the score of each other document has ±.375 · 2 · 2 / 2.
        let expected = [1.375, -0.125, 1.0, 1.0, 1.0, 1.0, 1.75, 1.375, 0.25, 0.625];
        for (found, expected) in gradients.iter().zip(expected) {
            assert!((found - expected).abs() < 1e-5, "{gradients:?}");
        }
    }
    check(&Reference::<f64>::new());
    for level in Level::available() {
        check(&Cpu::with_level(1, level));
    }
}

#[test]
fn a_nan_among_the_vectors_comes_out_of_every_loss() {
    fn check<O: Ops>(ops: &O) {
        for place in [0, 3, 4, 9] {
            let mut values = VECTORS;
            values[place] = f32::NAN;
            for directions in [Directions::OneWay, Directions::Both] {
                let mut d_vectors = ops.zeros(10);
                let inputs = ContrastiveInputs {
                    vectors: &ops.upload(&values),
                    n_queries: 2,
                    n_documents: 3,
                    hidden: 2,
                    temperature: 0.5,
                    excluded: &[],
                    directions,
                };
                assert!(ops.contrastive(inputs, &mut d_vectors).loss.is_nan(), "{directions:?}, {place}");
                assert!(ops.download(&d_vectors).iter().any(|x| x.is_nan()), "{directions:?}, {place}");
            }
            for loss in LOSSES {
                let targets = [0.5, 0.25, 1.0, NONE, 0.0, 0.5];
                let (value, gradients) = distilled(ops, &values, &targets, loss);
                assert!(value.is_nan(), "{loss:?}, {place}");
                assert!(gradients.iter().any(|x| x.is_nan()), "{loss:?}, {place}");
            }
        }
    }
    check(&Reference::<f64>::new());
    for level in Level::available() {
        check(&Cpu::with_level(1, level));
    }
}
