//! Every value of our measures in the stored output of the standard program, to all digits that it prints.
//!
//! The options behind each file of `../shared/eval/trec_eval` are those of the program's own quick test.

use std::{collections::HashMap, path::Path};

use sbmoe_ir::{EvaluateOptions, Evaluation, Measure, MissingQueries, Qrels, Run, evaluate};

use super::shared;

/// What the program prints that is no measure of ours, by the beginning of its name.
const NOT_OURS: &[&str] = &[
    "runid",
    "num_",
    "gm_",
    "iprec_at_recall",
    "infAP",
    "Rprec_mult",
    "utility",
    "11pt_avg",
    "binG",
    "G",
    "ndcg_rel",
    "Rndcg",
    "relative_P",
    "set_relative_P",
    "set_map",
    "rbp",
    "relstring",
];

/// The same for the older program whose output stands in `cacm-solr`.
const NOT_OURS_OLD: &[&str] = &[
    "num_",
    "gm_",
    "ircl_prn",
    "11-pt",
    "3-pt",
    "avg_",
    "exact_relative",
    "exact_unranked",
    "exact_int",
    "map_at_R",
    "int_",
    "bpref_",
    "old_bpref",
    "infAP",
    "0.",
    "1.",
    "2.",
    "relative_",
    "unranked_",
    "utility",
    "rcl_at",
    "fallout",
    "micro",
];

/// A comparison: files, options, and how to read the names.
struct Case<'a> {
    qrels: &'a str,
    run: &'a str,
    expected: &'a str,
    options: EvaluateOptions,
    relevance: i32,
    measure: fn(&str) -> Option<Measured>,
}

/// A printed name as a measure of ours.
struct Measured {
    measure: Measure,
    is_complement: bool,
}

impl Measured {
    fn plain(name: &str) -> Option<Self> {
        name.parse().ok().map(|measure| Self { measure, is_complement: false })
    }
}

/// Reads a name that trec_eval 10 prints.
fn modern(name: &str) -> Option<Measured> {
    // The judgments behind this have only the grades 0 and 1, so that any gain of grade 1 cancels out.
    if name == "ndcg_1=3,2=9,4=4.5" {
        return Measured::plain("nDCG");
    }
    // The part that nobody judged: what Judged leaves of 1.
    if let Some(cutoff) = name.strip_prefix("unj_") {
        let measure = format!("Judged@{cutoff}").parse().expect("the name is well-formed");
        return Some(Measured { measure, is_complement: true });
    }
    if NOT_OURS.iter().any(|prefix| *prefix == name || (prefix.len() > 2 && name.starts_with(prefix))) {
        return None;
    }
    Some(
        Measured::plain(name)
            .unwrap_or_else(|| panic!("`{name}` is neither a measure nor known not to be one")),
    )
}

/// Negative grades mean "not judged" to `unj`, but are judgments to `Judged`.
fn modern_but_unjudged(name: &str) -> Option<Measured> {
    if name.starts_with("unj_") { None } else { modern(name) }
}

/// Reads a name that the program printed in 2007.
fn old(name: &str) -> Option<Measured> {
    let name = match name {
        "R-prec" => "Rprec",
        "exact_prec" => "set_P",
        "exact_recall" => "set_recall",
        _ if name.starts_with('P') => return Measured::plain(&name.replace('P', "P_")),
        _ if name.starts_with("recall") => return Measured::plain(&name.replace("recall", "recall_")),
        _ if NOT_OURS_OLD.iter().any(|prefix| name.starts_with(prefix)) => return None,
        _ => name,
    };
    Some(
        Measured::plain(name)
            .unwrap_or_else(|| panic!("`{name}` is neither a measure nor known not to be one")),
    )
}

impl Case<'_> {
    /// Compares every printed value of ours and returns how many there were.
    fn check(&self, folder: &Path) -> usize {
        let qrels = Qrels::read(&folder.join(self.qrels)).expect("the judgments are readable");
        let run = Run::read(&folder.join(self.run)).expect("the run is readable");
        let expected = fs_err::read_to_string(folder.join(self.expected)).expect("the output is readable");
        let rows: Vec<[&str; 3]> = expected
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().try_into().expect("three fields a line"))
            .collect();
        let mut columns: HashMap<&str, (usize, bool)> = HashMap::new();
        let mut measures = Vec::new();
        for [name, _, _] in &rows {
            if let Some(Measured { measure, is_complement }) = (self.measure)(name) {
                let measure = measure.with_relevance(self.relevance).unwrap_or(measure);
                columns.entry(name).or_insert((measures.len(), is_complement));
                measures.push(measure);
            }
        }
        let evaluation = evaluate(&qrels, &run, &measures, &self.options).expect("queries in common");
        let mut wrong = Vec::new();
        let mut compared = 0;
        for [name, query, printed] in &rows {
            let Some(&(column, is_complement)) = columns.get(name) else { continue };
            let value = value_of(&evaluation, query, column);
            let value = format!("{:.4}", if is_complement { 1.0 - value } else { value });
            compared += 1;
            if value != **printed {
                wrong.push(format!("{name} of {query}: {value}, expected {printed}"));
            }
        }
        assert!(
            wrong.is_empty(),
            "{}: {} of {compared} differ:\n{}",
            self.expected,
            wrong.len(),
            wrong.join("\n")
        );
        compared
    }
}

fn value_of(evaluation: &Evaluation, query: &str, column: usize) -> f64 {
    if query == "all" {
        return evaluation.means[column];
    }
    let scores = evaluation.queries.iter().find(|scores| scores.query == query);
    scores.unwrap_or_else(|| panic!("query {query} is evaluated")).values[column]
}

fn all_queries() -> EvaluateOptions {
    EvaluateOptions { missing_queries: MissingQueries::ScoredZero, ..EvaluateOptions::default() }
}

fn check_standard(expected: &str, compared: usize, change: impl FnOnce(&mut Case<'_>)) {
    let Some(folder) = shared("eval/trec_eval") else { return };
    let mut case = Case {
        qrels: "qrels.test",
        run: "results.test",
        expected,
        options: EvaluateOptions::default(),
        relevance: 1,
        measure: modern,
    };
    change(&mut case);
    assert_eq!(case.check(&folder), compared, "values compared in {expected}");
}

#[test]
fn default_measures_are_reproduced() {
    check_standard("out.test", 13, |_| {});
}

#[test]
fn all_measures_are_reproduced() {
    check_standard("out.test.a", 50, |_| {});
}

#[test]
fn values_of_each_query_are_reproduced() {
    check_standard("out.test.aq", 200, |_| {});
}

#[test]
fn means_over_all_judged_queries_are_reproduced() {
    check_standard("out.test.aqc", 188, |case| {
        case.run = "results.trunc";
        case.options = all_queries();
        // One query is missing: nothing of it is unjudged, and nothing judged either.
        case.measure = modern_but_unjudged;
    });
}

#[test]
fn values_of_runs_cut_at_a_depth_are_reproduced() {
    check_standard("out.test.aqcM", 188, |case| {
        case.run = "results.trunc";
        case.options = EvaluateOptions { depth: Some(100), ..all_queries() };
        case.measure = modern_but_unjudged;
    });
}

#[test]
fn values_at_another_level_of_relevance_are_reproduced() {
    check_standard("out.test.aql", 188, |case| {
        case.qrels = "qrels.rel_level";
        case.relevance = 2;
        case.measure = modern_but_unjudged;
    });
}

#[test]
fn values_at_other_cutoffs_are_reproduced() {
    check_standard("out.test.meas_params", 48, |_| {});
}

#[test]
fn an_older_run_on_cacm_is_reproduced() {
    let Some(folder) = shared("eval/cacm-solr") else { return };
    let case = |expected| Case {
        qrels: "qrels-cacm.test",
        run: "query-result.test",
        expected,
        options: EvaluateOptions::default(),
        relevance: 1,
        measure: old,
    };
    assert_eq!(case("trec_eval-results.txt").check(&folder), 24, "values compared in the summary");
    assert_eq!(case("trec_eval-results-full.txt").check(&folder), 689, "values compared of each query");
}

#[test]
fn the_published_score_of_bm25_on_cacm_is_reproduced() {
    let Some(folder) = shared("eval/cacm-bm25") else { return };
    let qrels = Qrels::read(&folder.join("qrels.cacm.txt")).expect("the judgments are readable");
    let run = Run::read(&folder.join("cacm-bm25.txt")).expect("the run is readable");
    let precision: Measure = "P_30".parse().expect("the name is well-formed");
    let evaluation =
        evaluate(&qrels, &run, &[precision], &EvaluateOptions::default()).expect("queries in common");
    assert_eq!(format!("{:.4}", evaluation.means[0]), "0.1942");
}
