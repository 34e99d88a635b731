//! Collections, judgments, runs, scores, pairs and measures: lines of text, plain and gzipped.

use std::io::Write as _;
use std::path::Path;

use flate2::{Compression, write::GzEncoder};
use sbmoe_ir::collection::{Collection, Split, check};
use sbmoe_ir::pairs::{Pairs, to_beir};
use sbmoe_ir::scores::Scores;
use sbmoe_ir::{EvaluateOptions, Hit, Measure, Qrels, Ranking, Run, evaluate};

use super::{files, target, texts, told, words};
use crate::target::Target;

const CORPUS: &str = "{\"_id\": \"d1\", \"title\": \"Tides\", \"text\": \"The moon pulls\"}\n\
    {\"_id\": 2, \"text\": \"Low water\", \"metadata\": {\"a\": [1, null, true]}}\n";
const QUERIES: &str =
    "{\"_id\": \"q1\", \"text\": \"what pulls the sea\"}\n{\"_id\": \"q2\", \"text\": \"\"}\n";
const QRELS: &str = "query-id\tcorpus-id\tscore\nq1\td1\t1\nq2\t2\t0\n";
const NEGATIVES: &str = "{\"query-id\": \"q1\", \"corpus-ids\": [\"2\", 7], \"scores\": [0.5, 0.25]}\n";
const TREC: &str = "q1 0 d1 2\nq1 0 d2 -1\nq2 0 d2 1\n";
const RUN: &str = "q1 Q0 d1 1 0.75 tag\nq1 Q0 d2 2 -1e-3 tag\n# a line\nq2 Q0 d2 1 3 tag\n";

/// The other files of the collection of which one is mutated.
const COLLECTION: &[(&str, &[u8])] = &[
    ("corpus.jsonl", CORPUS.as_bytes()),
    ("queries.jsonl", QUERIES.as_bytes()),
    ("qrels/test.tsv", QRELS.as_bytes()),
    ("negatives.jsonl", NEGATIVES.as_bytes()),
];

const WORDS: &str = "\"_id\" \"title\" \"text\" \"metadata\" \"query-id\" \"corpus-ids\" \"corpus-id\" \"score\" null \
    true [] {} \"\" q1 d1 Q0 query-id corpus-id inf NaN";
const PAIR_WORDS: &str = "\"anchor\" \"positive\" \"negative\" \"negative_2\" question,answer sentence2 \"\" null \
    [\"a\",\"b\"] \",\"";
const MEASURE_WORDS: &str = "nDCG @ rel= ( ) P map_cut. _10 recip_rank judged";

pub(super) fn targets() -> Vec<Target> {
    let beside = |file: &str| {
        // A plain file would be read in place of the gzipped one.
        let (mut others, plain) = (files(COLLECTION), file.trim_end_matches(".gz").to_owned());
        others.retain(|(name, _)| *name != plain);
        others
    };
    let collection = |name, file, seeds| Target {
        beside: beside(file),
        dictionary: words(WORDS),
        ..target(name, file, seeds, read_collection)
    };
    let lines = |name, file, seeds: &[&str], read| Target {
        dictionary: words(WORDS),
        ..target(name, file, texts(seeds), read)
    };
    let zipped =
        |text: &str| [Compression::none(), Compression::best()].map(|level| gzip(text.as_bytes(), level));
    let twice = [zipped(CORPUS).concat(), b"\0\0\0".to_vec()].concat();
    let pairs = |name, file, seeds: &[&str]| Target {
        dictionary: words(PAIR_WORDS),
        ..target(name, file, texts(seeds), read_pairs)
    };
    vec![
        collection("corpus", "corpus.jsonl", texts(&[CORPUS])),
        collection("queries", "queries.jsonl", texts(&[QUERIES])),
        collection("qrels-beir", "qrels/test.tsv", texts(&[QRELS])),
        collection("negatives", "negatives.jsonl", texts(&[NEGATIVES])),
        collection("gzip", "corpus.jsonl.gz", [zipped(CORPUS).to_vec(), vec![twice]].concat()),
        Target {
            frame: |text| gzip(&text, Compression::fast()),
            ..collection("gzip-text", "corpus.jsonl.gz", texts(&[CORPUS]))
        },
        lines("qrels-trec", "qrels.txt", &[TREC, QRELS], read_qrels),
        lines("run", "run.txt", &[RUN], read_run),
        lines(
            "scores",
            "scores.txt",
            &["q1\td1\t8.5\n", "score\tquery-id\tcorpus-id\n1\tq1\t2\n", SCORES],
            read_scores,
        ),
        pairs(
            "pairs-json",
            "pairs.jsonl",
            &["{\"anchor\": \"a\", \"positive\": [\"b\"], \"negative\": null}\n[\"a\", \"b\", \"c\"]\n"],
        ),
        pairs("pairs-csv", "pairs.csv", &["anchor,positive,negative_1\na,\"b, \"\"c\"\"\nd\",e\n"]),
        Target {
            dictionary: words(MEASURE_WORDS),
            ..target("measure", "measures", texts(&["nDCG@10", "AP(rel=2)@100", "ndcg_cut_10"]), read_measure)
        },
    ]
}

const SCORES: &str = "{\"query-id\": \"q1\", \"corpus-id\": 7, \"score\": 8.25}\n";

fn gzip(text: &[u8], level: Compression) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), level);
    encoder.write_all(text).and_then(|()| encoder.finish()).expect("memory can be written")
}

fn read_collection(folder: &Path) -> Option<()> {
    let collection = told(Collection::open(folder))?;
    told(check(folder));
    let qrels = told(collection.qrels(Split::Test))?;
    told(collection.negatives())?;
    for document in told(collection.documents())? {
        told(document)?.joined();
    }
    told(collection.judged_queries(&qrels)).map(drop)
}

fn read_qrels(folder: &Path) -> Option<()> {
    let mut run = Run::new();
    let ranking =
        Ranking::new("q1", vec![Hit::new("d1", 0.5), Hit::new("d3", 0.25)]).expect("it has no repeats");
    run.push(ranking).expect("it is the first");
    judge(&told(Qrels::read(&folder.join("qrels.txt")))?, &run)
}

fn read_run(folder: &Path) -> Option<()> {
    let run = told(Run::read(&folder.join("run.txt")))?;
    told(run.write_to(&mut Vec::new(), "tag"))?;
    judge(&Qrels::from_judgments([("q1", "d1", 2), ("q2", "d9", 1)]).expect("these are judgments"), &run)
}

fn judge(qrels: &Qrels, run: &Run) -> Option<()> {
    let measures = ["nDCG@10", "AP", "RR", "P@5", "R@1000"].map(|name| name.parse().expect("a measure"));
    told(evaluate(qrels, run, &measures, &EvaluateOptions::default())).map(drop)
}

fn read_scores(folder: &Path) -> Option<()> {
    let scores = told(Scores::open(&folder.join("scores.txt")))?;
    let refused = scores.map(told).filter(Option::is_none).count();
    (refused == 0).then_some(())
}

/// The rows alone most of the time: a collection of them is several files.
fn read_pairs(folder: &Path) -> Option<()> {
    let path =
        ["pairs.jsonl", "pairs.csv"].map(|name| folder.join(name)).into_iter().find(|path| path.is_file())?;
    let rows: Vec<_> = told(Pairs::open(&path))?.map(told).collect::<Option<_>>()?;
    if rows.len() % 8 == 1 {
        let made = folder.join("made");
        told(to_beir(&path, &made));
        told(fs_err::remove_dir_all(made));
    }
    Some(())
}

fn read_measure(folder: &Path) -> Option<()> {
    let text = told(fs_err::read(folder.join("measures")))?;
    let measure: Measure = told(String::from_utf8_lossy(&text).parse())?;
    assert_eq!(measure.to_string().parse().ok(), Some(measure), "a measure's name is read back");
    Some(())
}
