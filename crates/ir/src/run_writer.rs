//! Runs ranking by ranking, so that the memory of a long search does not grow with its queries.

use std::{
    fmt,
    io::{self, Write},
};

use crate::{
    Error, Hit, Ranking,
    order::Score,
    qrels::{TREC_RULE, is_trec_field},
};

/// Writes rankings under a tag, ranks from 1, hits in the total order.
///
/// Scores are printed with the fewest digits that read back to the same number, as `f32` where every score of the
/// query is one. So equal scores stay equal, different ones different, and any reader that follows the order
/// ranks the documents as here.
#[derive(Debug)]
pub struct RunWriter<W> {
    writer: W,
    tag: String,
}

impl<W: Write> RunWriter<W> {
    /// A run that is written to `writer`.
    ///
    /// # Errors
    /// The tag is empty, holds a blank, or begins with `#` or a byte order mark.
    pub fn new(writer: W, tag: &str) -> Result<Self, Error> {
        refuse_unwritable("tag", tag)?;
        Ok(Self { writer, tag: tag.to_owned() })
    }

    /// Adds a ranking; that each query has one at most is the caller's to see to.
    ///
    /// # Errors
    /// The writer fails, or an id is empty, holds a blank, or begins with `#` or a byte order mark.
    pub fn write(&mut self, ranking: &Ranking) -> Result<(), Error> {
        refuse_unwritable("query id", ranking.query())?;
        ranking.hits().iter().try_for_each(|hit| refuse_unwritable("document id", &hit.document))?;
        Ok(self.print(ranking)?)
    }

    fn print(&mut self, ranking: &Ranking) -> io::Result<()> {
        let (query, hits) = (ranking.query(), ranking.hits());
        let single = hits.iter().all(|hit| f64::from(hit.score as f32).total_cmp(&hit.score).is_eq());
        for (place, Hit { document, score }) in hits.iter().enumerate() {
            let score = PrintedScore { score: *score, single };
            writeln!(self.writer, "{query} Q0 {document} {} {score} {}", place + 1, self.tag)?;
        }
        Ok(())
    }

    /// Hands everything over to the writer below and returns that.
    ///
    /// # Errors
    /// The writer fails.
    pub fn finish(mut self) -> Result<W, Error> {
        self.writer.flush()?;
        Ok(self.writer)
    }
}

/// Refuses what cannot stand in a run: a `query id`, `document id` or `tag`, as `kind` says.
///
/// # Errors
/// [`Error::UnwritableId`].
pub fn refuse_unwritable(kind: &'static str, id: &str) -> Result<(), Error> {
    if is_trec_field(id) {
        return Ok(());
    }
    Err(Error::UnwritableId { kind, id: id.to_owned(), format: "TREC", rule: TREC_RULE })
}

/// A score in its shortest exact form.
struct PrintedScore {
    score: Score,
    single: bool,
}

impl fmt::Display for PrintedScore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Debug` of floats is shortest and round-trips as `Display` is, but prints small numbers with an exponent.
        if self.single { write!(f, "{:?}", self.score as f32) } else { write!(f, "{:?}", self.score) }
    }
}
