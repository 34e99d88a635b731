//! Squares of numbers transposed in registers: a column of rows that lie far apart would be fetched number by number.

use super::lanes::{LANES, Lanes};

/// Four rows of four numbers.
pub(super) type Four = [[f32; 4]; 4];

/// Sixteen rows become sixteen columns, four by four or, with the registers of AVX-512 (`WIDTH` is 16), at once.
#[inline(always)]
pub(super) fn transpose_sixteen<const WIDTH: usize>(rows: [&Lanes; LANES], columns: &mut [Lanes; LANES]) {
    #[cfg(target_arch = "x86_64")]
    if WIDTH == LANES {
        // SAFETY: a width of sixteen is that of a level with AVX-512, which the processor has.
        unsafe { x86::transpose_sixteen(rows, columns) };
        return;
    }
    for row in (0..LANES).step_by(4) {
        for column in (0..LANES).step_by(4) {
            let square = [0, 1, 2, 3].map(|r| {
                let row: &Lanes = rows[row + r];
                [row[column], row[column + 1], row[column + 2], row[column + 3]]
            });
            for (to, from) in columns[column..].iter_mut().zip(transpose_four(square)) {
                to[row..row + 4].copy_from_slice(&from);
            }
        }
    }
}

/// Rows become columns.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn transpose_four(rows: Four) -> Four {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };

    let mut columns = Four::default();
    // SAFETY: every x86-64 processor has these instructions; four numbers are what a load reads and a store writes.
    unsafe {
        let (a, b) = (_mm_loadu_ps(rows[0].as_ptr()), _mm_loadu_ps(rows[1].as_ptr()));
        let (c, d) = (_mm_loadu_ps(rows[2].as_ptr()), _mm_loadu_ps(rows[3].as_ptr()));
        let (ab, cd) = (_mm_unpacklo_ps(a, b), _mm_unpacklo_ps(c, d));
        let (ab_high, cd_high) = (_mm_unpackhi_ps(a, b), _mm_unpackhi_ps(c, d));
        _mm_storeu_ps(columns[0].as_mut_ptr(), _mm_movelh_ps(ab, cd));
        _mm_storeu_ps(columns[1].as_mut_ptr(), _mm_movehl_ps(cd, ab));
        _mm_storeu_ps(columns[2].as_mut_ptr(), _mm_movelh_ps(ab_high, cd_high));
        _mm_storeu_ps(columns[3].as_mut_ptr(), _mm_movehl_ps(cd_high, ab_high));
    }
    columns
}

/// Rows become columns.
#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(super) fn transpose_four(rows: Four) -> Four {
    let mut columns = Four::default();
    for (row, numbers) in rows.iter().enumerate() {
        for (column, number) in columns.iter_mut().zip(numbers) {
            column[row] = *number;
        }
    }
    columns
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m512, _mm512_castpd_ps, _mm512_castps_pd, _mm512_loadu_ps, _mm512_setzero_ps, _mm512_shuffle_f32x4,
        _mm512_storeu_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd, _mm512_unpacklo_ps,
    };

    use super::{LANES, Lanes};

    /// # Safety
    /// The processor has AVX-512 F, and the caller is compiled for it.
    #[inline(always)]
    pub(super) unsafe fn transpose_sixteen(rows: [&Lanes; LANES], columns: &mut [Lanes; LANES]) {
        // SAFETY: the caller's word; sixteen numbers are a register.
        unsafe {
            // Quarter `q` of `fours[group][j]` has column `4 q + j` of the rows of a group of four.
            let mut fours = [[_mm512_setzero_ps(); 4]; 4];
            for (four, rows) in fours.iter_mut().zip(rows.as_chunks::<4>().0) {
                *four = in_quarters(rows.map(|row| _mm512_loadu_ps(row.as_ptr())));
            }
            for j in 0..4 {
                let [a, b, c, d] = fours.map(|four| four[j]);
                let (ab, cd) = (_mm512_shuffle_f32x4::<0x88>(a, b), _mm512_shuffle_f32x4::<0x88>(c, d));
                let (ab_odd, cd_odd) =
                    (_mm512_shuffle_f32x4::<0xdd>(a, b), _mm512_shuffle_f32x4::<0xdd>(c, d));
                _mm512_storeu_ps(columns[j].as_mut_ptr(), _mm512_shuffle_f32x4::<0x88>(ab, cd));
                _mm512_storeu_ps(columns[4 + j].as_mut_ptr(), _mm512_shuffle_f32x4::<0x88>(ab_odd, cd_odd));
                _mm512_storeu_ps(columns[8 + j].as_mut_ptr(), _mm512_shuffle_f32x4::<0xdd>(ab, cd));
                _mm512_storeu_ps(columns[12 + j].as_mut_ptr(), _mm512_shuffle_f32x4::<0xdd>(ab_odd, cd_odd));
            }
        }
    }

    /// Four rows transposed four by four, quarter of a register by quarter.
    ///
    /// # Safety
    /// As [`transpose_sixteen`].
    #[inline(always)]
    unsafe fn in_quarters([a, b, c, d]: [__m512; 4]) -> [__m512; 4] {
        // SAFETY: the caller's word.
        unsafe {
            let (ab, cd) = (_mm512_unpacklo_ps(a, b), _mm512_unpacklo_ps(c, d));
            let (ab_high, cd_high) = (_mm512_unpackhi_ps(a, b), _mm512_unpackhi_ps(c, d));
            let [ab, cd, ab_high, cd_high] = [ab, cd, ab_high, cd_high].map(|x| _mm512_castps_pd(x));
            [
                _mm512_castpd_ps(_mm512_unpacklo_pd(ab, cd)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(ab, cd)),
                _mm512_castpd_ps(_mm512_unpacklo_pd(ab_high, cd_high)),
                _mm512_castpd_ps(_mm512_unpackhi_pd(ab_high, cd_high)),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use std::array;

    use super::super::level::{Level, multiversion};
    use super::*;

    multiversion! {
        fn transposed(rows: [&Lanes; LANES], columns: &mut [Lanes; LANES]) {
            transpose_sixteen::<WIDTH>(rows, columns);
        }
    }

    #[test]
    fn rows_become_columns_at_every_level() {
        let rows: [Lanes; LANES] = array::from_fn(|row| array::from_fn(|column| (100 * row + column) as f32));
        for level in Level::available() {
            let mut columns = [[0.0; LANES]; LANES];
            transposed(level, rows.each_ref(), &mut columns);
            for (row, numbers) in rows.iter().enumerate() {
                assert!(columns.iter().zip(numbers).all(|(column, x)| column[row].to_bits() == x.to_bits()));
            }
        }
    }
}
