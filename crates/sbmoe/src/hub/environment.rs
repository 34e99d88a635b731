//! Every environment variable that concerns the hub, read in one place.
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `HF_ENDPOINT` | the hub's address | `https://huggingface.co` |
//! | `HF_HOME` | the folder of everything that belongs to the hub | `$XDG_CACHE_HOME/huggingface`, else `~/.cache/huggingface` |
//! | `HF_HUB_CACHE` | the cache of models (`HUGGINGFACE_HUB_CACHE` is its old name) | `$HF_HOME/hub` |
//! | `HF_TOKEN` | the token for private and gated models (`HUGGING_FACE_HUB_TOKEN` is its old name) | what the token's file holds |
//! | `HF_TOKEN_PATH` | the token's file | `$HF_HOME/token` |
//! | `HF_HUB_OFFLINE`, `TRANSFORMERS_OFFLINE` | ask nothing of the network: `1`, `ON`, `YES` or `TRUE` | off |
//! | `HF_HUB_DISABLE_SYMLINKS` | keep files in the snapshots themselves | off |
//! | `HF_HUB_ETAG_TIMEOUT` | seconds to wait for a file's description | 10 |
//! | `HF_HUB_DOWNLOAD_TIMEOUT` | seconds to wait for the next piece of a file | 10 |
//! | `ALL_PROXY`, `HTTPS_PROXY`, `HTTP_PROXY`, `NO_PROXY` | the proxy, and what is reached without it | none |
//!
//! `HOME` (`USERPROFILE` on Windows) and `XDG_CACHE_HOME` are read for the defaults. An empty value counts as none.
//! Nothing is ever told to the hub but the requests themselves, so the switches for telemetry have nothing to
//! switch.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};

const ENDPOINT: &str = "https://huggingface.co";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where the hub and its cache are, and how to speak to it.
#[derive(Clone, Debug)]
pub struct HubEnvironment {
    /// The hub's address, without a slash at the end.
    pub endpoint: String,
    /// The cache of models.
    pub cache: PathBuf,
    /// The token for private and gated models.
    pub token: Option<String>,
    /// Whether the network may not be asked.
    pub offline: bool,
    /// Whether snapshots link to the files, which then are kept once however many commits have them.
    pub symlinks: bool,
    /// How long to wait for a file's description.
    pub etag_timeout: Duration,
    /// How long to wait for the next piece of a file.
    pub download_timeout: Duration,
    /// The proxy, with the hosts that are reached without it.
    pub proxy: Option<ureq::Proxy>,
}

impl HubEnvironment {
    /// Reads the process's environment.
    ///
    /// # Errors
    /// A variable is not what it should be, the token's file cannot be read, or there is no home folder and no
    /// `HF_HOME`.
    pub fn from_env() -> Result<Self> {
        let environment = Self::from_vars(|name| std::env::var(name).ok())?;
        Ok(Self { proxy: ureq::Proxy::try_from_env(), ..environment })
    }

    /// Reads variables through `variable`; the proxy's are left to [`HubEnvironment::from_env`].
    ///
    /// # Errors
    /// As [`HubEnvironment::from_env`].
    pub fn from_vars(variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let variable = |name: &str| variable(name).filter(|value| !value.is_empty());
        let home = ["HOME", "USERPROFILE"].into_iter().find_map(variable).map(PathBuf::from);
        let path = |name: &str| {
            variable(name).map(|value| match (value.strip_prefix("~/"), &home) {
                (Some(rest), Some(home)) => home.join(rest),
                _ => PathBuf::from(value),
            })
        };
        let hub_home = path("HF_HOME")
            .or_else(|| path("XDG_CACHE_HOME").map(|cache| cache.join("huggingface")))
            .or_else(|| home.as_ref().map(|home| home.join(".cache").join("huggingface")))
            .context("there is no home folder: name the folder of the hub's files in `HF_HOME`")?;
        let cache = path("HF_HUB_CACHE")
            .or_else(|| path("HUGGINGFACE_HUB_CACHE"))
            .unwrap_or_else(|| hub_home.join("hub"));
        let token = match variable("HF_TOKEN").or_else(|| variable("HUGGING_FACE_HUB_TOKEN")) {
            Some(token) => Some(token),
            None => read_token(path("HF_TOKEN_PATH").unwrap_or_else(|| hub_home.join("token")))?,
        };
        let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
        let switch = |name: &str| variable(name).is_some_and(|value| is_true(&value));
        let seconds = |name: &str| match variable(name) {
            None => Ok(TIMEOUT),
            Some(value) => value
                .parse()
                .ok()
                .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
                .with_context(|| format!("`{name}` is `{value}`, which is no number of seconds")),
        };
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            cache,
            token: token.map(|token| token.trim().to_owned()).filter(|token| !token.is_empty()),
            offline: switch("HF_HUB_OFFLINE") || switch("TRANSFORMERS_OFFLINE"),
            symlinks: !switch("HF_HUB_DISABLE_SYMLINKS"),
            etag_timeout: seconds("HF_HUB_ETAG_TIMEOUT")?,
            download_timeout: seconds("HF_HUB_DOWNLOAD_TIMEOUT")?,
            proxy: None,
        })
    }
}

fn read_token(path: PathBuf) -> Result<Option<String>> {
    match fs_err::read_to_string(path) {
        Ok(token) => Ok(Some(token)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).context("the hub's token cannot be read"),
    }
}

fn is_true(value: &str) -> bool {
    ["1", "on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> HubEnvironment {
        try_read(variables).expect("the variables are sound")
    }

    fn try_read(variables: &[(&str, &str)]) -> Result<HubEnvironment> {
        HubEnvironment::from_vars(|name| {
            variables.iter().find(|(found, _)| *found == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn defaults_follow_the_home_folder() {
        let environment = read(&[("HOME", "/nowhere/anna")]);
        assert_eq!(environment.endpoint, "https://huggingface.co");
        assert_eq!(environment.cache, Path::new("/nowhere/anna/.cache/huggingface/hub"));
        assert_eq!(environment.token, None);
        assert!(!environment.offline && environment.symlinks);
        assert_eq!(environment.etag_timeout, Duration::from_secs(10));
    }

    #[test]
    fn the_nearest_folder_wins() {
        let check = |variables: &[(&str, &str)], expected: &str| {
            let variables = [variables, &[("HOME", "/nowhere/anna")]].concat();
            assert_eq!(read(&variables).cache, Path::new(expected), "{variables:?}");
        };
        check(&[("XDG_CACHE_HOME", "/x")], "/x/huggingface/hub");
        check(&[("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/h")], "/h/hub");
        check(&[("HF_HOME", "/h"), ("HUGGINGFACE_HUB_CACHE", "/old")], "/old");
        check(&[("HUGGINGFACE_HUB_CACHE", "/old"), ("HF_HUB_CACHE", "/new")], "/new");
        check(&[("HF_HUB_CACHE", ""), ("HF_HOME", "~/hf")], "/nowhere/anna/hf/hub");
    }

    #[test]
    fn the_token_comes_from_the_variable_or_its_file() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(read(&[("HF_HOME", home)]).token, None);
        fs_err::write(folder.path().join("token"), "hf_file\n").unwrap();
        assert_eq!(read(&[("HF_HOME", home)]).token.as_deref(), Some("hf_file"));
        fs_err::write(folder.path().join("other"), "hf_other").unwrap();
        let other = folder.path().join("other");
        let other = ("HF_TOKEN_PATH", other.to_str().unwrap());
        assert_eq!(read(&[("HF_HOME", home), other]).token.as_deref(), Some("hf_other"));
        let old = ("HUGGING_FACE_HUB_TOKEN", "hf_old");
        assert_eq!(read(&[("HF_HOME", home), other, old]).token.as_deref(), Some("hf_old"));
        assert_eq!(
            read(&[("HF_HOME", home), old, ("HF_TOKEN", " hf_new ")]).token.as_deref(),
            Some("hf_new")
        );
    }

    #[test]
    fn switches_know_four_words() {
        let offline = |value: &str| read(&[("HF_HOME", "/h"), ("HF_HUB_OFFLINE", value)]).offline;
        for value in ["1", "ON", "yes", "True"] {
            assert!(offline(value), "{value}");
        }
        for value in ["", "0", "off", "2"] {
            assert!(!offline(value), "{value}");
        }
        assert!(read(&[("HF_HOME", "/h"), ("TRANSFORMERS_OFFLINE", "1")]).offline);
        assert!(!read(&[("HF_HOME", "/h"), ("HF_HUB_DISABLE_SYMLINKS", "1")]).symlinks);
    }

    #[test]
    fn the_endpoint_loses_its_last_slash() {
        let endpoint = read(&[("HF_HOME", "/h"), ("HF_ENDPOINT", "https://mirror.example/hf/")]).endpoint;
        assert_eq!(endpoint, "https://mirror.example/hf");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let message = |variables: &[(&str, &str)]| try_read(variables).unwrap_err().to_string();
        assert!(message(&[]).contains("`HF_HOME`"));
        let message = message(&[("HF_HOME", "/h"), ("HF_HUB_ETAG_TIMEOUT", "soon")]);
        assert_eq!(message, "`HF_HUB_ETAG_TIMEOUT` is `soon`, which is no number of seconds");
    }
}
