//! A hub of one model, and the storage to which it redirects for large files: two listeners on this machine.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use sbmoe_index::FileRecord;

/// The commit at which every revision stands.
pub(super) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What somebody asked for.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

struct File {
    bytes: Vec<u8>,
    tag: String,
    large: bool,
    /// After how many bytes the next answer breaks off.
    cut: Mutex<Option<usize>>,
}

/// The hub before it listens.
pub(super) struct StandIn {
    name: String,
    former_name: Option<String>,
    token: Option<String>,
    ranges: bool,
    busy: AtomicUsize,
    files: BTreeMap<String, File>,
}

impl StandIn {
    pub(super) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            former_name: None,
            token: None,
            ranges: true,
            busy: AtomicUsize::new(0),
            files: BTreeMap::new(),
        }
    }

    /// Adds a file that the hub serves itself.
    pub(super) fn small(&mut self, path: &str, text: &str) {
        // Git's tags have forty digits.
        let tag = sha256(text.as_bytes())[..40].to_owned();
        self.add(path, text.as_bytes().to_vec(), tag, false);
    }

    /// Adds a file that lies in the storage.
    pub(super) fn large(&mut self, path: &str, bytes: Vec<u8>) {
        let tag = sha256(&bytes);
        self.add(path, bytes, tag, true);
    }

    fn add(&mut self, path: &str, bytes: Vec<u8>, tag: String, large: bool) {
        self.files.insert(path.to_owned(), File { bytes, tag, large, cut: Mutex::new(None) });
    }

    /// The tag under which a file is kept in the cache.
    pub(super) fn tag(&self, path: &str) -> String {
        self.files[path].tag.clone()
    }

    /// Breaks the connection once, after so many bytes of a file.
    pub(super) fn cut_once(&mut self, path: &str, after: usize) {
        *self.files[path].cut.lock().unwrap() = Some(after);
    }

    /// Makes the storage send whole files, whatever range is asked for.
    pub(super) fn without_ranges(&mut self) {
        self.ranges = false;
    }

    /// Asks for a token.
    pub(super) fn token(&mut self, token: &str) {
        self.token = Some(token.to_owned());
    }

    /// Redirects from a name that the model had before.
    pub(super) fn formerly(&mut self, name: &str) {
        self.former_name = Some(name.to_owned());
    }

    /// Answers the first requests with "service unavailable".
    pub(super) fn busy(&mut self, requests: usize) {
        self.busy = AtomicUsize::new(requests);
    }

    /// Listens until the running hub is dropped.
    pub(super) fn start(self) -> Running {
        let shared = Arc::new(self);
        let storage = Server::start({
            let shared = Arc::clone(&shared);
            move |request, stream| shared.serve_storage(request, stream)
        });
        let address = storage.address;
        let hub = Server::start(move |request, stream| shared.serve_hub(request, address, stream));
        Running { hub, storage }
    }

    fn serve_hub(
        &self,
        request: &Request,
        storage: SocketAddr,
        stream: &mut TcpStream,
    ) -> std::io::Result<()> {
        let busy =
            self.busy.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok();
        if busy {
            return answer(stream, "503 Service Unavailable", &[], b"");
        }
        if let Some(former) = &self.former_name
            && let Some(rest) = request.path.strip_prefix(&format!("/{former}/"))
        {
            let location = format!("/{}/{rest}", self.name);
            return answer(stream, "307 Temporary Redirect", &[("Location", &location)], b"");
        }
        if self.token.as_ref().is_some_and(|token| request.authorization != Some(format!("Bearer {token}"))) {
            return answer(stream, "401 Unauthorized", &[("X-Error-Code", "RepoNotFound")], b"");
        }
        let Some(rest) = request.path.strip_prefix(&format!("/{}/resolve/", self.name)) else {
            return answer(stream, "404 Not Found", &[("X-Error-Code", "RepoNotFound")], b"");
        };
        let (revision, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !["main", COMMIT].contains(&revision) {
            return answer(stream, "404 Not Found", &[("X-Error-Code", "RevisionNotFound")], b"");
        }
        let Some(file) = self.files.get(path) else {
            return answer(stream, "404 Not Found", &[("X-Error-Code", "EntryNotFound")], b"");
        };
        let tag = format!("\"{}\"", file.tag);
        if file.large {
            let size = file.bytes.len().to_string();
            let location = format!("http://{storage}/storage/{path}");
            let headers = [
                ("Location", location.as_str()),
                ("X-Repo-Commit", COMMIT),
                ("X-Linked-Etag", &tag),
                ("X-Linked-Size", &size),
                ("ETag", "\"of-the-redirect\""),
            ];
            return answer(stream, "302 Found", &headers, b"moved");
        }
        let weak = format!("W/{tag}");
        let headers = [("X-Repo-Commit", COMMIT), ("ETag", weak.as_str())];
        if request.method == "HEAD" {
            return head(stream, "200 OK", &headers, file.bytes.len());
        }
        answer(stream, "200 OK", &headers, &file.bytes)
    }

    fn serve_storage(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let file = &self.files[request.path.trim_start_matches("/storage/")];
        let size = file.bytes.len();
        let start = request.range.as_ref().filter(|_| self.ranges).map(|range| {
            let start = range.trim_start_matches("bytes=").trim_end_matches('-');
            start.parse::<usize>().expect("ranges are open at their end")
        });
        let body = &file.bytes[start.unwrap_or(0)..];
        match start {
            Some(start) => {
                let range = format!("bytes {start}-{}/{size}", size - 1);
                head(stream, "206 Partial Content", &[("Content-Range", &range)], body.len())?;
            }
            None => head(stream, "200 OK", &[], size)?,
        }
        let cut = file.cut.lock().unwrap().take().unwrap_or(body.len());
        stream.write_all(&body[..cut])
    }
}

/// A hub that listens.
pub(super) struct Running {
    hub: Server,
    storage: Server,
}

impl Running {
    pub(super) fn endpoint(&self) -> String {
        format!("http://{}", self.hub.address)
    }

    /// Everything that was asked of the hub and of the storage, the hub's first.
    pub(super) fn requests(&self) -> Vec<Request> {
        [self.hub.log(), self.storage.log()].concat()
    }

    pub(super) fn storage_requests(&self) -> Vec<Request> {
        self.storage.log()
    }
}

/// A listener with a thread that answers one connection after the other.
struct Server {
    address: SocketAddr,
    log: Arc<Mutex<Vec<Request>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(serve: impl Fn(&Request, &mut TcpStream) -> std::io::Result<()> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("the listener has an address");
        let log = Arc::new(Mutex::new(Vec::new()));
        let stopped = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let (log, stopped) = (Arc::clone(&log), Arc::clone(&stopped));
            move || {
                for stream in listener.incoming() {
                    if stopped.load(Ordering::SeqCst) {
                        return;
                    }
                    let Ok(mut stream) = stream else { continue };
                    let Some(request) = read_request(&stream) else { continue };
                    log.lock().unwrap().push(request.clone());
                    // A client may hang up at any time.
                    let _ = serve(&request, &mut stream);
                }
            }
        });
        Self { address, log, stopped, thread: Some(thread) }
    }

    fn log(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        // The thread looks at the flag when it gets a connection.
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Request> {
    let mut lines = BufReader::new(stream).lines().map_while(Result::ok);
    let first = lines.next()?;
    let mut words = first.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut request = Request { method, path, range: None, authorization: None };
    for line in lines.take_while(|line| !line.is_empty()) {
        let (name, value) = line.split_once(": ")?;
        match name.to_ascii_lowercase().as_str() {
            "range" => request.range = Some(value.to_owned()),
            "authorization" => request.authorization = Some(value.to_owned()),
            _ => (),
        }
    }
    Some(request)
}

fn head(
    stream: &mut TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    length: usize,
) -> std::io::Result<()> {
    write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n")?;
    for (name, value) in headers {
        write!(stream, "{name}: {value}\r\n")?;
    }
    stream.write_all(b"\r\n")
}

fn answer(
    stream: &mut TcpStream,
    status: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> std::io::Result<()> {
    head(stream, status, headers, body.len())?;
    stream.write_all(body)
}

fn sha256(bytes: &[u8]) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs_err::write(file.path(), bytes).unwrap();
    FileRecord::of(file.path()).unwrap().sha256
}
