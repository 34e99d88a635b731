//! One file's bytes, brought here whole: a connection that breaks is taken up where it stopped.

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use fs_err::{File, OpenOptions};
use sbmoe_index::FileRecord;
use sbmoe_ir::atomic_file::sync_folder_of;
use ureq::http::StatusCode;

use super::client::{Client, Metadata, is_busy, may_pass};

/// Attempts that bring nothing before the download is given up.
const FRUITLESS_ATTEMPTS: u32 = 5;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const PIECE_BYTES: usize = 1 << 18;

/// How an attempt ended.
enum Attempt {
    /// With the last byte.
    Whole,
    /// Before it, for this reason.
    Broken(String),
}

/// Downloads the bytes at `url` into `blob`, through a file `….incomplete` beside it that a later call goes on
/// with.
///
/// `progress` is told the bytes that are here and the bytes in all.
pub(super) fn download(
    client: &Client,
    url: &str,
    metadata: &Metadata,
    blob: &Path,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<()> {
    let mut name = blob.as_os_str().to_owned();
    name.push(".incomplete");
    let partial = Path::new(&name);
    let mut file = OpenOptions::new().create(true).append(true).open(partial)?;
    let mut fruitless = 0;
    let mut pause = FIRST_PAUSE;
    loop {
        let before = file.metadata()?.len();
        if metadata.size == Some(before) {
            break;
        }
        let reason = match attempt(client, url, metadata.size, &mut file, progress)? {
            Attempt::Whole => break,
            Attempt::Broken(reason) => reason,
        };
        if file.metadata()?.len() > before {
            (fruitless, pause) = (0, FIRST_PAUSE);
        } else {
            fruitless += 1;
        }
        if fruitless == FRUITLESS_ATTEMPTS {
            bail!(
                "the download broke off after {before} bytes ({reason}): repeat the command, which goes on from there"
            );
        }
        std::thread::sleep(pause);
        pause *= 2;
    }
    file.sync_all()?;
    check(partial, metadata)?;
    fs_err::rename(partial, blob)?;
    Ok(sync_folder_of(blob)?)
}

/// Asks once for what is missing and appends what comes.
fn attempt(
    client: &Client,
    url: &str,
    size: Option<u64>,
    file: &mut File,
    progress: &mut dyn FnMut(u64, Option<u64>),
) -> Result<Attempt> {
    let mut done = file.metadata()?.len();
    if size.is_some_and(|size| done > size) {
        file.set_len(0)?;
        done = 0;
    }
    let response = match client.get(url, done) {
        Ok(response) => response,
        Err(error) if may_pass(&error) => return Ok(Attempt::Broken(error.to_string())),
        Err(error) => return Err(error).with_context(|| format!("`{url}` gives no answer")),
    };
    match response.status() {
        StatusCode::OK => {
            // The server knows no ranges and begins anew.
            file.set_len(0)?;
            done = 0;
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = response.headers().get("content-range").and_then(|range| range.to_str().ok());
            let expected = format!("bytes {done}-");
            ensure!(
                range.is_some_and(|range| range.starts_with(&expected)),
                "`{url}` answers with the range `{}` where `{expected}` was asked for",
                range.unwrap_or("none")
            );
        }
        StatusCode::RANGE_NOT_SATISFIABLE => {
            // What is here is more than the file has, so it is another file.
            file.set_len(0)?;
            return Ok(Attempt::Broken("the file has changed".to_owned()));
        }
        status if is_busy(status) => return Ok(Attempt::Broken(format!("status {status}"))),
        status => bail!("`{url}` answers with status {status}"),
    }
    progress(done, size);
    let mut body = response.into_body().into_reader();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match body.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => {
                file.write_all(&piece[..read])?;
                done += read as u64;
                progress(done, size);
            }
            Err(error) => return Ok(Attempt::Broken(error.to_string())),
        }
    }
    match size {
        Some(size) if done < size => Ok(Attempt::Broken("the connection was closed".to_owned())),
        _ => Ok(Attempt::Whole),
    }
}

/// Compares the bytes with what the hub said of them; bytes that differ are thrown away.
fn check(partial: &Path, metadata: &Metadata) -> Result<()> {
    let found = FileRecord::of(partial)?;
    let is_sha256 = metadata.etag.len() == 64 && metadata.etag.bytes().all(|byte| byte.is_ascii_hexdigit());
    let fault = if metadata.size.is_some_and(|size| size != found.bytes) {
        format!("it has {} bytes", found.bytes)
    } else if is_sha256 && !metadata.etag.eq_ignore_ascii_case(&found.sha256) {
        format!("its SHA-256 is {} and should be {}", found.sha256, metadata.etag)
    } else {
        return Ok(());
    };
    fs_err::remove_file(partial)?;
    bail!("what arrived is not the file, {fault}: repeat the command")
}
