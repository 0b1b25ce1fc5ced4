//! A peer as fast as one can be: it answers every command from a prepared reply, in a process of its own.

use std::io::{Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

const GREETING: &[u8] = b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 10}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n";
const REPLY: &[u8] = b"{\"return\": {\"status\": \"running\", \"singlestep\": false, \"running\": true}";
const EVENT: &[u8] = b"{\"timestamp\": {\"seconds\": 1700000000, \"microseconds\": 123456}, \"event\": \"RESET\", \"data\": {\"guest\": true, \"reason\": \"guest-reset\"}}\r\n";

/// The process of a scripted peer, ended when dropped.
pub struct Scripted {
    child: Child,
    pub path: PathBuf,
}

impl Scripted {
    pub fn start(directory: &Path) -> Result<Self> {
        let path = directory.join("scripted.sock");
        let child = Command::new(std::env::current_exe()?).arg("--scripted").arg(&path).spawn()?;
        let begin = Instant::now();
        while !path.exists() {
            ensure!(begin.elapsed().as_secs() < 30, "the scripted peer did not start");
            std::thread::yield_now();
        }
        Ok(Self { child, path })
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Serves any number of clients, each on a thread of its own.
pub fn serve(path: &Path) -> Result<()> {
    let listener = UnixListener::bind(path)?;
    for stream in listener.incoming() {
        let stream = stream?;
        std::thread::Builder::new().stack_size(128 << 10).spawn(move || serve_one(stream))?;
    }
    Ok(())
}

fn serve_one(mut stream: UnixStream) -> Result<()> {
    stream.write_all(GREETING)?;
    let (mut input, mut output) = (Vec::new(), Vec::new());
    let mut chunk = [0; 16 << 10];
    loop {
        let count = stream.read(&mut chunk)?;
        if count == 0 {
            return Ok(());
        }
        input.extend_from_slice(&chunk[..count]);
        let mut start = 0;
        // Commands hold no braces in strings here, and may come without line ends.
        let mut depth = 0;
        for at in 0..input.len() {
            match input[at] {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => continue,
            }
            if depth == 0 && input[at] == b'}' {
                answer(&input[start..=at], &mut output)?;
                start = at + 1;
            }
        }
        input.drain(..start);
        stream.write_all(&output)?;
        output.clear();
    }
}

fn answer(command: &[u8], output: &mut Vec<u8>) -> Result<()> {
    let text = std::str::from_utf8(command)?;
    if text.contains("\"flood\"") {
        let count: usize = member(text, "\"count\":").context("no count")?.parse()?;
        for _ in 0..count {
            output.extend_from_slice(EVENT);
        }
    }
    output.extend_from_slice(REPLY);
    if let Some(id) = member(text, "\"id\":") {
        write!(output, ", \"id\": {id}")?;
    }
    output.extend_from_slice(b"}\r\n");
    Ok(())
}

/// The number that follows `key`.
fn member<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let rest = &text[text.find(key)? + key.len()..];
    Some(&rest[..rest.find(|letter: char| !letter.is_ascii_digit())?])
}
