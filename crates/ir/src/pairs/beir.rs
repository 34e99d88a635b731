//! A collection made of pairs.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{Pair, Pairs};
use crate::{Error, text_hash::text_hash};

/// What was made of a file of pairs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct PairsReport {
    /// Rows of the file.
    pub rows: u64,
    /// Rows that were left out since their anchor or every positive is blank.
    pub blank: u64,
    /// Distinct anchors.
    pub queries: u64,
    /// Distinct positives and negatives.
    pub documents: u64,
    /// Distinct pairs of a query and a positive.
    pub positives: u64,
    /// Distinct pairs of a query and a negative.
    pub negatives: u64,
}

/// Makes a BEIR folder of a file of pairs: `corpus.jsonl`, `queries.jsonl`, `qrels/train.tsv` with grade 1, and
/// `negatives.jsonl` where there are negatives.
///
/// Equal texts are one document, or one query; ids are `p1`, `p2`, … and `q1`, `q2`, … in the order in which the texts
/// come first, so that the same file gives the same bytes. Rows are streamed: what is in memory are 16 bytes and a number for
/// each distinct text, and 8 bytes for each distinct pair. A text that is a negative of a query in one row and its
/// positive in another is written as both; training takes it as a positive.
///
/// The folder appears whole or not at all.
///
/// # Errors
/// The folder holds something already or cannot be written; the file cannot be read, has no row with text, or a row of it
/// is malformed (file and line are named).
pub fn to_beir(path: &Path, folder: &Path) -> Result<PairsReport, Error> {
    if fs_err::symlink_metadata(folder).is_ok() && fs_err::read_dir(folder)?.next().is_some() {
        return Err(Error::NotEmpty { folder: folder.to_owned() });
    }
    let pairs = Pairs::open(path)?;
    let mut name = OsString::from(".");
    name.push(folder.file_name().unwrap_or_default());
    name.push(".partial");
    let partial = folder.with_file_name(name);
    if partial.exists() {
        fs_err::remove_dir_all(&partial)?;
    }
    let made = write(path, pairs, &partial).and_then(|report| {
        if folder.exists() {
            fs_err::remove_dir(folder)?;
        }
        fs_err::rename(&partial, folder)?;
        Ok(report)
    });
    if made.is_err() {
        // The first error is the one worth reporting; the partial folder may not even exist.
        let _ = fs_err::remove_dir_all(&partial);
    }
    made
}

fn write(path: &Path, pairs: Pairs, folder: &Path) -> Result<PairsReport, Error> {
    let mut collection = Writer::new(folder)?;
    for pair in pairs {
        collection.add(pair?)?;
    }
    if collection.report.positives == 0 {
        return Err(Error::Empty { path: path.to_owned(), expected: "rows of an anchor and a positive" });
    }
    Ok(collection.finish()?)
}

/// A BEIR folder that grows row by row.
struct Writer {
    corpus: File,
    queries: File,
    qrels: File,
    negatives: Option<File>,
    negatives_path: PathBuf,
    documents: Texts,
    anchors: Texts,
    positive_pairs: HashSet<u64>,
    negative_pairs: HashSet<u64>,
    report: PairsReport,
}

type File = BufWriter<fs_err::File>;

/// The numbers of texts, from 1 in the order in which they came first.
#[derive(Default)]
struct Texts(HashMap<u128, u32>);

impl Texts {
    /// The number of a text, and whether it is new.
    fn number(&mut self, text: &str) -> (u32, bool) {
        let next = self.0.len() as u32 + 1;
        let number = *self.0.entry(text_hash(text)).or_insert(next);
        (number, number == next)
    }
}

impl Writer {
    fn new(folder: &Path) -> io::Result<Self> {
        fs_err::create_dir_all(folder.join("qrels"))?;
        let mut qrels = create(&folder.join("qrels/train.tsv"))?;
        writeln!(qrels, "query-id\tcorpus-id\tscore")?;
        Ok(Self {
            corpus: create(&folder.join("corpus.jsonl"))?,
            queries: create(&folder.join("queries.jsonl"))?,
            qrels,
            negatives: None,
            negatives_path: folder.join("negatives.jsonl"),
            documents: Texts::default(),
            anchors: Texts::default(),
            positive_pairs: HashSet::new(),
            negative_pairs: HashSet::new(),
            report: PairsReport::default(),
        })
    }

    fn add(&mut self, Pair { anchor, mut positives, negatives }: Pair) -> io::Result<()> {
        self.report.rows += 1;
        positives.retain(|text| !text.trim().is_empty());
        if anchor.trim().is_empty() || positives.is_empty() {
            self.report.blank += 1;
            return Ok(());
        }
        let query = self.query(&anchor)?;
        for text in &positives {
            let document = self.document(text)?;
            if self.positive_pairs.insert(pair(query, document)) {
                self.report.positives += 1;
                writeln!(self.qrels, "q{query}\tp{document}\t1")?;
            }
        }
        let mut new = Vec::new();
        for text in &negatives {
            let document = self.document(text)?;
            if self.negative_pairs.insert(pair(query, document)) {
                new.push(format!("p{document}"));
            }
        }
        self.report.negatives += new.len() as u64;
        self.write_negatives(query, &new)
    }

    /// The query's number; a new one is written.
    fn query(&mut self, text: &str) -> io::Result<u32> {
        let (number, is_new) = self.anchors.number(text);
        if is_new {
            self.report.queries += 1;
            json_line(&mut self.queries, &Query { id: format!("q{number}"), text })?;
        }
        Ok(number)
    }

    /// The document's number; a new one is written.
    fn document(&mut self, text: &str) -> io::Result<u32> {
        let (number, is_new) = self.documents.number(text);
        if is_new {
            self.report.documents += 1;
            json_line(&mut self.corpus, &Document { id: format!("p{number}"), title: "", text })?;
        }
        Ok(number)
    }

    fn write_negatives(&mut self, query: u32, documents: &[String]) -> io::Result<()> {
        if documents.is_empty() {
            return Ok(());
        }
        let file = match &mut self.negatives {
            Some(file) => file,
            none => none.insert(create(&self.negatives_path)?),
        };
        json_line(file, &Negatives { query: format!("q{query}"), documents })
    }

    fn finish(self) -> io::Result<PairsReport> {
        for mut file in [self.corpus, self.queries, self.qrels].into_iter().chain(self.negatives) {
            file.flush()?;
            file.get_ref().sync_all()?;
        }
        Ok(self.report)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    #[serde(rename = "_id")]
    id: String,
    title: &'static str,
    text: &'a str,
}

#[derive(Serialize)]
struct Query<'a> {
    #[serde(rename = "_id")]
    id: String,
    text: &'a str,
}

#[derive(Serialize)]
struct Negatives<'a> {
    #[serde(rename = "query-id")]
    query: String,
    #[serde(rename = "corpus-ids")]
    documents: &'a [String],
}

fn pair(query: u32, document: u32) -> u64 {
    u64::from(query) << 32 | u64::from(document)
}

fn create(path: &Path) -> io::Result<File> {
    Ok(BufWriter::new(fs_err::File::create(path)?))
}

fn json_line(file: &mut File, record: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *file, record)?;
    file.write_all(b"\n")
}
