//! Values worked out by hand on a run with ties, a missing query, and documents that nobody judged.
//!
//! In `run.trec` three documents of `q1` share a score and follow each other by id, the largest first, so that the
//! grades of `q1` from the top are 0 (d3), unjudged (u1), 1 (d2), 2 (d1), −1 (d4); d5 (1) and d6 (0) are not returned.

use sbmoe_ir::{
    EvaluateOptions, Evaluation, Hit, MissingQueries, Qrels, Ranking, Run, evaluate, evaluate::EvaluateError,
};

use super::fixture;

fn evaluation(measures: &[&str], options: &EvaluateOptions) -> Evaluation {
    let qrels = Qrels::read(&fixture("qrels.trec")).expect("the fixture is readable");
    let run = Run::read(&fixture("run.trec")).expect("the fixture is readable");
    let measures: Vec<_> = measures.iter().map(|name| name.parse().expect("a measure")).collect();
    evaluate(&qrels, &run, &measures, options).expect("queries in common")
}

fn check_q1(measure: &str, expected: f64) {
    let evaluation = evaluation(&[measure], &EvaluateOptions::default());
    assert_eq!(evaluation.queries[0].query, "q1");
    let value = evaluation.queries[0].values[0];
    assert!((value - expected).abs() < 1e-12, "{measure} of q1 is {value}, by hand {expected}");
}

#[test]
fn ties_and_unjudged_documents_are_measured_as_by_hand() {
    let log3 = 3_f64.log2();
    let log5 = 5_f64.log2();
    check_q1("nDCG@2", 0.0);
    check_q1("nDCG@3", 0.5 / (2.0 + 1.0 / log3 + 0.5));
    check_q1("nDCG", (0.5 + 2.0 / log5) / (2.0 + 1.0 / log3 + 0.5));
    check_q1("nDCG(dcg='exp-log2')@3", 0.5 / (3.0 + 1.0 / log3 + 0.5));
    check_q1("P@2", 0.0);
    check_q1("P@4", 0.5);
    check_q1("P@10", 0.2);
    check_q1("R@3", 1.0 / 3.0);
    check_q1("R@10", 2.0 / 3.0);
    check_q1("AP", (1.0 / 3.0 + 2.0 / 4.0) / 3.0);
    check_q1("AP@3", 1.0 / 9.0);
    check_q1("AP(rel=2)", 0.25);
    check_q1("RR", 1.0 / 3.0);
    check_q1("RR@2", 0.0);
    check_q1("RR(rel=2)", 0.25);
    check_q1("Success@2", 0.0);
    check_q1("Success@3", 1.0);
    check_q1("Rprec", 1.0 / 3.0);
    // One of the two judged non-relevant documents stands above both relevant hits; d4 is passed over.
    check_q1("Bpref", (0.5 + 0.5) / 3.0);
    check_q1("Judged@2", 0.5);
    check_q1("Judged@10", 0.8);
    check_q1("Judged", 0.8);
    check_q1("SetP", 0.4);
    check_q1("SetR", 2.0 / 3.0);
    check_q1("SetF", 0.5);
}

#[test]
fn missing_queries_are_left_out_unless_asked_for() {
    let left_out = evaluation(&["RR"], &EvaluateOptions::default());
    assert_eq!(left_out.queries.len(), 3);
    assert_eq!((left_out.missing, left_out.unjudged), (1, 1));
    assert!((left_out.means[0] - (1.0 / 3.0 + 0.5) / 3.0).abs() < 1e-12);
    assert_eq!(
        left_out.conventions(),
        "mean over the 3 queries that are both judged and in the run (1 judged queries missing and left out); \
         hits with the query's own id kept"
    );

    let options =
        EvaluateOptions { missing_queries: MissingQueries::ScoredZero, ..EvaluateOptions::default() };
    let scored_zero = evaluation(&["RR"], &options);
    assert_eq!(scored_zero.queries.len(), 4);
    assert!(scored_zero.queries[3].missing);
    assert_eq!(scored_zero.queries[3].values, [0.0]);
    assert!((scored_zero.means[0] - (1.0 / 3.0 + 0.5) / 4.0).abs() < 1e-12);
    assert!(scored_zero.conventions().starts_with("mean over all 4 judged queries (1 missing and scored 0)"));
}

#[test]
fn a_query_without_relevant_documents_scores_zero() {
    let measures =
        ["nDCG@10", "P@1", "R@10", "AP", "RR", "Success@1", "Rprec", "Bpref", "SetP", "SetR", "SetF"];
    let evaluation = evaluation(&measures, &EvaluateOptions::default());
    assert_eq!(evaluation.queries[2].query, "q3");
    assert_eq!(evaluation.queries[2].values, vec![0.0; measures.len()]);
}

#[test]
fn identical_ids_are_kept_unless_asked_for() {
    assert_eq!(evaluation(&["RR"], &EvaluateOptions::default()).queries[1].values, [0.5]);
    let options = EvaluateOptions { ignore_identical_ids: true, ..EvaluateOptions::default() };
    let dropped = evaluation(&["RR"], &options);
    assert_eq!(dropped.queries[1].values, [1.0]);
    assert_eq!(dropped.identical_ids_dropped, Some(1));
    assert!(dropped.conventions().ends_with("; 1 hits with the query's own id dropped"));
}

#[test]
fn identical_ids_are_dropped_before_the_depth_is_cut() {
    let options =
        EvaluateOptions { ignore_identical_ids: true, depth: Some(1), ..EvaluateOptions::default() };
    assert_eq!(evaluation(&["RR"], &options).queries[1].values, [1.0]);
}

#[test]
fn both_formats_of_judgments_give_the_same_scores() {
    let run = Run::read(&fixture("run.trec")).expect("the fixture is readable");
    let measures = [("nDCG@10").parse().expect("a measure"), "Bpref".parse().expect("a measure")];
    let [trec, beir] = ["qrels.trec", "qrels.tsv"].map(|name| {
        let qrels = Qrels::read(&fixture(name)).expect("the fixture is readable");
        evaluate(&qrels, &run, &measures, &EvaluateOptions::default()).expect("queries in common")
    });
    assert_eq!(trec.queries, beir.queries);
}

#[test]
fn means_are_found_by_measure() {
    let evaluation = evaluation(&["RR", "nDCG@3"], &EvaluateOptions::default());
    let asked = "mrr".parse().expect("a measure");
    assert_eq!(evaluation.mean(asked), Some(evaluation.means[0]));
    assert_eq!(evaluation.mean("P@1".parse().expect("a measure")), None);
}

#[test]
fn judgments_and_runs_without_a_common_query_are_refused() {
    let qrels = Qrels::from_judgments([("q1", "d1", 1)]).expect("one judgment");
    let mut run = Run::new();
    run.push(Ranking::new("1", vec![Hit::new("d1", 1.0)]).expect("one hit")).expect("one ranking");
    let error = evaluate(&qrels, &run, &[], &EvaluateOptions::default()).expect_err("nothing in common");
    assert_eq!(
        error.to_string(),
        "no query of the run is judged: the run's first query is `1`, that of the judgments `q1`"
    );
    let error =
        evaluate(&Qrels::default(), &run, &[], &EvaluateOptions::default()).expect_err("no judgments");
    assert!(matches!(error, EvaluateError::NoJudgments));
}
