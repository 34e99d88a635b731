//! How far a score may be from what rounded vectors say.
//!
//! For a query q and a document d with their copies q̂ and d̂, Cauchy and Schwarz give
//! |q·d − q̂·d̂| ≤ ‖q‖‖d − d̂‖ + ‖q − q̂‖‖d̂‖. The score is not q·d but [`dot`](crate::dot) of them, whose `n` roundings
//! move it by at most γₙ‖q‖‖d‖ with γₙ = n u / (1 − n u) and u = 2⁻²⁴ (Higham, Accuracy and Stability of Numerical
//! Algorithms, 2002, section 3.1), and by n 2⁻¹⁴⁹ more where sums are subnormal. Divided by ‖q‖ all of it becomes
//!
//! |dot(q, d) / ‖q‖ − q̂·d̂ / ‖q‖| ≤ error + share · norm,
//!
//! where error and norm belong to the document ([`RowBound`]) and share to the query ([`QueryBound`]). Share also
//! pays for the roundings of this comparison itself. Vectors so long or so short that a product of two could leave
//! the range of f32 have no bound; whoever meets one computes the score.

/// A vector's largest number is between these, or is zero: then no inner product of two overflows, and what sums
/// lose by being subnormal is below 2⁻⁴⁹ of the product of the norms for every position.
const TAME: std::ops::RangeInclusive<f32> = 1.0 / (1_u64 << 50) as f32..=(1_u64 << 50) as f32;

/// u, half the distance from 1 to the next f32.
const UNIT_ROUNDOFF: f64 = 1.0 / (1 << 24) as f64;

/// What subnormal sums lose at each position, as a part of the product of the norms.
const UNDERFLOW: f64 = 1.0 / (1_u64 << 49) as f64;

/// The same, and what subnormal numbers and products lose, where all that is subnormal becomes zero: 2⁻¹²⁶ in place of
/// 2⁻¹⁴⁹.
const FLUSHED: f64 = 4.0 / (1_u64 << 26) as f64;

/// Norms and errors are made greater by this part: it covers the roundings of their own sums in f64, and of the few
/// operations in f32 that compare a bound with a floor.
const MARGIN: f64 = 1.0 / (1 << 18) as f64;

/// What the estimate itself loses, as a part of the product of the norms: it is converted, scaled, added and
/// compared with about five roundings of u, and here are sixteen.
const ESTIMATE: f64 = 16.0 * UNIT_ROUNDOFF;

/// The largest absolute number of a vector.
pub(crate) fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |largest, number| number.abs().max(largest))
}

/// Whether a vector with this largest number has bounds.
pub(crate) fn is_tame(largest: f32) -> bool {
    largest == 0.0 || TAME.contains(&largest)
}

/// What a copy's row says about its document.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct RowBound {
    /// What the copy's numbers are multiplied by.
    pub(crate) scale: f32,
    /// At least ‖d − d̂‖; infinite where there is no bound.
    pub(crate) error: f32,
    /// At least ‖d‖ and ‖d̂‖.
    pub(crate) norm: f32,
}

impl RowBound {
    /// Numbers of a row in the file.
    pub(crate) const COLUMNS: usize = 3;

    /// A document of which nothing is known.
    pub(crate) const NONE: Self = Self { scale: 0.0, error: f32::INFINITY, norm: 0.0 };

    /// The bound of `row`, whose copy is `copy`, scale included.
    pub(crate) fn of(row: &[f32], scale: f32, copy: impl Iterator<Item = f64>) -> Self {
        let (mut error, mut norm, mut copied) = (0.0, 0.0, 0.0);
        for (number, copy) in row.iter().map(|&number| f64::from(number)).zip(copy) {
            error += (number - copy) * (number - copy);
            norm += number * number;
            copied += copy * copy;
        }
        let up = |square: f64| if square > 0.0 { raised(square.sqrt()) } else { 0.0 };
        Self { scale, error: up(error), norm: up(norm.max(copied)) }
    }

    /// The bound of a row of `dim` numbers whose copy is whole numbers times `scale`, from sums in f32 of sixteen lanes:
    /// the squares of what the copy was computed to be off by, and of the row. None where a sum is not finite.
    pub(crate) fn of_squares(dim: usize, scale: f32, errors: f32, squares: f32) -> Self {
        if !(errors.is_finite() && squares.is_finite()) {
            return Self::NONE;
        }
        if squares == 0.0 {
            return Self { scale, error: 0.0, norm: 0.0 };
        }
        // Each square is rounded, and added with those of its lane, then of all lanes; some may be subnormal.
        let sums = 1.0 + 2.0 * gamma(dim / 16 + 20);
        let lost = dim as f64 * f64::from(f32::from_bits(1));
        let root = |square: f32| (f64::from(square) * sums + lost).sqrt();
        // The copy's numbers were rounded once more when they were taken from the row's.
        let error = root(errors) + 2.0 * UNIT_ROUNDOFF * root(squares);
        Self { scale, error: raised(error), norm: raised(root(squares) + error) }
    }

    /// The row as it stands in the file.
    pub(crate) fn to_row(self) -> [f32; Self::COLUMNS] {
        [self.scale, self.error, self.norm]
    }
}

/// How an estimate's products are added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    /// Roundings that a sum takes in f32.
    pub(crate) roundings: usize,
    /// Whether what is subnormal becomes zero.
    pub(crate) are_flushed: bool,
}

impl Sums {
    /// Sums of integers.
    pub(crate) const EXACT: Self = Self { roundings: 0, are_flushed: false };
}

/// What the copy of a query says about its scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct QueryBound {
    /// At least ‖q‖, and above zero: scores are compared as parts of it.
    pub(crate) norm: f64,
    /// What the inner product of the copies' numbers, times the document's scale, is multiplied by.
    pub(crate) unit: f32,
    /// The part of a document's norm by which an estimate may be wrong on the query's side; infinite where there is
    /// no bound.
    pub(crate) share: f32,
}

impl QueryBound {
    /// A query of which nothing is known.
    pub(crate) const NONE: Self = Self { norm: 1.0, unit: 0.0, share: f32::INFINITY };

    /// The bound of `query`, whose copy has the given scale and is at most `error` from it.
    pub(crate) fn of(query: &[f32], scale: f64, error: f64, Sums { roundings, are_flushed }: Sums) -> Self {
        let square: f64 = query.iter().map(|&number| f64::from(number) * f64::from(number)).sum();
        let norm = if square > 0.0 { square.sqrt() * (1.0 + MARGIN) } else { 1.0 };
        let error = error * (1.0 + MARGIN) / norm;
        let estimate = gamma(roundings);
        let lost = if are_flushed { FLUSHED } else { UNDERFLOW };
        let underflow = UNDERFLOW * query.len() as f64 + lost * roundings as f64;
        let rounded = ESTIMATE * (1.0 + error + estimate);
        let share = raised(error + gamma(query.len()) + estimate + underflow + rounded);
        if share.is_finite() { Self { norm, unit: (scale / norm) as f32, share } } else { Self::NONE }
    }

    /// The greatest number that is certain to be no more than `score` as a part of the norm.
    pub(crate) fn floor(&self, score: f32) -> f32 {
        ((f64::from(score) / self.norm) as f32).next_down()
    }
}

/// γₙ, infinite from the dimension on where the bound says nothing.
fn gamma(roundings: usize) -> f64 {
    let part = roundings as f64 * UNIT_ROUNDOFF;
    if part < 1.0 { part / (1.0 - part) } else { f64::INFINITY }
}

fn raised(number: f64) -> f32 {
    ((number * (1.0 + MARGIN)) as f32).next_up()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_its_copy_has_no_error() {
        let row = [3.0, -4.0];
        let bound = RowBound::of(&row, 1.0, row.iter().map(|&number| f64::from(number)));
        assert_eq!((bound.scale, bound.error), (1.0, 0.0));
        assert!(bound.norm > 5.0 && bound.norm < 5.0001, "{bound:?}");
        let zeros = RowBound::of(&[0.0; 3], 0.0, [0.0; 3].into_iter());
        assert_eq!(zeros, RowBound { scale: 0.0, error: 0.0, norm: 0.0 });
    }

    #[test]
    fn extremes_have_no_bound() {
        for (number, tame) in
            [(0.0, true), (1.0, true), (1e14, true), (1e16, false), (1e-16, false), (1e-45, false)]
        {
            assert_eq!(is_tame(largest(&[0.0, -number])), tame, "{number}");
        }
        assert_eq!(
            QueryBound::of(&[1.0; 2], 1.0, 0.0, Sums { roundings: 1 << 24, are_flushed: false }),
            QueryBound::NONE
        );
    }

    #[test]
    fn floors_are_below_the_score() {
        let bound = QueryBound::of(&[3.0, 4.0], 1.0, 0.0, Sums::EXACT);
        for score in [7.0, -7.0, 0.0, 1e-45, f32::NEG_INFINITY] {
            assert!(f64::from(bound.floor(score)) * bound.norm <= f64::from(score), "{score}");
        }
    }
}
