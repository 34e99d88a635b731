//! A block for one side: with one for queries, an index of the encoder's vectors stays valid.

use crate::program::{bytes, fails, succeeds};
use crate::tiny_model::Place;

/// Enough to move the vectors of the side that is trained.
const TRAINED: [&str; 5] = ["--freeze-encoder", "--keep", "last", "--lr", "0.01"];

fn trained(sides: &str) -> Place {
    let place = Place::new();
    succeeds(&mut place.train("run", &[&TRAINED[..], &["--sides", sides]].concat()));
    place.vectors(&place.model, "base", &[]);
    place
}

#[test]
fn an_index_of_the_encoder_serves_a_block_for_queries() {
    let place = trained("query");
    let model = place.run("run/model");
    let (before, after) = (place.scores(&place.model, "base"), place.scores(&model, "base"));
    let moved = before.iter().zip(&after).any(|((_, before), (_, after))| (before - after).abs() > 1e-3);
    assert!(moved, "queries pass through the block: {before:?} and {after:?}");
    place.vectors(&model, "own", &[]);
    let vectors = |index: &str| bytes(&place.run(index).join("vectors.npy"));
    assert!(vectors("own") == vectors("base"), "documents do not");
    assert_eq!(place.scores(&model, "own"), after);
    assert_eq!(place.scores(&place.model, "own"), before, "and the other way round");
}

#[test]
fn an_index_of_the_encoder_does_not_serve_a_block_for_documents() {
    let place = trained("document");
    let model = place.run("run/model");
    let refused = fails(&mut place.search(&model, "base"));
    assert!(refused.contains("made with another model"), "{refused}");
    let (base, own) = (place.vectors(&place.model, "again", &[]), place.vectors(&model, "own", &[]));
    assert!(base.iter().zip(&own).any(|(a, b)| (a - b).abs() > 1e-3), "documents pass through the block");
}

#[test]
fn a_block_for_queries_is_refused_by_an_index_that_compares_otherwise() {
    let place = trained("query");
    let model = place.run("run/model");
    for (index, how) in [("unit", ["--normalize", "on"]), ("cosine", ["--similarity", "cos"])] {
        place.vectors(&place.model, index, &how);
        let refused = fails(&mut place.search(&model, index));
        assert!(refused.contains("trained by dot product, but the index compares by cosine"), "{refused}");
        succeeds(place.search(&model, index).arg("--force"));
    }
}

#[test]
fn an_index_of_the_encoder_does_not_serve_an_encoder_that_was_trained() {
    for more in [&["--experts", "0"][..], &["--sides", "query"]] {
        let place = Place::new();
        let full = ["--keep", "last", "--encoder-lr", "0.01"];
        succeeds(place.train_only("run").args(full).args(more));
        place.vectors(&place.model, "base", &[]);
        let refused = fails(&mut place.search(&place.run("run/model"), "base"));
        assert!(refused.contains("made with another model"), "{refused}");
    }
}
