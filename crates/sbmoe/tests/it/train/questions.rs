//! Sixty questions about the animals, three about each, and an encoder that answers them.

use crate::program::succeeds;
use crate::tiny_model::{N_ANIMALS, Place};

/// The questions of these kinds about every animal, with the animal.
pub(super) fn kinds(kinds: &[usize]) -> impl Iterator<Item = (usize, usize)> {
    (0..N_ANIMALS).flat_map(move |animal| kinds.iter().map(move |kind| (3 * animal + kind, animal)))
}

/// A collection whose training judgments hold all questions, and an encoder that has learnt them.
pub(super) fn answered() -> Place {
    let mut place = Place::new();
    place.ask_everything();
    place.judge("train", kinds(&[0, 1, 2]));
    let good = ["--epochs", "20", "--batch-size", "5", "--validation", "0", "--encoder-lr", "3e-3"];
    succeeds(place.train_only("good").args(["--experts", "0", "--no-dropout"]).args(good));
    place.model = place.run("good/model");
    place
}
