//! Matrix products, by the `gemm` crate.
//!
//! It chooses its instructions itself, and its results are the same bytes for any number of threads.

use gemm::Parallelism;

use super::Cpu;

/// A row-major matrix that takes part in a product, as it is or transposed.
#[derive(Clone, Copy)]
pub(super) struct Operand<'a> {
    values: &'a [f32],
    transposed: bool,
}

impl<'a> Operand<'a> {
    /// The matrix as it is.
    pub(super) fn plain(values: &'a [f32]) -> Self {
        Self { values, transposed: false }
    }

    /// The transpose of the matrix.
    pub(super) fn transposed(values: &'a [f32]) -> Self {
        Self { values, transposed: true }
    }

    /// The strides (column, row) of the operand, which has `rows` × `columns` elements after transposition.
    fn strides(self, rows: usize, columns: usize) -> [isize; 2] {
        assert!(
            self.values.len() >= rows * columns,
            "operand of {rows}×{columns} with {} elements",
            self.values.len()
        );
        if self.transposed { [rows as isize, 1] } else { [1, columns as isize] }
    }
}

/// Multiplications below which other threads are not woken.
const SMALL: usize = 1 << 19;

/// `out = left · right` for `[m, k] · [k, n]`, or `out += …`.
pub(super) fn product(
    cpu: &Cpu,
    [m, n, k]: [usize; 3],
    left: Operand<'_>,
    right: Operand<'_>,
    accumulate: bool,
    out: &mut [f32],
) {
    assert!(out.len() >= m * n, "product of {m}×{n} into {} elements", out.len());
    if m == 0 || n == 0 || k == 0 {
        if !accumulate {
            out[..m * n].fill(0.0);
        }
        return;
    }
    let [left_column, left_row] = left.strides(m, k);
    let [right_column, right_row] = right.strides(k, n);
    let mut run = |parallelism| {
        // SAFETY: the sizes and strides address `m·k`, `k·n` and `m·n` elements, which the assertions above found
        // inside the slices; `out` is exclusively borrowed and does not overlap the operands.
        unsafe {
            gemm::gemm(
                m,
                n,
                k,
                out.as_mut_ptr(),
                1,
                n as isize,
                accumulate,
                left.values.as_ptr(),
                left_column,
                left_row,
                right.values.as_ptr(),
                right_column,
                right_row,
                1.0,
                1.0,
                false,
                false,
                false,
                parallelism,
            );
        }
    };
    if cpu.threads == 1 || m * n * k < SMALL {
        run(Parallelism::None);
    } else {
        cpu.pool.install(|| run(Parallelism::Rayon(cpu.threads)));
    }
}
