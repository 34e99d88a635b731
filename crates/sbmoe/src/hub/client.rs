//! The few requests that the hub is asked, and what its answers mean.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use ureq::http::{Response, StatusCode, Uri};
use ureq::{Agent, Body};

use super::environment::HubEnvironment;
use super::repository::{Repository, is_commit, is_plain};

const MOST_REDIRECTS: usize = 10;
const ATTEMPTS: u32 = 3;
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// The hub did not answer, so that what it has is not known.
#[derive(Debug)]
pub(super) struct Unreachable {
    url: String,
    reason: String,
}

impl fmt::Display for Unreachable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` gives no answer: {}", self.url, self.reason)
    }
}

impl std::error::Error for Unreachable {}

/// What the hub says of a file before it is downloaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Metadata {
    /// The name of the bytes: their SHA-256 for large files.
    pub(super) etag: String,
    /// Their number.
    pub(super) size: Option<u64>,
    /// The commit that the file was asked of.
    commit: Option<String>,
}

/// Whether a file is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// It is, and so described.
    Found(Metadata),
    /// The repository has no such file.
    Absent,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Head,
    Get,
}

/// A connection to the hub.
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<String>,
    etag_timeout: Duration,
}

impl Client {
    pub(super) fn new(environment: &HubEnvironment) -> Self {
        // Redirects are followed here and not by the agent, since what a redirect says about the file is wanted and
        // the token must not leave the hub.
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(environment.proxy.clone())
            .user_agent(concat!("sbmoe/", env!("CARGO_PKG_VERSION")))
            .timeout_connect(Some(environment.etag_timeout))
            .timeout_per_read(Some(environment.download_timeout))
            .build()
            .new_agent();
        Self {
            agent,
            endpoint: environment.endpoint.clone(),
            token: environment.token.clone(),
            etag_timeout: environment.etag_timeout,
        }
    }

    /// The address of a file.
    pub(super) fn url(&self, repository: &Repository, file: &str) -> String {
        format!("{}/{}", self.endpoint, repository.resource(file))
    }

    /// The commit that a branch or tag stands at.
    pub(super) fn commit(&self, repository: &Repository) -> Result<String> {
        // Older sentence-transformers folders have no `config.json` at their root.
        for file in ["config.json", "modules.json"] {
            let url = self.url(repository, file);
            if let Answer::Found(metadata) = self.metadata(&url, repository)? {
                let commit = metadata.commit.filter(|commit| is_commit(commit));
                return commit.with_context(|| {
                    format!(
                        "`{url}` does not say its commit (`X-Repo-Commit`): is `{}` a hub?",
                        self.endpoint
                    )
                });
            }
        }
        bail!(
            "`{}` has neither `config.json` nor `modules.json` at revision `{}`, so it is no model that can be read",
            repository.name(),
            repository.revision()
        )
    }

    /// What the hub says of the file at `url`.
    pub(super) fn metadata(&self, url: &str, repository: &Repository) -> Result<Answer> {
        let response = Self::patiently(url, || self.send(Method::Head, url, 0))?;
        let status = response.status();
        if !status.is_success() && !status.is_redirection() {
            return self.refusal(&response, url, repository).map(|()| Answer::Absent);
        }
        let header = |name: &str| response.headers().get(name)?.to_str().ok();
        let etag = header("x-linked-etag")
            .or_else(|| header("etag"))
            .with_context(|| format!("`{url}` has no tag (`ETag`): is `{}` a hub?", self.endpoint))?;
        let etag = etag.trim_start_matches("W/").trim_matches('"').to_owned();
        ensure!(is_plain(&etag), "`{url}` has the tag `{etag}`, which cannot name a file");
        // The length of a redirect's answer is not that of the file.
        let length = || header("content-length").filter(|_| status.is_success());
        let size = header("x-linked-size").or_else(length).and_then(|size| size.parse().ok());
        Ok(Answer::Found(Metadata { etag, size, commit: header("x-repo-commit").map(str::to_owned) }))
    }

    /// Asks for the bytes from `start` on, once. Statuses are for the caller to judge.
    pub(super) fn get(&self, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        self.send(Method::Get, url, start)
    }

    /// Whether a file is merely not there; an error for everything else that is not an answer.
    fn refusal(&self, response: &Response<Body>, url: &str, repository: &Repository) -> Result<()> {
        let status = response.status();
        let code = response.headers().get("x-error-code").and_then(|code| code.to_str().ok());
        let (name, revision) = (repository.name(), repository.revision());
        match (status, code) {
            (StatusCode::NOT_FOUND, Some("RevisionNotFound")) => {
                bail!("`{name}` has no revision `{revision}`: give a branch, a tag or a commit that it has")
            }
            (StatusCode::UNAUTHORIZED, _) | (_, Some("RepoNotFound")) => bail!(
                "the hub knows no model `{name}`, or it is private: check the name, and set `HF_TOKEN` to a token that may \
                 read it"
            ),
            (StatusCode::FORBIDDEN, _) | (_, Some("GatedRepo")) => bail!(
                "`{name}` is given only to those who have agreed to its conditions: agree at `{}/{name}`, and set `HF_TOKEN`",
                self.endpoint
            ),
            (StatusCode::NOT_FOUND, _) => Ok(()),
            _ => bail!("`{url}` answers with status {status}"),
        }
    }

    /// Repeats a request that failed by chance.
    fn patiently(
        url: &str,
        send: impl Fn() -> Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut pause = FIRST_PAUSE;
        let mut attempt = 1;
        loop {
            let reason = match send() {
                Ok(response) if !is_busy(response.status()) => return Ok(response),
                Ok(response) => format!("it answers with status {}", response.status()),
                Err(error) if may_pass(&error) => error.to_string(),
                Err(error) => return Err(unreachable(url, error.to_string())),
            };
            if attempt == ATTEMPTS {
                return Err(unreachable(url, reason));
            }
            std::thread::sleep(pause);
            pause *= 2;
            attempt += 1;
        }
    }

    /// Sends a request and follows redirects: all of them for the bytes, those within a host for the description,
    /// since the redirect to the storage carries it.
    fn send(&self, method: Method, url: &str, start: u64) -> Result<Response<Body>, ureq::Error> {
        let mut url = url.to_owned();
        for _ in 0..=MOST_REDIRECTS {
            let mut request = match method {
                Method::Head => {
                    self.agent.head(&url).config().timeout_global(Some(self.etag_timeout)).build()
                }
                Method::Get => self.agent.get(&url),
            };
            request = request.header("accept-encoding", "identity");
            if start > 0 {
                request = request.header("range", format!("bytes={start}-"));
            }
            if let Some(token) = &self.token
                && origin(&url) == origin(&self.endpoint)
            {
                request = request.header("authorization", format!("Bearer {token}"));
            }
            let response = request.call()?;
            let location = response.headers().get("location").and_then(|location| location.to_str().ok());
            let Some(location) = location.filter(|_| response.status().is_redirection()) else {
                return Ok(response);
            };
            let next = join(&url, location);
            if method == Method::Head && origin(&next) != origin(&url) {
                return Ok(response);
            }
            url = next;
        }
        Err(ureq::Error::TooManyRedirects)
    }
}

fn unreachable(url: &str, reason: String) -> anyhow::Error {
    Unreachable { url: url.to_owned(), reason }.into()
}

/// Whether a server says that it is overloaded or broken for the moment.
pub(super) fn is_busy(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// Whether the same request may succeed in a moment.
pub(super) fn may_pass(error: &ureq::Error) -> bool {
    match error {
        ureq::Error::Io(error) => error.kind() != std::io::ErrorKind::ConnectionRefused,
        ureq::Error::Timeout(_) | ureq::Error::Protocol(_) => true,
        _ => false,
    }
}

/// Scheme, host and port.
fn origin(url: &str) -> Option<(String, String)> {
    let uri: Uri = url.parse().ok()?;
    Some((uri.scheme_str()?.to_owned(), uri.authority()?.as_str().to_owned()))
}

/// The address that a redirect at `url` leads to.
fn join(url: &str, location: &str) -> String {
    // A query may hold `://` too, so that only what stands before the first `/`, `?` or `#` can be a scheme.
    let scheme = location.split(['/', '?', '#']).next().and_then(|start| start.strip_suffix(':'));
    if scheme.is_some_and(|name| !name.is_empty()) {
        return location.to_owned();
    }
    let Some((scheme, host)) = origin(url) else { return location.to_owned() };
    if location.starts_with("//") {
        return format!("{scheme}:{location}");
    }
    if location.starts_with('/') {
        return format!("{scheme}://{host}{location}");
    }
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if location.starts_with(['?', '#']) {
        return format!("{path}{location}");
    }
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    format!("{folder}/{location}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_should() {
        let check =
            |location: &str, expected: &str| assert_eq!(join("https://a.b:8/x/y?z=1/2", location), expected);
        check("https://c.d/e", "https://c.d/e");
        check("/e/f?g", "https://a.b:8/e/f?g");
        check("//c.d/e", "https://c.d/e");
        check("e", "https://a.b:8/x/e");
        check("/e?to=https://c.d/f", "https://a.b:8/e?to=https://c.d/f");
        check("e?to=https://c.d/f", "https://a.b:8/x/e?to=https://c.d/f");
        check("?to=https://c.d", "https://a.b:8/x/y?to=https://c.d");
    }

    #[test]
    fn another_port_is_another_origin() {
        assert_eq!(origin("http://a.b:1/x"), origin("http://a.b:1"));
        assert_ne!(origin("http://a.b:1/x"), origin("http://a.b:2/x"));
        assert_ne!(origin("http://a.b/x"), origin("https://a.b/x"));
    }
}
