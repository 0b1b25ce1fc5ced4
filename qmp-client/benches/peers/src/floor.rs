//! The floor: a blocking socket and `serde_json::Value`, as anybody would write it in half an hour.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::measure::{Cost, start};

pub struct Floor {
    reader: BufReader<UnixStream>,
    writer: UnixStream,
    line: Vec<u8>,
    next: u64,
}

impl Floor {
    pub fn connect(path: &Path) -> Result<Self> {
        let writer = UnixStream::connect(path)?;
        let mut floor =
            Self { reader: BufReader::new(writer.try_clone()?), writer, line: Vec::new(), next: 0 };
        ensure!(floor.read()?.get("QMP").is_some(), "no greeting");
        floor.send("qmp_capabilities")?;
        floor.read()?;
        Ok(floor)
    }

    fn send(&mut self, command: &str) -> Result<()> {
        self.next += 1;
        let mut line = serde_json::to_vec(&json!({ "execute": command, "id": self.next }))?;
        line.push(b'\n');
        Ok(self.writer.write_all(&line)?)
    }

    fn read(&mut self) -> Result<Value> {
        self.line.clear();
        self.reader.read_until(b'\n', &mut self.line)?;
        Ok(serde_json::from_slice(&self.line)?)
    }

    /// Sends `count` commands, `in_flight` of them unanswered at any time.
    pub fn run(&mut self, command: &str, count: usize, in_flight: usize) -> Result<Cost> {
        let stop = start();
        for _ in 0..in_flight.min(count) {
            self.send(command)?;
        }
        for done in 0..count {
            ensure!(self.read()?.get("return").is_some(), "refused");
            if done + in_flight < count {
                self.send(command)?;
            }
        }
        Ok(stop(count))
    }
}
