//! A conversation with a live QEMU over its standard input and output, one command at a time.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// A loaded machine needs seconds for one answer; this is for a QEMU that hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running QEMU; ended when dropped.
pub struct Talk {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<std::io::Result<String>>,
    pub greeting: Value,
    /// The events that came between replies.
    pub events: Vec<Value>,
}

impl Talk {
    /// Starts `qemu` with `args` and negotiates.
    pub fn start(qemu: &Path, args: &[&str]) -> Result<Self> {
        let mut child = Command::new(qemu)
            .args(args)
            .args(["-display", "none", "-qmp", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .with_context(|| format!("cannot start {}", qemu.display()))?;
        let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("{} has no standard input or output", qemu.display());
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines() {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut talk = Self { child, stdin, lines, greeting: Value::Null, events: Vec::new() };
        talk.greeting = talk.next()?;
        talk.execute("qmp_capabilities", &json!({}))?;
        Ok(talk)
    }

    /// The release that the greeting tells, such as `10.0.13`.
    pub fn version(&self) -> Result<String> {
        let part = |name: &str| self.greeting["QMP"]["version"]["qemu"][name].as_u64();
        match (part("major"), part("minor"), part("micro")) {
            (Some(major), Some(minor), Some(micro)) => Ok(format!("{major}.{minor}.{micro}")),
            _ => bail!("no greeting but {}", self.greeting),
        }
    }

    fn next(&mut self) -> Result<Value> {
        let end = Instant::now() + DEADLINE;
        let line = self
            .lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .context("QEMU ended or said nothing in time")?
            .context("cannot read what QEMU says")?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    }

    /// What QEMU returns for a command, or its error object.
    pub fn ask(&mut self, command: &str, arguments: &Value) -> Result<Result<Value, Value>> {
        let message = json!({ "execute": command, "arguments": arguments });
        writeln!(self.stdin, "{message}").with_context(|| format!("cannot send {command}"))?;
        loop {
            let mut message = self.next().with_context(|| format!("waiting for the reply to {command}"))?;
            if let Some(error) = message.get_mut("error") {
                return Ok(Err(error.take()));
            }
            if let Some(value) = message.get_mut("return") {
                return Ok(Ok(value.take()));
            }
            self.events.push(message);
        }
    }

    /// What QEMU returns for a command that must succeed.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        match self.ask(command, arguments)? {
            Ok(value) => Ok(value),
            Err(error) => bail!("{command}: {error}"),
        }
    }

    /// Waits for the event `name`; nothing but events may be under way.
    pub fn wait_for(&mut self, name: &str) -> Result<()> {
        loop {
            if self.events.iter().any(|event| event["event"] == name) {
                return Ok(());
            }
            let message = self.next().with_context(|| format!("waiting for {name}"))?;
            self.events.push(message);
        }
    }
}

impl Drop for Talk {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is waited for.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
