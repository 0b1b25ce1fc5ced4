//! Asks a live QEMU for its schema (`query-qmp-schema`). Types have numbers there instead of names.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::Value;

/// A slow machine needs a second; this is for a QEMU that hangs.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a live QEMU says about itself.
pub struct Live {
    /// The release, such as `10.0.13`.
    pub version: String,
    pub commands: BTreeMap<String, LiveCommand>,
    pub events: BTreeMap<String, LiveEvent>,
    pub types: BTreeMap<String, LiveType>,
}

/// One entry of the reply.
#[derive(Deserialize)]
struct Entry {
    name: String,
    #[serde(flatten)]
    entity: Entity,
}

#[derive(Deserialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case")]
enum Entity {
    Command(LiveCommand),
    Event(LiveEvent),
    #[serde(untagged)]
    Type(LiveType),
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LiveCommand {
    pub arg_type: String,
    pub ret_type: String,
    #[serde(default)]
    pub allow_oob: bool,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct LiveEvent {
    pub arg_type: String,
    #[serde(default)]
    pub features: Vec<String>,
}

/// A type, by its kind.
#[derive(Deserialize)]
#[serde(tag = "meta-type", rename_all = "kebab-case", rename_all_fields = "kebab-case")]
pub enum LiveType {
    Builtin {},
    Enum {
        members: Vec<LiveWord>,
    },
    Array {
        element_type: String,
    },
    Object {
        members: Vec<LiveMember>,
        tag: Option<String>,
        #[serde(default)]
        variants: Vec<LiveVariant>,
    },
    Alternate {
        members: Vec<LiveAlternative>,
    },
}

#[derive(Deserialize)]
pub struct LiveWord {
    pub name: String,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
pub struct LiveMember {
    pub name: String,
    pub r#type: String,
    /// Present, and null, if the member is optional.
    #[serde(default, deserialize_with = "present")]
    pub default: bool,
    #[serde(default)]
    pub features: Vec<String>,
}

#[derive(Deserialize)]
pub struct LiveVariant {
    pub case: String,
    pub r#type: String,
}

#[derive(Deserialize)]
pub struct LiveAlternative {
    pub r#type: String,
}

fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    Value::deserialize(deserializer).map(|_| true)
}

/// Starts `qemu` without a machine and asks it.
pub fn ask(qemu: &Path) -> Result<Live> {
    let mut child = Command::new(qemu)
        .args(["-machine", "none", "-nodefaults", "-display", "none", "-qmp", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("cannot start {}", qemu.display()))?;
    let answer = converse(&mut child);
    // Whatever was said, nothing of ours outlives this function.
    child.kill().ok();
    child.wait().with_context(|| format!("cannot wait for {}", qemu.display()))?;
    answer.with_context(|| format!("{} did not tell its schema", qemu.display()))
}

fn converse(child: &mut Child) -> Result<Live> {
    let mut stdin = child.stdin.take().context("no stdin")?;
    let stdout = BufReader::new(child.stdout.take().context("no stdout")?);
    let (sender, lines) = mpsc::channel();
    std::thread::spawn(move || {
        for line in stdout.lines() {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let end = Instant::now() + DEADLINE;
    let mut next = || -> Result<Value> {
        let line = lines
            .recv_timeout(end.saturating_duration_since(Instant::now()))
            .context("it ended or said nothing in time")?
            .context("cannot read what it says")?;
        serde_json::from_str(&line).with_context(|| format!("not JSON: {line}"))
    };
    let greeting = next()?;
    let part = |name: &str| greeting["QMP"]["version"]["qemu"][name].as_u64();
    let (Some(major), Some(minor), Some(micro)) = (part("major"), part("minor"), part("micro")) else {
        bail!("no greeting but {greeting}");
    };
    let mut reply = |command: &str| -> Result<Value> {
        writeln!(stdin, "{{\"execute\":\"{command}\"}}").context("cannot write to it")?;
        loop {
            let mut message = next()?;
            if let Some(error) = message.get("error") {
                bail!("{command}: {error}");
            }
            if let Some(value) = message.get_mut("return") {
                return Ok(value.take());
            }
        }
    };
    reply("qmp_capabilities")?;
    let entries: Vec<Entry> =
        serde_json::from_value(reply("query-qmp-schema")?).context("cannot understand query-qmp-schema")?;
    let mut live = Live {
        version: format!("{major}.{minor}.{micro}"),
        commands: BTreeMap::new(),
        events: BTreeMap::new(),
        types: BTreeMap::new(),
    };
    for Entry { name, entity } in entries {
        match entity {
            Entity::Command(command) => drop(live.commands.insert(name, command)),
            Entity::Event(event) => drop(live.events.insert(name, event)),
            Entity::Type(r#type) => drop(live.types.insert(name, r#type)),
        }
    }
    Ok(live)
}
