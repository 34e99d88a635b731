//! Models by name, against a hub and a storage that stand in for the real ones on this machine.

mod shards;
mod stand_in;

use std::path::Path;
use std::time::Duration;

use sbmoe::hub::environment::HubEnvironment;
use sbmoe::hub::{Origin, Resolved, Transfer, resolve};

use self::stand_in::{COMMIT, StandIn};

const NAME: &str = "org/tiny";

fn environment(endpoint: &str, cache: &Path) -> HubEnvironment {
    HubEnvironment {
        endpoint: endpoint.to_owned(),
        cache: cache.to_path_buf(),
        token: None,
        offline: false,
        symlinks: true,
        etag_timeout: Duration::from_secs(10),
        download_timeout: Duration::from_secs(10),
        proxy: None,
    }
}

fn ask(environment: &HubEnvironment) -> anyhow::Result<Resolved> {
    resolve(NAME, "main", environment, &mut |_| ())
}

fn refusal(environment: &HubEnvironment) -> String {
    format!("{:#}", ask(environment).expect_err("the model must not be had"))
}

/// Weights that are long enough to come in several pieces.
fn weights() -> Vec<u8> {
    (0..700_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

/// A bare BERT as the hub has many: small files with the hub, weights in the storage.
fn bare() -> StandIn {
    let mut hub = StandIn::new(NAME);
    hub.small("config.json", "{}");
    hub.small("tokenizer.json", "{\"model\": {}}");
    hub.large("model.safetensors", weights());
    hub
}

fn read(resolved: &Resolved, file: &str) -> Vec<u8> {
    fs_err::read(resolved.dir.join(file)).unwrap()
}

#[test]
fn a_model_is_downloaded_into_the_cache_and_then_taken_from_there() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare().start();
    let first = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!((first.commit.as_str(), first.origin), (COMMIT, Origin::Download));
    assert!(first.unasked.is_empty());
    assert_eq!(first.dir, cache.path().join("models--org--tiny/snapshots").join(COMMIT));
    assert_eq!(read(&first, "model.safetensors"), weights());
    assert_eq!(read(&first, "config.json"), b"{}");

    let model = cache.path().join("models--org--tiny");
    assert_eq!(fs_err::read_to_string(model.join("refs/main")).unwrap(), COMMIT);
    assert!(model.join(".no_exist").join(COMMIT).join("modules.json").is_file());
    assert!(
        fs_err::read_to_string(cache.path().join("CACHEDIR.TAG")).unwrap().starts_with("Signature: 8a477f")
    );

    let requests = hub.requests().len();
    let second = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!(second, Resolved { origin: Origin::Cache, ..first });
    assert_eq!(hub.requests().len(), requests, "the second time nothing is asked");
}

#[cfg(unix)]
#[test]
fn snapshots_link_to_blobs_named_by_their_tags() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.small(
        "modules.json",
        r#"[{"path": "", "type": "Transformer"}, {"path": "1_Pooling", "type": "a.Pooling"}]"#,
    );
    hub.small("1_Pooling/config.json", "{\"pooling_mode_mean_tokens\": true}");
    let tag = hub.tag("1_Pooling/config.json");
    let hub = hub.start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    let target = fs_err::read_link(resolved.dir.join("1_Pooling/config.json")).unwrap();
    assert_eq!(target, Path::new("../../../blobs").join(tag));
    let target = fs_err::read_link(resolved.dir.join("config.json")).unwrap();
    assert!(target.starts_with("../../blobs"), "{}", target.display());
}

#[test]
fn without_symlinks_the_files_lie_in_the_snapshot() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare().start();
    let plain = HubEnvironment { symlinks: false, ..environment(&hub.endpoint(), cache.path()) };
    let resolved = ask(&plain).unwrap();
    let path = resolved.dir.join("model.safetensors");
    assert!(!path.symlink_metadata().unwrap().is_symlink());
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    assert_eq!(ask(&plain).unwrap().origin, Origin::Cache);
}

#[test]
fn every_file_comes_from_the_commit_that_the_branch_stood_at() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare().start();
    ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    let paths: Vec<String> = hub.requests().into_iter().map(|request| request.path).collect();
    assert_eq!(paths[0], "/org/tiny/resolve/main/config.json");
    let pinned = format!("/org/tiny/resolve/{COMMIT}/");
    assert!(
        paths[1..].iter().all(|path| path.starts_with(&pinned) || path.starts_with("/storage/")),
        "{paths:?}"
    );
}

#[test]
fn a_sentence_transformers_folder_brings_its_modules() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = StandIn::new(NAME);
    hub.small(
        "modules.json",
        r#"[{"path": "0_Transformer", "type": "sentence_transformers.models.Transformer"},
            {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"path": "2_SBMoE", "type": "sbmoe.SBMoE"}, {"path": "3_Normalize", "type": "x.Normalize"}]"#,
    );
    for file in ["0_Transformer/config.json", "1_Pooling/config.json", "2_SBMoE/config.json"] {
        hub.small(file, "{}");
    }
    hub.small("0_Transformer/vocab.txt", "[PAD]");
    hub.large("0_Transformer/pytorch_model.bin", weights());
    hub.large("2_SBMoE/model.safetensors", b"block".to_vec());
    let hub = hub.start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!(read(&resolved, "0_Transformer/pytorch_model.bin"), weights());
    assert_eq!(read(&resolved, "2_SBMoE/model.safetensors"), b"block");
    let asked = |part: &str| hub.requests().iter().any(|request| request.path.contains(part));
    assert!(
        !asked("1_Pooling/model") && !asked("3_Normalize/model"),
        "modules without weights are not asked for any"
    );
}

#[test]
fn a_broken_connection_is_taken_up_where_it_stopped() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.cut_once("model.safetensors", 300_000);
    let hub = hub.start();
    let mut told = Vec::new();
    let resolved =
        resolve(NAME, "main", &environment(&hub.endpoint(), cache.path()), &mut |transfer: Transfer<'_>| {
            if transfer.file == "model.safetensors" {
                told.push((transfer.done, transfer.total));
            }
        })
        .unwrap();
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    let ranges: Vec<_> = hub.storage_requests().into_iter().map(|request| request.range).collect();
    assert_eq!(ranges, [None, Some("bytes=300000-".to_owned())]);
    assert_eq!(told.last(), Some(&(700_000, Some(700_000))));
    assert!(told.is_sorted(), "what was there is never told as missing again");
}

#[test]
fn a_killed_download_goes_on_the_next_time() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare();
    let tag = hub.tag("model.safetensors");
    let blobs = cache.path().join("models--org--tiny/blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    fs_err::write(blobs.join(format!("{tag}.incomplete")), &weights()[..123_456]).unwrap();
    let hub = hub.start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    let ranges: Vec<_> = hub.storage_requests().into_iter().map(|request| request.range).collect();
    assert_eq!(ranges, [Some("bytes=123456-".to_owned())]);
}

#[test]
fn a_download_that_was_whole_but_for_its_name_is_not_repeated() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare();
    let tag = hub.tag("model.safetensors");
    let blobs = cache.path().join("models--org--tiny/blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    fs_err::write(blobs.join(format!("{tag}.incomplete")), weights()).unwrap();
    let hub = hub.start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    assert!(hub.storage_requests().is_empty());
}

#[test]
fn a_storage_without_ranges_begins_anew() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.cut_once("model.safetensors", 300_000);
    hub.without_ranges();
    let hub = hub.start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    assert_eq!(hub.storage_requests().len(), 2);
}

#[test]
fn bytes_that_are_not_the_files_are_thrown_away() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare();
    let tag = hub.tag("model.safetensors");
    let blobs = cache.path().join("models--org--tiny/blobs");
    fs_err::create_dir_all(&blobs).unwrap();
    let partial = blobs.join(format!("{tag}.incomplete"));
    fs_err::write(&partial, [0; 1000]).unwrap();
    let hub = hub.start();
    let here = environment(&hub.endpoint(), cache.path());
    let message = refusal(&here);
    assert!(message.contains("its SHA-256 is") && message.contains("repeat the command"), "{message}");
    assert!(!partial.exists());
    assert_eq!(read(&ask(&here).unwrap(), "model.safetensors"), weights());
}

#[test]
fn the_token_goes_to_the_hub_and_not_to_the_storage() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.token("hf_secret");
    let hub = hub.start();
    let anonymous = environment(&hub.endpoint(), cache.path());
    let message = refusal(&anonymous);
    assert!(message.contains("`org/tiny`") && message.contains("`HF_TOKEN`"), "{message}");

    ask(&HubEnvironment { token: Some("hf_secret".to_owned()), ..anonymous }).unwrap();
    let storage = hub.storage_requests();
    assert!(!storage.is_empty() && storage.iter().all(|request| request.authorization.is_none()));
}

#[test]
fn a_renamed_model_is_followed() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.formerly("org/old");
    let hub = hub.start();
    let environment = environment(&hub.endpoint(), cache.path());
    let resolved = resolve("org/old", "main", &environment, &mut |_| ()).unwrap();
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    assert!(resolved.dir.starts_with(cache.path().join("models--org--old")));
}

#[test]
fn an_overloaded_hub_is_asked_again() {
    let cache = tempfile::tempdir().unwrap();
    let mut hub = bare();
    hub.busy(2);
    let hub = hub.start();
    assert_eq!(ask(&environment(&hub.endpoint(), cache.path())).unwrap().commit, COMMIT);
}

#[test]
fn a_model_that_is_not_there_is_an_error() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare().start();
    let environment = environment(&hub.endpoint(), cache.path());
    let message = |name: &str, revision: &str| {
        format!("{:#}", resolve(name, revision, &environment, &mut |_| ()).unwrap_err())
    };
    assert!(message("org/other", "main").contains("knows no model `org/other`"));
    assert!(message(NAME, "v9").contains("`org/tiny` has no revision `v9`"));
    assert!(message("no such folder/x/y", "main").contains("is neither a folder nor a name on the hub"));
}

#[test]
fn a_repository_that_is_no_model_is_refused() {
    let check = |files: &[&str], expected: &str| {
        let cache = tempfile::tempdir().unwrap();
        let mut hub = StandIn::new(NAME);
        for file in files {
            hub.small(file, "[]");
        }
        let hub = hub.start();
        let message = refusal(&environment(&hub.endpoint(), cache.path()));
        assert!(message.contains(expected), "{message}");
    };
    check(&["README.md"], "neither `config.json` nor `modules.json`");
    check(&["config.json"], "neither `tokenizer.json` nor `vocab.txt`");
    check(&["config.json", "vocab.txt"], "neither `model.safetensors` nor `pytorch_model.bin`");
}

#[test]
fn offline_the_cache_serves_and_nothing_is_asked() {
    let cache = tempfile::tempdir().unwrap();
    let hub = bare().start();
    let online = environment(&hub.endpoint(), cache.path());
    let offline = HubEnvironment { offline: true, ..online.clone() };
    let message = refusal(&offline);
    assert!(
        message.contains("`HF_HUB_OFFLINE` is set") && message.contains("hf download org/tiny"),
        "{message}"
    );
    assert!(hub.requests().is_empty());

    let first = ask(&online).unwrap();
    let requests = hub.requests().len();
    assert_eq!(ask(&offline).unwrap(), Resolved { origin: Origin::Cache, ..first });
    assert_eq!(hub.requests().len(), requests);
}

/// A snapshot as another program leaves it: no marks of what the repository lacks.
fn foreign_snapshot(cache: &Path, files: &[&str]) {
    let model = cache.join("models--org--tiny");
    let snapshot = model.join("snapshots").join(COMMIT);
    fs_err::create_dir_all(&snapshot).unwrap();
    fs_err::create_dir_all(model.join("refs")).unwrap();
    fs_err::write(model.join("refs/main"), COMMIT).unwrap();
    for file in files {
        fs_err::write(snapshot.join(file), "{}").unwrap();
    }
}

#[test]
fn a_cache_that_another_program_filled_serves_without_the_hub() {
    let cache = tempfile::tempdir().unwrap();
    foreign_snapshot(cache.path(), &["config.json", "tokenizer.json", "pytorch_model.bin"]);
    // Nobody listens there: the port was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let unreachable = environment(&format!("http://127.0.0.1:{port}"), cache.path());
    let offline = HubEnvironment { offline: true, ..unreachable.clone() };
    for environment in [unreachable, offline] {
        let resolved = ask(&environment).unwrap();
        assert_eq!(resolved.origin, Origin::Cache);
        assert!(resolved.unasked.contains(&"modules.json".to_owned()), "{:?}", resolved.unasked);
    }
}

#[test]
fn what_a_foreign_cache_lacks_is_brought_from_the_same_commit() {
    let cache = tempfile::tempdir().unwrap();
    foreign_snapshot(cache.path(), &["config.json", "tokenizer.json"]);
    let hub = bare().start();
    let resolved = ask(&environment(&hub.endpoint(), cache.path())).unwrap();
    assert_eq!((resolved.commit.as_str(), resolved.origin), (COMMIT, Origin::Download));
    assert_eq!(read(&resolved, "model.safetensors"), weights());
    assert!(hub.requests().iter().all(|request| !request.path.contains("/main/")));
}

#[test]
fn a_hub_that_cannot_be_reached_says_what_to_do() {
    let cache = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let message = refusal(&environment(&format!("http://127.0.0.1:{port}"), cache.path()));
    assert!(message.contains("`HF_ENDPOINT`") && message.contains("gives no answer"), "{message}");
}

#[test]
fn a_hub_that_falls_silent_is_given_up() {
    let cache = tempfile::tempdir().unwrap();
    // It takes connections and never answers.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let impatient =
        HubEnvironment { etag_timeout: Duration::from_millis(50), ..environment(&endpoint, cache.path()) };
    let message = refusal(&impatient);
    assert!(message.contains("gives no answer") && message.contains("timeout"), "{message}");
}
