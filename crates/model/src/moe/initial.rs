//! How a block starts: every linear layer as PyTorch's `nn.Linear`, weight and bias uniform in ±1/√inputs.

use sbmoe_kernels::Key;

use crate::parameters::Layout;

/// Initial values of every parameter that `layout` declares from `first` on; keyed by name, so that the values of one
/// parameter do not depend on how many others there are.
/// Those that `is_zero` names are zero.
pub(super) fn values(
    layout: &Layout,
    first: usize,
    seed: u64,
    is_zero: impl Fn(usize) -> bool,
) -> Vec<Vec<f32>> {
    let key = Key::new(seed).purpose("initial block");
    let own = &layout.parameters()[first..];
    let inputs = |name: &str| {
        let weight =
            name.strip_suffix(".bias").map_or_else(|| name.to_owned(), |layer| format!("{layer}.weight"));
        let weight = own.iter().find(|parameter| parameter.name == weight);
        weight.expect("every bias of a block belongs to a weight").shape[1]
    };
    (first..)
        .zip(own)
        .map(|(place, parameter)| {
            if is_zero(place) {
                return vec![0.0; parameter.len()];
            }
            let (bound, key) = (1.0 / (inputs(&parameter.name) as f64).sqrt(), key.purpose(&parameter.name));
            let value = |i: usize| (bound * (2.0 * key.with(i as u64).uniform() - 1.0)) as f32;
            (0..parameter.len()).map(value).collect()
        })
        .collect()
}
