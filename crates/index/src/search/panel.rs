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

/// Lays out `queries`, `[queries, dim]`, in the widest panels and one that is just wide enough for the rest.
pub(super) fn pack(queries: &[f32], dim: usize, level: SimdLevel) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    let mut rest = queries;
    while !rest.is_empty() {
        let kernel = Kernel::for_queries(level, rest.len() / dim);
        let count = kernel.width.min(rest.len() / dim);
        let (taken, left) = rest.split_at(count * dim);
        let mut values = vec![0.0; dim * kernel.width];
        for (lane, query) in taken.chunks_exact(dim).enumerate() {
            for (position, &value) in query.iter().enumerate() {
                values[position * kernel.width + lane] = value;
            }
        }
        let first = panels.last().map_or(0, |panel| panel.first + panel.count);
        panels.push(Panel { values, first, count, kernel });
        rest = left;
    }
    panels
}
