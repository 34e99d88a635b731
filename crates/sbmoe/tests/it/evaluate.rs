//! `sbmoe evaluate`, by what it prints. The measures themselves are proven in `sbmoe-ir`.

use std::{path::Path, process::Stdio};

use serde_json::json;

use crate::folder::{Folder, Ran, gzipped};

/// Three judged queries. By hand, for `RUN`: q1 returns grades 0 1 2 (its tie puts d2 above d1), q2 an unjudged
/// document and then its answer; q3 is missing and q9 is not judged.
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq1\td3\t0\nq2\td4\t1\nq3\td5\t1\n";
const RUN: &str = "\
q1 Q0 d1 1 0.5 tag
q1 Q0 d2 2 0.5 tag
q1 Q0 d3 3 0.9 tag
q2 Q0 d8 1 3.25 tag
q2 Q0 d4 2 2e0 tag
q9 Q0 d1 1 1 tag
";
/// Everything right.
const PERFECT: &str = "q1 Q0 d1 1 3 t\nq1 Q0 d2 2 2 t\nq2 Q0 d4 1 1 t\nq3 Q0 d5 1 1 t\n";

const LEFT_OUT: &str = "mean over the 2 queries that are both judged and in the run (1 judged queries missing and left \
    out); hits with the query's own id kept; queries of the run without judgments passed over: 1";
const NONE_MISSING: &str = "mean over the 3 queries that are both judged and in the run (0 judged queries missing and \
    left out); hits with the query's own id kept";

fn run(arguments: &str) -> Ran {
    let files = [("qrels.tsv", QRELS), ("run.trec", RUN), ("perfect.trec", PERFECT)];
    Folder::with(&files).run(&format!("evaluate {arguments}"))
}

#[test]
fn a_row_holds_the_means_of_the_default_measures() {
    let table = "\
run       nDCG@10   R@100   RR@10  AP@100     P@1
run.trec   0.6254  1.0000  0.5000  0.5417  0.0000
";
    run("--qrels qrels.tsv --run run.trec").check(0, table, &format!("{LEFT_OUT}\n"));
}

#[test]
fn complete_scores_missing_queries_0_and_says_so() {
    let table = "\
run       nDCG@10   R@100   RR@10  AP@100     P@1
run.trec   0.4169  0.6667  0.3333  0.3611  0.0000
";
    let convention = "mean over all 3 judged queries (1 missing and scored 0); hits with the query's own id kept; \
        queries of the run without judgments passed over: 1\n";
    run("--qrels qrels.tsv --run run.trec --complete").check(0, table, convention);
}

#[test]
fn runs_over_different_queries_are_told_apart_and_warned_about() {
    let table = "\
run               RR     P_1
perfect.trec  1.0000  1.0000
run.trec      0.5000  0.0000
";
    let both = run("--qrels qrels.tsv --run perfect.trec --run run.trec -m RR -m P_1");
    let notes = format!(
        "perfect.trec: {NONE_MISSING}\nrun.trec: {LEFT_OUT}\nwarning: the means of these runs are over different \
         queries and do not compare: `--complete` puts them over all judged queries\n"
    );
    both.check(0, table, &notes);
}

#[test]
fn a_convention_that_all_runs_share_is_said_once() {
    let twice = run("--qrels qrels.tsv --run perfect.trec perfect.trec -m nDCG");
    let table = "run             nDCG\nperfect.trec  1.0000\nperfect.trec  1.0000\n";
    twice.check(0, table, &format!("{NONE_MISSING}\n"));
}

#[test]
fn equal_scores_are_ordered_by_id_descending_whatever_the_rank_column_says() {
    let qrels = "q 0 b 1\n";
    for (hits, precision) in [
        ("q Q0 a 1 0.5 t\nq Q0 b 2 0.5 t\n", "1.0000"),
        ("q Q0 b 1 0.5 t\nq Q0 c 2 0.5 t\n", "0.0000"),
        ("q Q0 b 1 0.5 t\nq Q0 c 2 0.4999999999999999 t\n", "1.0000"),
    ] {
        let ran =
            Folder::with(&[("qrels", qrels), ("run", hits)]).run("evaluate --qrels qrels --run run -m P@1");
        assert_eq!(ran.out, format!("run     P@1\nrun  {precision}\n"), "{hits}");
    }
}

#[test]
fn json_of_one_run_keys_scores_by_the_measures_as_typed() {
    let out = r#"{
  "run": "run.trec",
  "scores": {
    "recip_rank": 0.5,
    "MRR": 0.5,
    "p_1": 0.0
  },
  "queries": 2,
  "missing": 1,
  "unjudged": 1,
  "convention": "missing-left-out",
  "identical_ids_dropped": null,
  "depth": null
}
"#;
    let ran = run("--qrels qrels.tsv --run run.trec --json -m recip_rank MRR p_1 MRR");
    ran.check(0, out, &format!("{LEFT_OUT}\n"));
}

#[test]
fn json_of_several_runs_lists_them_with_every_query() {
    let ran =
        run("--qrels qrels.tsv --run run.trec perfect.trec --json -m RR --per-query --complete --depth 2");
    let common = |run: &str, missing: u64, unjudged: u64, scores: [f64; 4]| {
        let [q1, q2, q3, mean] = scores.map(|score| json!({ "RR": score }));
        json!({
            "run": run, "scores": mean, "queries": 3, "missing": missing, "unjudged": unjudged,
            "convention": "missing-scored-zero", "identical_ids_dropped": null, "depth": 2,
            "per_query": { "q1": q1, "q2": q2, "q3": q3 },
        })
    };
    let runs = [common("run.trec", 1, 1, [0.5, 0.5, 0.0, 1.0 / 3.0]), common("perfect.trec", 0, 0, [1.0; 4])];
    let out: serde_json::Value = serde_json::from_str(&ran.out).expect("standard output is JSON alone");
    assert_eq!(out, json!({ "runs": runs }));
}

#[test]
fn per_query_prints_lines_that_end_with_the_means() {
    let lines = "\
RR\tq1\t0.5000
AP\tq1\t0.5833
RR\tq2\t0.5000
AP\tq2\t0.5000
RR\tall\t0.5000
AP\tall\t0.5417
";
    run("--qrels qrels.tsv --run run.trec --per-query -m RR AP").check(0, lines, &format!("{LEFT_OUT}\n"));
}

#[test]
fn per_query_lines_of_several_runs_name_the_run_last() {
    let ran = run("--qrels qrels.tsv --run run.trec perfect.trec --per-query -m RR");
    let lines = "\
RR\tq1\t0.5000\trun.trec
RR\tq2\t0.5000\trun.trec
RR\tall\t0.5000\trun.trec
RR\tq1\t1.0000\tperfect.trec
RR\tq2\t1.0000\tperfect.trec
RR\tq3\t1.0000\tperfect.trec
RR\tall\t1.0000\tperfect.trec
";
    assert_eq!((ran.out.as_str(), ran.code), (lines, Some(0)));
}

#[test]
fn depth_cuts_every_ranking_and_says_so() {
    let ran = run("--qrels qrels.tsv --run run.trec -m R@100 --depth 2");
    let note = LEFT_OUT.replace("; queries of", "; only the first 2 hits judged; queries of");
    ran.check(0, "run        R@100\nrun.trec  0.7500\n", &format!("{note}\n"));
}

#[test]
fn hits_with_the_querys_own_id_are_dropped_on_request_only() {
    let files = [("qrels", "1 0 2 1\n"), ("run", "1 Q0 1 1 9 t\n1 Q0 2 2 8 t\n")];
    let folder = Folder::with(&files);
    let mean =
        "mean over the 1 queries that are both judged and in the run (0 judged queries missing and left out)";
    let kept = folder.run("evaluate --qrels qrels --run run -m RR");
    kept.check(0, "run      RR\nrun  0.5000\n", &format!("{mean}; hits with the query's own id kept\n"));
    let dropped = folder.run("evaluate --qrels qrels --run run -m RR --ignore-identical-ids");
    dropped.check(
        0,
        "run      RR\nrun  1.0000\n",
        &format!("{mean}; 1 hits with the query's own id dropped\n"),
    );
}

#[test]
fn a_folder_gives_its_test_judgments_or_those_of_the_split() {
    let folder = Folder::with(&[
        ("beir/corpus.jsonl", ""),
        ("beir/qrels/test.tsv", QRELS),
        ("beir/qrels/train.tsv", "query-id\tcorpus-id\tscore\nq1\td3\t1\n"),
        ("run.trec", RUN),
    ]);
    let score = |arguments: &str| folder.run(&format!("evaluate --run run.trec -m P@1 --qrels {arguments}"));
    assert_eq!(score("beir").out, "run          P@1\nrun.trec  0.0000\n");
    assert_eq!(score("beir --split test").out, "run          P@1\nrun.trec  0.0000\n");
    assert_eq!(score("beir --split train").out, "run          P@1\nrun.trec  1.0000\n");
    score("beir --split dev").check_error(
        "judgments of `dev` (there are `--split train`, `--split test`): `beir` holds neither `qrels/dev.tsv` nor \
         `qrels/dev.tsv.gz`",
    );
    score("beir/qrels/test.tsv --split test").check_error(
        "`--split` chooses among the judgments of a folder, but `beir/qrels/test.tsv` is no folder: leave \
         `--split` out",
    );
}

#[test]
fn gzipped_judgments_and_runs_are_read_as_they_are() {
    let folder = Folder::with(&[("qrels.tsv.gz", gzipped(QRELS)), ("run.gz", gzipped(RUN))]);
    let ran = folder.run("evaluate --qrels qrels.tsv.gz --run run.gz -m AP");
    ran.check(0, "run         AP\nrun.gz  0.5417\n", &format!("{LEFT_OUT}\n"));
}

#[test]
fn a_judgment_in_place_of_the_header_is_warned_about() {
    let folder = Folder::with(&[("qrels.tsv", "q1\td1\t1\nq1\td2\t1\n"), ("run", PERFECT)]);
    let ran = folder.run("evaluate --qrels qrels.tsv --run run -m P@1");
    let warning =
        "warning: `qrels.tsv`: line 1 is skipped as the header, but it is a judgment: `q1\td1\t1`\n";
    assert!(ran.err.starts_with(warning), "{}", ran.err);
}

#[test]
fn an_unknown_measure_is_refused_before_anything_is_read() {
    let ran = run("--qrels absent --run absent -m nDCG@10 nCG@10");
    let message = "error: invalid value 'nCG@10' for '--measure <MEASURE>...': there is no measure `nCG`: the \
        measures are `nDCG[@k]`, `P@k`, ";
    assert!(ran.err.starts_with(message), "{}", ran.err);
    assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
}

#[test]
fn bad_input_is_refused_with_its_file_and_line() {
    let check = |qrels: &str, hits: &str, message: &str| {
        let folder = Folder::with(&[("qrels", qrels), ("good", PERFECT), ("run", hits)]);
        folder.run("evaluate --qrels qrels --run good run").check_error(message);
    };
    let six = "run:2: expected `query Q0 document rank score tag`, found 4 fields";
    check(QRELS, "q1 Q0 d1 1 1 t\nq1 Q0 d2 2\n", six);
    check(QRELS, "q1 Q0 d1 1 high t\n", "run:1: expected a number as the score, found `high`");
    check(QRELS, "\nq1 Q0 d1 1 NaN t\n", "run:2: expected a number as the score, found `NaN`");
    let twice = "run:3: expected each document once for query `q1`, found `d1` here and on line 1";
    check(QRELS, "q1 Q0 d1 1 2 t\nq2 Q0 d1 1 2 t\nq1 Q0 d1 1 1 t\n", twice);
    check(QRELS, "", "`run` is empty: expected lines `query Q0 document rank score tag`");
    check("", PERFECT, "`qrels` is empty: expected judgments");
    check("query-id\tcorpus-id\tscore\n", PERFECT, "`qrels` holds no judgments");
    let grade = "qrels:3: expected a whole number in -127…127 as the grade, found `good`";
    check("query-id\tcorpus-id\tscore\nq1\td1\t1\nq1\td2\tgood\n", PERFECT, grade);
    let common =
        "`run`: no query of the run is judged: the run's first query is `Q1`, that of the judgments `q1`";
    check(QRELS, "Q1 Q0 d1 1 1 t\n", common);
}

#[test]
fn a_missing_file_is_named() {
    for arguments in ["--qrels absent --run run.trec", "--qrels qrels.tsv --run run.trec absent"] {
        let ran = run(arguments);
        assert!(ran.err.starts_with("error: failed to open file `absent`: "), "{}", ran.err);
        assert_eq!((ran.out.as_str(), ran.code), ("", Some(2)));
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let folder = Folder::with(&[("qrels", QRELS), ("run", RUN)]);
    let mut command = folder.command("evaluate --qrels qrels --run run --per-query");
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the program starts");
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("the program ends").code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_behind_standard_output_is_an_error() {
    let folder = Folder::with(&[("qrels", QRELS), ("run", RUN)]);
    let full = fs_err::OpenOptions::new().write(true).open("/dev/full").expect("Linux has it");
    let mut command = folder.command("evaluate --qrels qrels --run run");
    let output = command.stdout(full.into_parts().0).output().expect("the program starts");
    let ran = Ran::from(output);
    assert!(ran.err.contains("error: No space left on device"), "{}", ran.err);
    assert_eq!(ran.code, Some(2));
}

/// The program's lines against those of the standard program, value by value.
#[test]
fn every_query_scores_as_in_the_standard_programs_own_output() {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/eval/trec_eval");
    if !shared.is_dir() {
        #[expect(clippy::print_stderr, reason = "a skipped test says so")]
        {
            eprintln!("skipped: the shared evaluation files are not there");
        }
        return;
    }
    let measures = ["map", "P_5", "recall_100", "recip_rank", "ndcg_cut_10", "bpref", "success_1"];
    let expected = fs_err::read_to_string(shared.join("out.test.aqc")).expect("a readable file");
    let mut expected: Vec<String> = expected
        .lines()
        .filter(|line| measures.iter().any(|measure| line.split_whitespace().next() == Some(measure)))
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join("\t"))
        .collect();
    let (qrels, run) = (shared.join("qrels.test"), shared.join("results.trunc"));
    let folder = Folder::with::<&str>(&[]);
    let mut command = folder.command("evaluate --per-query --complete -m");
    command.args(measures).arg("--qrels").arg(qrels).arg("--run").arg(run);
    let ran = Ran::from(command.output().expect("the program starts"));
    let mut lines: Vec<&str> = ran.out.lines().collect();
    expected.sort_unstable();
    lines.sort_unstable();
    assert!(expected.len() > measures.len(), "the expected values were found");
    assert_eq!(lines, expected);
}

/// d4 alone is relevant in both: q2 is seen. d3 is judged 0 for q1, and d1 here.
const TRAIN_QRELS: &str = "query-id\tcorpus-id\tscore\nt1\td4\t1\nt1\td1\t0\nt2\td3\t1\nt2\td9\t1\n";

fn run_with_training(arguments: &str) -> Ran {
    let files = [
        ("qrels.tsv", QRELS),
        ("run.trec", RUN),
        ("perfect.trec", PERFECT),
        ("train.tsv", TRAIN_QRELS),
        ("beir/corpus.jsonl", ""),
        ("beir/qrels/train.tsv", TRAIN_QRELS),
    ];
    Folder::with(&files).run(&format!("evaluate --qrels qrels.tsv {arguments}"))
}

#[test]
fn seen_and_unseen_queries_have_rows_of_their_own() {
    let table = "\
run           queries  n      RR      AP
run.trec      all      3  0.3333  0.3611
run.trec      seen     1  0.5000  0.5000
run.trec      unseen   2  0.2500  0.2917
perfect.trec  all      3  1.0000  1.0000
perfect.trec  seen     1  1.0000  1.0000
perfect.trec  unseen   2  1.0000  1.0000
";
    for train in ["train.tsv", "beir"] {
        let arguments = format!("--train-qrels {train} --run run.trec perfect.trec --complete -m RR -m AP");
        let ran = run_with_training(&arguments);
        assert_eq!((ran.out.as_str(), ran.code), (table, Some(0)), "{}", ran.err);
        let note = format!(
            "seen: 1 of 3 judged queries have a relevant document that is relevant in `{train}` too\n"
        );
        assert!(ran.err.ends_with(&note), "{}", ran.err);
    }
}

#[test]
fn per_query_lines_say_last_whether_the_query_is_seen() {
    let lines = "\
RR\tq1\t0.5000\tunseen
RR\tq2\t0.5000\tseen
RR\tall\t0.5000\tall
RR\tall\t0.5000\tseen
RR\tall\t0.5000\tunseen
";
    let arguments = "--train-qrels train.tsv --run run.trec --per-query -m RR";
    assert_eq!(run_with_training(arguments).out, lines);
    let ran = run_with_training("--train-qrels train.tsv --run run.trec perfect.trec --per-query -m RR");
    assert!(ran.out.starts_with("RR\tq1\t0.5000\trun.trec\tunseen\n"), "{}", ran.out);
    assert!(ran.out.ends_with("RR\tall\t1.0000\tperfect.trec\tunseen\n"), "{}", ran.out);
}

#[test]
fn json_adds_seen_and_unseen_to_the_keys_there_are() {
    let json = |arguments: &str| -> serde_json::Value {
        let ran = run_with_training(&format!("--run run.trec -m R@2 --json {arguments}"));
        serde_json::from_str(&ran.out).expect("standard output is JSON alone")
    };
    let mut out = json("--train-qrels train.tsv --per-query");
    let object = out.as_object_mut().expect("one run is an object");
    let parts = [object.remove("seen"), object.remove("unseen")];
    assert_eq!(out, json("--per-query"));
    let part = |query: &str, recall: f64| json!({"queries": 1, "scores": {"R@2": recall}, "ids": [query]});
    assert_eq!(parts, [Some(part("q2", 1.0)), Some(part("q1", 0.5))]);
}

#[test]
fn a_part_without_queries_has_no_scores() {
    let files =
        [("qrels.tsv", QRELS), ("run.trec", RUN), ("train.tsv", "query-id\tcorpus-id\tscore\nt\tx\t1\n")];
    let folder = Folder::with(&files);
    let arguments = "evaluate --qrels qrels.tsv --train-qrels train.tsv --run run.trec -m RR";
    let table = "\
run       queries  n      RR
run.trec  all      2  0.5000
run.trec  seen     0       -
run.trec  unseen   2  0.5000
";
    assert_eq!(folder.run(arguments).out, table);
    let out: serde_json::Value =
        serde_json::from_str(&folder.run(&format!("{arguments} --json")).out).expect("JSON alone");
    assert_eq!(out["seen"], json!({"queries": 0, "scores": null}));
    let lines = folder.run(&format!("{arguments} --per-query")).out;
    assert_eq!(lines.lines().filter(|line| line.ends_with("\tseen")).count(), 0);
}
