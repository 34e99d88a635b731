//! Four rows of four numbers, transposed in registers: a column of rows that lie far apart would be fetched number by
//! number. And cache lines that are asked for ahead, since no processor foresees the strides of such rows.

/// Four rows of four numbers.
pub(super) type Square = [[f32; 4]; 4];

/// Rows become columns.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(super) fn transpose(rows: Square) -> Square {
    use std::arch::x86_64::{
        _mm_loadu_ps, _mm_movehl_ps, _mm_movelh_ps, _mm_storeu_ps, _mm_unpackhi_ps, _mm_unpacklo_ps,
    };

    let mut columns = Square::default();
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
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub(super) fn transpose(rows: Square) -> Square {
    use std::arch::aarch64::{vld1q_f32, vst1q_f32, vzip1q_f32, vzip2q_f32};

    let mut columns = Square::default();
    // SAFETY: every AArch64 processor has these instructions; four numbers are what a load reads and a store writes.
    unsafe {
        let (a, b) = (vld1q_f32(rows[0].as_ptr()), vld1q_f32(rows[1].as_ptr()));
        let (c, d) = (vld1q_f32(rows[2].as_ptr()), vld1q_f32(rows[3].as_ptr()));
        let (ac, bd) = (vzip1q_f32(a, c), vzip1q_f32(b, d));
        let (ac_high, bd_high) = (vzip2q_f32(a, c), vzip2q_f32(b, d));
        vst1q_f32(columns[0].as_mut_ptr(), vzip1q_f32(ac, bd));
        vst1q_f32(columns[1].as_mut_ptr(), vzip2q_f32(ac, bd));
        vst1q_f32(columns[2].as_mut_ptr(), vzip1q_f32(ac_high, bd_high));
        vst1q_f32(columns[3].as_mut_ptr(), vzip2q_f32(ac_high, bd_high));
    }
    columns
}

/// Rows become columns.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
#[inline(always)]
pub(super) fn transpose(rows: Square) -> Square {
    let mut columns = Square::default();
    for (row, numbers) in rows.iter().enumerate() {
        for (column, number) in columns.iter_mut().zip(numbers) {
            column[row] = *number;
        }
    }
    columns
}

/// Asks for a cache line that will be read or written soon; any address will do.
#[inline(always)]
pub(super) fn prefetch(address: *const f32) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: every x86-64 processor has the instruction, and it reads nothing that the program could see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }
    #[cfg(target_arch = "aarch64")]
    // SAFETY: every AArch64 processor has the instruction, and it reads nothing that the program could see.
    unsafe {
        use std::arch::asm;
        asm!("prfm pldl1keep, [{0}]", in(reg) address.addr(), options(nomem, nostack, preserves_flags));
    }
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let _ = address;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_become_columns() {
        let rows =
            [[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0], [8.0, 9.0, 10.0, 11.0], [12.0, 13.0, 14.0, 15.0]];
        for (row, numbers) in rows.iter().enumerate() {
            for (column, number) in numbers.iter().enumerate() {
                assert_eq!(transpose(rows)[column][row].to_bits(), number.to_bits(), "{row} {column}");
            }
        }
    }
}
