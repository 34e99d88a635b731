//! Queries laid out as the kernels read them.

use crate::kernel::Kernel;
use crate::level::SimdLevel;

/// Some queries side by side.
pub(super) struct Panel {
    /// `[dim, width]`, where the width is the kernel's; lanes beyond the last query hold zeros.
    pub(super) values: Vec<f32>,
    /// The block's query in the first lane.
    pub(super) first: usize,
    /// Lanes that hold queries.
    pub(super) count: usize,
    /// The loops for this width.
    pub(super) kernel: Kernel,
}

/// At most `width` queries, `[queries, dim]`, as `[dim, width]`; lanes beyond the last hold zeros.
pub(super) fn lay_out(queries: &[f32], dim: usize, width: usize) -> Vec<f32> {
    let mut values = vec![0.0; dim * width];
    for (lane, query) in queries.chunks_exact(dim).enumerate() {
        for (position, &value) in query.iter().enumerate() {
            values[position * width + lane] = value;
        }
    }
    values
}

/// Lays out `queries`, `[queries, dim]`, in the widest panels and one that is just wide enough for the rest.
pub(super) fn pack(queries: &[f32], dim: usize, level: SimdLevel) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut rest = queries;
    while !rest.is_empty() {
        let kernel = Kernel::for_queries(level, rest.len() / dim);
        let count = kernel.width.min(rest.len() / dim);
        let (taken, left) = rest.split_at(count * dim);
        let values = lay_out(taken, dim, kernel.width);
        let first = panels.last().map_or(0, |panel| panel.first + panel.count);
        panels.push(Panel { values, first, count, kernel });
        rest = left;
    }
    panels
}
