//! Runs: what a system returned for each query, in TREC's format `query Q0 document rank score tag`.
//!
//! Hits always stand in the order of [`crate::order`]; the rank column of a file is written for other programs and
//! ignored when read, as the standard program ignores it.

use std::{collections::HashMap, io::Write, path::Path};

use crate::{
    Error,
    atomic_file::AtomicFile,
    lines::{Fault, Lines},
    order::{Score, total_order},
    run_writer::RunWriter,
};

/// A document and its score.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// The document's id.
    pub document: Box<str>,
    /// Its score.
    pub score: Score,
}

impl Hit {
    /// A hit with an `f32` or `f64` score.
    pub fn new(document: impl Into<Box<str>>, score: impl Into<Score>) -> Self {
        Self { document: document.into(), score: score.into() }
    }
}

/// The hits of one query, best first by [`total_order`], no document twice, no score that is not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    query: String,
    hits: Vec<Hit>,
}

impl Ranking {
    /// Ranks hits given in any order.
    ///
    /// # Errors
    /// [`Error::NanScore`] and [`Error::RepeatedHit`].
    pub fn new(query: impl Into<String>, mut hits: Vec<Hit>) -> Result<Self, Error> {
        let query = query.into();
        if let Some(hit) = hits.iter().find(|hit| hit.score.is_nan()) {
            return Err(Error::NanScore { query, document: hit.document.to_string() });
        }
        let mut documents: Vec<&str> = hits.iter().map(|hit| &*hit.document).collect();
        documents.sort_unstable();
        if let Some(pair) = documents.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(Error::RepeatedHit { query, document: pair[0].to_owned() });
        }
        rank(&mut hits);
        Ok(Self { query, hits })
    }

    /// The query's id.
    pub fn query(&self) -> &str {
        &self.query
    }

    /// The hits, best first.
    pub fn hits(&self) -> &[Hit] {
        &self.hits
    }
}

/// The rankings of any number of queries, in the order in which they were added or first stood in the file.
#[derive(Clone, Debug, Default)]
pub struct Run {
    rankings: Vec<Ranking>,
    places: HashMap<String, usize>,
}

impl Run {
    /// A run without rankings.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a ranking.
    ///
    /// # Errors
    /// [`Error::RepeatedQuery`] when the run has one for that query.
    pub fn push(&mut self, ranking: Ranking) -> Result<(), Error> {
        if self.places.contains_key(ranking.query()) {
            return Err(Error::RepeatedQuery { query: ranking.query });
        }
        self.places.insert(ranking.query.clone(), self.rankings.len());
        self.rankings.push(ranking);
        Ok(())
    }

    /// The rankings in order.
    pub fn iter(&self) -> impl Iterator<Item = &Ranking> {
        self.rankings.iter()
    }

    /// The ranking of a query.
    pub fn get(&self, query: &str) -> Option<&Ranking> {
        self.places.get(query).map(|&place| &self.rankings[place])
    }

    /// The number of queries.
    pub fn len(&self) -> usize {
        self.rankings.len()
    }

    /// Whether there is no ranking.
    pub fn is_empty(&self) -> bool {
        self.rankings.is_empty()
    }

    /// Reads a run, plain or gzipped. Lines of a query may stand anywhere; text after the tag, blank lines and lines
    /// that begin with `#` are passed over.
    ///
    /// # Errors
    /// The file cannot be read or is empty; a line has fewer than six fields, or more
    /// because of a blank in an id (the rank would be read as the score), a score that is not a number, or a
    /// document that the query had before (file and line are named).
    pub fn read(path: &Path) -> Result<Self, Error> {
        let mut lines = Lines::open(path)?;
        let mut queries: Vec<(String, Vec<(Hit, u64)>)> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        loop {
            let parsed = match lines.next_line()? {
                None => break,
                Some(line) if line.trim().is_empty() || line.starts_with('#') => continue,
                Some(line) => parse(line).map(|(query, hit)| {
                    let place = places.get(query).copied().unwrap_or_else(|| {
                        places.insert(query.to_owned(), queries.len());
                        queries.push((query.to_owned(), Vec::new()));
                        queries.len() - 1
                    });
                    (place, hit)
                }),
            };
            let (place, hit) = parsed.map_err(|fault| lines.malformed(fault))?;
            queries[place].1.push((hit, lines.number()));
        }
        if queries.is_empty() {
            return Err(Error::Empty {
                path: path.to_owned(),
                expected: "lines `query Q0 document rank score tag`",
            });
        }
        let rankings = queries
            .into_iter()
            .map(|(query, mut hits)| {
                refuse_repeats(path, &query, &mut hits)?;
                let mut hits: Vec<Hit> = hits.into_iter().map(|(hit, _)| hit).collect();
                rank(&mut hits);
                Ok(Ranking { query, hits })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self { rankings, places })
    }

    /// Writes the run as [`RunWriter`] does. The file appears whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written, or an id or the tag is empty, holds a blank, or begins with `#` or a byte order mark.
    pub fn write(&self, path: &Path, tag: &str) -> Result<(), Error> {
        let mut file = AtomicFile::create(path)?;
        self.write_to(&mut file, tag)?;
        Ok(file.commit()?)
    }

    /// Writes the same lines to what is open already, such as standard output.
    ///
    /// # Errors
    /// As [`Run::write`].
    pub fn write_to(&self, writer: &mut dyn Write, tag: &str) -> Result<(), Error> {
        let mut run = RunWriter::new(writer, tag)?;
        self.rankings.iter().try_for_each(|ranking| run.write(ranking))?;
        run.finish()?;
        Ok(())
    }
}

fn rank(hits: &mut [Hit]) {
    hits.sort_unstable_by(|left, right| {
        total_order((left.score, &left.document), (right.score, &right.document))
    });
}

fn parse(line: &str) -> Result<(&str, Hit), Fault> {
    let mut fields = line.split_ascii_whitespace();
    let mut six = [""; 6];
    for (place, slot) in six.iter_mut().enumerate() {
        *slot = fields
            .next()
            .ok_or_else(|| Fault::new("`query Q0 document rank score tag`", format!("{place} fields")))?;
    }
    let [query, _, document, rank, score, tag] = six;
    let more = fields.count();
    // Text after the tag is passed over, as the standard program does; but a blank in the document's id moves every field
    // behind it by one, and its rank would be read as its score.
    if more > 0 && (rank.parse::<u64>().is_err() || tag.parse::<Score>().is_ok()) {
        let found = format!(
            "{} fields, `{rank}` as the rank and `{tag}` as the tag; is there a blank in an id?",
            6 + more
        );
        return Err(Fault::new("`query Q0 document rank score tag`", found));
    }
    match score.parse::<Score>() {
        Ok(number) if !number.is_nan() => Ok((query, Hit::new(document, number))),
        _ => Err(Fault::new("a number as the score", format!("`{score}`"))),
    }
}

/// Refuses a document that occurs twice, naming the later line.
fn refuse_repeats(path: &Path, query: &str, hits: &mut [(Hit, u64)]) -> Result<(), Error> {
    hits.sort_unstable_by(|(left, left_line), (right, right_line)| {
        left.document.cmp(&right.document).then(left_line.cmp(right_line))
    });
    match hits.windows(2).find(|pair| pair[0].0.document == pair[1].0.document) {
        None => Ok(()),
        Some(pair) => Err(Error::Malformed {
            path: path.to_owned(),
            line: pair[1].1,
            expected: format!("each document once for query `{query}`"),
            found: format!("`{}` here and on line {}", pair[0].0.document, pair[0].1),
        }),
    }
}
