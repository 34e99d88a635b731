//! Arithmetic on sixteen lanes: what the vectoriser turns into registers, and reductions in a fixed order.

use std::array;

/// Numbers worked on side by side.
pub(super) const LANES: usize = 16;

/// One number a lane.
pub(super) type Lanes = [f32; LANES];

/// `a · b + c`, in one rounding where the level has the instruction and in two where it would be a function call.
#[inline(always)]
pub(super) fn mul_add<const FMA: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FMA { a.mul_add(b, c) } else { a * b + c }
}

/// The lanes combined as a fixed tree, each half with the other: a loop over a shrinking width would go through memory.
#[inline(always)]
pub(super) fn tree(lanes: Lanes, combine: impl Fn(f32, f32) -> f32) -> f32 {
    let eight: [f32; 8] = array::from_fn(
        #[inline(always)]
        |lane| combine(lanes[lane], lanes[lane + 8]),
    );
    let four: [f32; 4] = array::from_fn(
        #[inline(always)]
        |lane| combine(eight[lane], eight[lane + 4]),
    );
    combine(combine(four[0], four[2]), combine(four[1], four[3]))
}

/// Σ of the lanes, as a fixed tree.
#[inline(always)]
pub(super) fn tree_sum(lanes: Lanes) -> f32 {
    tree(
        lanes,
        #[inline(always)]
        |a, b| a + b,
    )
}

/// Σ xᵢ.
#[inline(always)]
pub(super) fn sum(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] += chunk[lane];
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane += x;
    }
    tree_sum(lanes)
}

/// Σ (xᵢ − center)².
#[inline(always)]
pub(super) fn sum_of_squares<const FMA: bool>(x: &[f32], center: f32) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            let d = chunk[lane] - center;
            lanes[lane] = mul_add::<FMA>(d, d, lanes[lane]);
        }
    }
    for (lane, x) in lanes.iter_mut().zip(rest) {
        *lane = mul_add::<FMA>(x - center, x - center, *lane);
    }
    tree_sum(lanes)
}

/// Σ aᵢ bᵢ.
#[inline(always)]
pub(super) fn dot<const FMA: bool>(a: &[f32], b: &[f32]) -> f32 {
    let (a_chunks, a_rest) = a.as_chunks::<LANES>();
    let (b_chunks, b_rest) = b.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for (a, b) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] = mul_add::<FMA>(a[lane], b[lane], lanes[lane]);
        }
    }
    for (lane, (a, b)) in lanes.iter_mut().zip(a_rest.iter().zip(b_rest)) {
        *lane = mul_add::<FMA>(*a, *b, *lane);
    }
    tree_sum(lanes)
}

/// The largest element; what it is when one is NaN is not said.
#[inline(always)]
pub(super) fn largest(x: &[f32]) -> f32 {
    let (chunks, rest) = x.as_chunks::<LANES>();
    let mut lanes = [f32::NEG_INFINITY; LANES];
    for chunk in chunks {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    for (lane, &x) in lanes.iter_mut().zip(rest) {
        *lane = if x > *lane { x } else { *lane };
    }
    tree(
        lanes,
        #[inline(always)]
        |a, b| if b > a { b } else { a },
    )
}
