//! Weights in several files: all that the index names are brought, in either format.

use super::stand_in::StandIn;
use super::{NAME, ask, environment, read, refusal};

/// A model whose weights are the files that `index` names.
fn in_shards(index: &str, shards: [&str; 2]) -> StandIn {
    let mut hub = StandIn::new(NAME);
    hub.small("config.json", "{}");
    hub.small("vocab.txt", "[PAD]");
    let [first, second] = shards;
    hub.small(index, &format!(r#"{{"weight_map": {{"a": "{first}", "b": "{second}", "c": "{first}"}}}}"#));
    hub
}

#[test]
fn weights_in_shards_are_all_brought() {
    let check = |index: &str, shards: [&str; 2]| {
        let cache = tempfile::tempdir().unwrap();
        let mut hub = in_shards(index, shards);
        hub.large(shards[0], b"one".to_vec());
        hub.large(shards[1], b"two".to_vec());
        let hub = hub.start();
        let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
        assert!(resolved.dir.join(index).is_file(), "{index}");
        assert_eq!(shards.map(|shard| read(&resolved, shard)), [b"one", b"two"], "{index}");
    };
    check("model.safetensors.index.json", ["model-1.safetensors", "model-2.safetensors"]);
    check("pytorch_model.bin.index.json", ["pytorch_model-1.bin", "pytorch_model-2.bin"]);
}

#[test]
fn an_index_that_cannot_be_followed_is_refused() {
    let check = |shards: [&str; 2], expected: &str| {
        let cache = tempfile::tempdir().unwrap();
        let hub = in_shards("pytorch_model.bin.index.json", shards).start();
        let message = refusal(&environment(&hub.endpoint(), cache.path()));
        assert!(
            message.contains(expected) && message.contains("`pytorch_model.bin.index.json`"),
            "{message}"
        );
    };
    check(["1.bin", "2.bin"], "it has no `1.bin`, which");
    check(["../1.bin", "2.bin"], "names the file `../1.bin`");
}
