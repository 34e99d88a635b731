//! Vectors searched through a rounded copy, with the hits of an exact search.

use std::sync::atomic::{AtomicU64, Ordering};

use rayon::ThreadPool;

use crate::error::IndexError;
use crate::hit::Hit;
use crate::level::SimdLevel;
use crate::rounded::{Numbers, RoundedVectors};
use crate::store::{Search, Store};

use super::estimates::{Bf16, Int8};
use super::exact::Exact;
use super::run;
use super::sift::sift;

/// Vectors with a rounded copy: its hits, their scores and their order are those of [`Exact`], bit for bit.
///
/// A search reads the copy of every document, a quarter or half of the bytes, and rules out those whose score is
/// certain to be too low; the few others are scored from the f32 rows. Where many documents are within the copy's
/// error of the `k`-th score, as among duplicates, all are scored, which costs time and changes nothing.
#[derive(Debug)]
pub struct Rounded<'a> {
    exact: Exact<'a>,
    copy: &'a RoundedVectors,
    rescored: AtomicU64,
}

impl<'a> Rounded<'a> {
    /// A store over `vectors`, `[documents, dim]`, and their `copy`.
    ///
    /// # Errors
    /// `copy` has another number of vectors or another dimension.
    pub fn new(vectors: &'a [f32], copy: &'a RoundedVectors, level: SimdLevel) -> Result<Self, IndexError> {
        let exact = Exact::new(vectors, copy.dim(), level)?;
        if exact.len() != copy.len() {
            return Err(IndexError::RoundedRows { expected: exact.len(), found: copy.len() });
        }
        Ok(Self { exact, copy, rescored: AtomicU64::new(0) })
    }

    /// How many scores all searches so far have computed from f32 rows.
    pub fn rescored(&self) -> u64 {
        self.rescored.load(Ordering::Relaxed)
    }
}

impl Store for Rounded<'_> {
    fn dim(&self) -> usize {
        self.exact.dim()
    }

    fn len(&self) -> usize {
        self.exact.len()
    }

    fn search(&self, search: &Search<'_>, pool: &ThreadPool) -> Result<Vec<Vec<Hit>>, IndexError> {
        let (dim, level, bounds) = (self.dim(), self.exact.level(), self.copy.bounds());
        run(&self.exact, search, pool, |block, first_query| {
            let (hits, rescored) = match self.copy.numbers() {
                Numbers::Int8(numbers) => {
                    sift(&self.exact, &Int8 { numbers, bounds, dim, level }, block, first_query)?
                }
                Numbers::Bf16(numbers) => {
                    sift(&self.exact, &Bf16 { numbers, bounds, dim, level }, block, first_query)?
                }
            };
            self.rescored.fetch_add(rescored, Ordering::Relaxed);
            Ok(hits)
        })
    }
}
