//! Downloads a file, and goes on where an earlier download was interrupted.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::http::{Response, StatusCode};

use super::super::super::exit::Exit;
use super::super::super::failure::Failure;
use super::super::super::progress::Progress;
use super::checksum::{Summing, Sums};

/// How long the server may take to accept a connection or to answer.
const ANSWER: Duration = Duration::from_secs(30);
/// How long the server may send nothing.
const SILENCE: Duration = Duration::from_secs(60);
/// How often a connection that breaks off is made again without any progress.
const ATTEMPTS: u32 = 3;
/// The largest list of checksums.
const LARGEST_LIST: u64 = 4 << 20;

pub(super) fn agent() -> Agent {
    let config = Agent::config_builder()
        .timeout_connect(Some(ANSWER))
        .timeout_recv_response(Some(ANSWER))
        .timeout_per_read(Some(SILENCE))
        .http_status_as_error(false)
        .user_agent(concat!("qemuctl/", env!("CARGO_PKG_VERSION")))
        .build();
    config.into()
}

fn failed(url: &str, error: &dyn std::fmt::Display) -> Failure {
    Failure::new(Exit::Failed, format!("cannot download {url}: {error}"))
}

fn get(agent: &Agent, url: &str, from: u64, only_if: Option<&str>) -> Result<Response<ureq::Body>, Failure> {
    let mut request = agent.get(url);
    if from > 0 {
        request = request.header("Range", format!("bytes={from}-"));
        if let Some(tag) = only_if {
            // If the file has changed since, all of it is sent.
            request = request.header("If-Range", tag);
        }
    }
    request.call().map_err(|error| failed(url, &error))
}

/// Downloads a list of checksums.
pub(super) fn text(agent: &Agent, url: &str) -> Result<String, Failure> {
    let response = get(agent, url, 0, None)?;
    if response.status() != StatusCode::OK {
        return Err(failed(url, &response.status()));
    }
    let mut body = response.into_body();
    let mut text = String::new();
    body.as_reader().take(LARGEST_LIST).read_to_string(&mut text).map_err(|error| failed(url, &error))?;
    Ok(text)
}

/// Downloads `url` to `partial`, and returns its checksums.
pub(super) fn file(agent: &Agent, url: &str, partial: &Path, progress: &Progress) -> Result<Sums, Failure> {
    let tag_path = partial.with_extension("etag");
    let open = || {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600).open(partial)
    };
    let mut file = open().map_err(|error| written(partial, &error))?;
    let mut without_progress = 0;
    loop {
        let have = file.seek(io::SeekFrom::End(0)).map_err(|error| written(partial, &error))?;
        let tag = std::fs::read_to_string(&tag_path).ok();
        // Without a tag nobody knows whether the rest belongs to the same file.
        let from = if tag.is_some() { have } else { 0 };
        let done = part(agent, url, &mut file, from, tag.as_deref(), (&tag_path, partial), progress);
        match done {
            Ok(()) => break,
            Err(Broken::ForGood(failure)) => return Err(failure),
            Err(Broken::Early(failure)) => {
                let now = file.metadata().map_or(0, |facts| facts.len());
                without_progress = if now > have { 0 } else { without_progress + 1 };
                if without_progress >= ATTEMPTS {
                    return Err(failure.with_help("run the command again to go on where it broke off"));
                }
            }
        }
    }
    file.sync_all().map_err(|error| written(partial, &error))?;
    let sums = sums(&mut file).map_err(|error| written(partial, &error))?;
    let _ = std::fs::remove_file(&tag_path);
    Ok(sums)
}

/// Why a part was not downloaded.
enum Broken {
    /// The connection broke off.
    Early(Failure),
    ForGood(Failure),
}

fn part(
    agent: &Agent,
    url: &str,
    file: &mut File,
    from: u64,
    tag: Option<&str>,
    (tag_path, partial): (&Path, &Path),
    progress: &Progress,
) -> Result<(), Broken> {
    let response = get(agent, url, from, tag).map_err(Broken::Early)?;
    let start = match response.status() {
        StatusCode::OK => 0,
        StatusCode::PARTIAL_CONTENT => from,
        // All of it was there already.
        StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => return Ok(()),
        status => return Err(Broken::ForGood(failed(url, &status))),
    };
    let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
    let length: Option<u64> = header("content-length").and_then(|length| length.parse().ok());
    // A weak tag says nothing about bytes.
    let new_tag = header("etag").filter(|tag| !tag.starts_with("W/")).or_else(|| header("last-modified"));
    let kept = match new_tag {
        Some(tag) => std::fs::write(tag_path, tag),
        None => std::fs::remove_file(tag_path).or(Ok(())),
    };
    let bad = |error: io::Error| Broken::ForGood(written(partial, &error));
    kept.map_err(bad)?;
    file.set_len(start).map_err(bad)?;
    file.seek(io::SeekFrom::Start(start)).map_err(bad)?;
    if let Some(length) = length {
        progress.total(start + length);
    }
    let mut body = response.into_body();
    let mut reader = body.as_reader();
    let mut buffer = vec![0; 1 << 16];
    let mut at = start;
    loop {
        let count = reader.read(&mut buffer).map_err(|error| Broken::Early(failed(url, &error)))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(bad)?;
        at += count as u64;
        progress.reach(at);
    }
    match length {
        Some(length) if at - start < length => {
            Err(Broken::Early(failed(url, &"the connection was closed early")))
        }
        _ => Ok(()),
    }
}

fn sums(file: &mut File) -> io::Result<Sums> {
    file.rewind()?;
    let mut summing = Summing::default();
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(summing.finish()),
            count => summing.add(&buffer[..count]),
        }
    }
}

fn written(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
}
