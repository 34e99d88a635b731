//! Hard negatives out of rankings: documents that rank high for a query and do not answer it.
//!
//! Few answers of a query are judged, so that many of its best hits are answers that nobody has judged: as negatives
//! these teach the wrong thing. Three rules keep most of them out. The window of ranks leaves out the very best hits; a
//! hit must score clearly below the query's best positive; and a hit whose text is that of a positive is no negative.
//! Known positives (grade above 0) are never taken.
//!
//! **Clearly below** a positive of score `p`: a score of at most `R · p`, or `(2 − R) · p` where `p` is negative, which
//! is below `p` by the same share of its size, `(1 − R)·|p|`. A positive that the ranking lacks scores no more than the
//! last hit, and so no hit is below it: such a query gets no negatives under this rule.

mod positive_texts;

use std::{collections::HashSet, fmt, num::NonZeroUsize, ops::RangeInclusive, path::Path, str::FromStr};

use serde::{Serialize, Serializer};

pub use self::positive_texts::PositiveTexts;
use crate::{Error, Hit, Qrels, Ranking, Score, atomic_file::write_atomically, qrels::Judgment};

/// A window of ranks, counted from 1, both ends included: `10-100`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranks {
    first: NonZeroUsize,
    last: NonZeroUsize,
}

/// What is no window of ranks.
#[derive(Debug, thiserror::Error)]
#[error("expected two ranks from 1 on, the smaller first, such as `10-100`, found `{found}`")]
pub struct RanksError {
    found: String,
}

impl Ranks {
    /// The last rank, which is how deep a ranking needs to be.
    pub fn last(self) -> usize {
        self.last.get()
    }

    fn places(self) -> RangeInclusive<usize> {
        self.first.get() - 1..=self.last.get() - 1
    }
}

impl fmt::Display for Ranks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.first, self.last)
    }
}

impl FromStr for Ranks {
    type Err = RanksError;

    fn from_str(text: &str) -> Result<Self, RanksError> {
        let ranks = text.split_once('-').and_then(|(first, last)| {
            let (first, last) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
            (first <= last).then_some(Self { first, last })
        });
        ranks.ok_or_else(|| RanksError { found: text.to_owned() })
    }
}

/// Reorders places of a ranking, given the query's id.
pub type Draw<'a> = &'a dyn Fn(&str, &mut [usize]);

/// What is taken.
#[derive(Clone, Copy)]
pub struct MineOptions<'a> {
    /// The ranks that negatives may have.
    pub ranks: Ranks,
    /// The most negatives of a query.
    pub negatives: usize,
    /// The share `R` of the best positive's score that a negative may have, in `0 < R ≤ 1`; `None` asks nothing of
    /// scores.
    pub relative: Option<f64>,
    /// Reorders what may be taken, given the query's id and the places of hits in the ranking, from 0; the first ones are
    /// taken then. `None` takes the best.
    pub draw: Option<Draw<'a>>,
}

/// The negatives of a query, in the order of its ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct MinedQuery {
    /// The query's id.
    pub query: String,
    /// The negatives and their scores; never empty.
    pub negatives: Vec<Hit>,
}

/// What happened to queries and hits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MineCounts {
    /// Queries that were ranked. Each is in one of the four counts that follow.
    pub queries: usize,
    /// Queries with negatives.
    pub mined: usize,
    /// Queries skipped since no document is judged to answer them.
    pub without_positives: usize,
    /// Queries of which no positive is among the hits, where negatives must score below it.
    pub positive_not_ranked: usize,
    /// Other queries without any negative in the window.
    pub nothing_left: usize,
    /// Queries with positives that were not ranked.
    pub not_ranked: usize,
    /// All negatives.
    pub negatives: usize,
    /// Hits in the window that are known positives.
    pub known_positives: usize,
    /// Hits in the window whose text is that of a known positive of the query.
    pub duplicates: usize,
    /// Hits in the window that score too close to the best positive or above it.
    pub too_similar: usize,
}

/// Takes negatives from one ranking after the other.
pub struct Miner<'a> {
    qrels: &'a Qrels,
    texts: Option<&'a PositiveTexts>,
    options: MineOptions<'a>,
    counts: MineCounts,
}

impl<'a> Miner<'a> {
    /// A miner whose known positives are those of `qrels`; with `texts`, their duplicates are known too.
    pub fn new(qrels: &'a Qrels, texts: Option<&'a PositiveTexts>, options: MineOptions<'a>) -> Self {
        let not_ranked = qrels.iter().filter(|judged| positives(&judged.judgments).next().is_some()).count();
        Self { qrels, texts, options, counts: MineCounts { not_ranked, ..MineCounts::default() } }
    }

    /// The counts over all rankings so far.
    pub fn counts(&self) -> MineCounts {
        self.counts
    }

    /// The negatives of a ranking, which stands for a query that had none before; `None` when there are none.
    pub fn mine(&mut self, ranking: &Ranking) -> Option<MinedQuery> {
        self.counts.queries += 1;
        let positives: HashSet<&str> =
            positives(self.qrels.get(ranking.query()).unwrap_or_default()).collect();
        if positives.is_empty() {
            self.counts.without_positives += 1;
            return None;
        }
        self.counts.not_ranked -= 1;
        let hits = ranking.hits();
        let best = hits.iter().find(|hit| positives.contains(&*hit.document)).map(|hit| hit.score);
        let most = match (self.options.relative, best) {
            (None, _) => Score::INFINITY,
            (Some(relative), Some(best)) => clearly_below(best, relative),
            (Some(_), None) => {
                self.counts.positive_not_ranked += 1;
                return None;
            }
        };
        let texts: HashSet<u128> =
            self.texts.map_or_else(HashSet::new, |texts| texts.of(positives.iter().copied()).collect());
        let mut places = Vec::new();
        for place in self.options.ranks.places().take_while(|place| *place < hits.len()) {
            let Hit { document, score } = &hits[place];
            let text = self.texts.and_then(|known| known.of([&**document]).next());
            if positives.contains(&**document) {
                self.counts.known_positives += 1;
            } else if text.is_some_and(|text| texts.contains(&text)) {
                self.counts.duplicates += 1;
            } else if *score > most {
                self.counts.too_similar += 1;
            } else {
                places.push(place);
            }
        }
        if let Some(draw) = self.options.draw {
            draw(ranking.query(), &mut places);
        }
        places.truncate(self.options.negatives);
        places.sort_unstable();
        if places.is_empty() {
            self.counts.nothing_left += 1;
            return None;
        }
        self.counts.mined += 1;
        self.counts.negatives += places.len();
        let negatives = places.into_iter().map(|place| hits[place].clone()).collect();
        Some(MinedQuery { query: ranking.query().to_owned(), negatives })
    }
}

/// Writes negatives as [`Negatives`](crate::Negatives) reads them, with their scores:
/// `{"query-id": "q1", "corpus-ids": ["d7"], "scores": [0.5]}` a line. The file appears whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_negatives(path: &Path, mined: &[MinedQuery]) -> Result<(), Error> {
    Ok(write_atomically(path, |writer| {
        for MinedQuery { query, negatives } in mined {
            let line = Line {
                query,
                documents: negatives.iter().map(|hit| &*hit.document).collect(),
                scores: negatives.iter().map(|hit| Printed(hit.score)).collect(),
            };
            serde_json::to_writer(&mut *writer, &line)?;
            writer.write_all(b"\n")?;
        }
        Ok(())
    })?)
}

#[derive(Serialize)]
struct Line<'a> {
    #[serde(rename = "query-id")]
    query: &'a str,
    #[serde(rename = "corpus-ids")]
    documents: Vec<&'a str>,
    scores: Vec<Printed>,
}

/// A score with the fewest digits that read back to it, as `f32` where that is exact; null where it is not finite.
struct Printed(Score);

impl Serialize for Printed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let single = self.0 as f32;
        if f64::from(single).total_cmp(&self.0).is_eq() {
            serializer.serialize_f32(single)
        } else {
            serializer.serialize_f64(self.0)
        }
    }
}

fn positives(judgments: &[Judgment]) -> impl Iterator<Item = &str> {
    judgments.iter().filter(|judgment| judgment.grade > 0).map(|judgment| &*judgment.document)
}

/// The largest score that is clearly below a positive's.
fn clearly_below(positive: Score, relative: f64) -> Score {
    if positive < 0.0 { (2.0 - relative) * positive } else { relative * positive }
}
