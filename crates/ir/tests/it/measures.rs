//! Names of measures: both spellings, what is refused, and writing as the inverse of reading.

use proptest::prelude::*;
use sbmoe_ir::{
    Measure,
    measure::{Family, Gain},
};

fn check(name: &str, canonical: &str) {
    let measure: Measure = name.parse().unwrap_or_else(|error| panic!("{name}: {error}"));
    assert_eq!(measure.to_string(), canonical, "canonical form of {name}");
}

#[test]
fn names_of_ir_measures_are_read() {
    for name in
        ["nDCG", "nDCG@10", "P@1", "R@100", "AP", "AP@100", "RR", "RR@10", "Success@5", "Rprec", "Bpref"]
    {
        check(name, name);
    }
    for name in
        ["Judged@10", "Judged", "SetP", "SetR", "SetF", "R(rel=2)@100", "AP(rel=2)@100", "Bpref(rel=3)"]
    {
        check(name, name);
    }
    check("nDCG(dcg='exp-log2')@10", "nDCG(dcg='exp-log2')@10");
    check("nDCG(dcg=\"exp-log2\", cutoff=10)", "nDCG(dcg='exp-log2')@10");
    check("nDCG(dcg='log2')@10", "nDCG@10");
    check(" P(rel=1) @ 5 ", "P@5");
}

#[test]
fn aliases_are_read() {
    check("NDCG@10", "nDCG@10");
    check("MAP@100", "AP@100");
    check("MRR@10", "RR@10");
    check("mrr", "RR");
    check("Recall(rel=2)@5", "R(rel=2)@5");
    check("Precision@5", "P@5");
    check("BPref", "Bpref");
    check("RPrec", "Rprec");
}

#[test]
fn names_of_trec_eval_are_read() {
    check("ndcg", "nDCG");
    check("ndcg_cut_10", "nDCG@10");
    check("ndcg_cut.10", "nDCG@10");
    check("recall_100", "R@100");
    check("recall.100", "R@100");
    check("map", "AP");
    check("map_cut_10", "AP@10");
    check("P_5", "P@5");
    check("recip_rank", "RR");
    check("bpref", "Bpref");
    check("success_10", "Success@10");
    check("set_P", "SetP");
    check("set_recall", "SetR");
    check("set_F", "SetF");
}

fn check_refused(name: &str, expected: &str) {
    let error = name.parse::<Measure>().expect_err(name);
    assert_eq!(error.to_string(), expected, "message for {name}");
}

#[test]
fn what_is_no_measure_is_refused_with_the_reason() {
    check_refused(
        "nDGC@10",
        "there is no measure `nDGC`: the measures are `nDCG[@k]`, `P@k`, `R@k`, `AP[@k]`, `RR[@k]`, `Success@k`, \
         `Rprec`, `Bpref`, `Judged[@k]`, `SetP`, `SetR`, `SetF`, with `(rel=2)` for another level of relevance, and \
         trec_eval's `ndcg_cut_k`, `P_k`, `recall_k`, `map_cut_k`, `success_k`, `ndcg`, `map`, `recip_rank`, `set_P`, \
         `set_recall`, `set_F`",
    );
    check_refused("P", "`P` needs a cutoff, such as `P@10`");
    check_refused("Rprec@10", "`Rprec` takes no cutoff");
    check_refused("P@0", "the cutoff of `P` is `0`: it must be a whole number of at least `1`");
    check_refused("P_0", "the cutoff of `P` is `0`: it must be a whole number of at least `1`");
    check_refused("P@", "the cutoff of `P` is ``: it must be a whole number of at least `1`");
    check_refused("AP@-1", "the cutoff of `AP` is `-1`: it must be a whole number of at least `1`");
    check_refused("nDCG(rel=2)@10", "`nDCG` has no parameter `rel`: it takes `dcg`, `cutoff`");
    check_refused("AP(judged_only=True)", "`AP` has no parameter `judged_only`: it takes `rel`, `cutoff`");
    check_refused("AP(rel=0)", "`AP` cannot have `rel=0`: it must be a whole number from `1` to `127`");
    check_refused("AP(rel=x)", "`AP` cannot have `rel=x`: it must be a whole number from `1` to `127`");
    check_refused("nDCG(dcg=ln)", "`nDCG` cannot have `dcg=ln`: it must be `log2` or `exp-log2`");
    check_refused("AP(rel=2", "`AP(rel=2` is not written as a measure is: `nDCG@10` or `AP(rel=2)@100`");
    check_refused("AP(2)", "`AP(2)` is not written as a measure is: `nDCG@10` or `AP(rel=2)@100`");
    check_refused("P@5@10", "the cutoff of `P` is `5@10`: it must be a whole number of at least `1`");
}

fn families() -> impl Strategy<Value = Family> {
    prop::sample::select(vec![
        Family::Ndcg(Gain::Linear),
        Family::Ndcg(Gain::Exponential),
        Family::Precision,
        Family::Recall,
        Family::AveragePrecision,
        Family::ReciprocalRank,
        Family::Success,
        Family::RPrecision,
        Family::Bpref,
        Family::Judged,
        Family::SetPrecision,
        Family::SetRecall,
        Family::SetF,
    ])
}

proptest! {
    #[test]
    fn what_is_written_reads_back(
        family in families(),
        cutoff in prop::option::of(1_u32..),
        relevance in 1_i32..=127,
    ) {
        // Of each family, with and without cutoff, one form at least exists.
        let measure = Measure::new(family, cutoff)
            .or_else(|_| Measure::new(family, cutoff.xor(Some(7))))
            .expect("one of both forms exists");
        let measure = measure.with_relevance(relevance).unwrap_or(measure);
        prop_assert_eq!(measure.to_string().parse::<Measure>(), Ok(measure));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "(nDCG|AP|P|x)?[(]?(rel|dcg|=|2|,|'){0,4}[)]?[@_.]?[0-9a-z]{0,3}") {
        if let Ok(measure) = text.parse::<Measure>() {
            prop_assert_eq!(measure.to_string().parse::<Measure>(), Ok(measure));
        }
    }
}
