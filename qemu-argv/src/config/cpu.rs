//! Virtual CPUs: model, features and topology.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::topology::Machine as Board;
use crate::value::{Props, Value};

/// The virtual CPUs. In config files, may be given as just their number (`cpu = 4`) or model (`cpu = "host"`), also with
/// features as in `-cpu`: `cpu = "host,+x2apic"`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Cpu {
    /// The model, such as `host`, `max` or `EPYC`. Defaults to the best one that the target supports.
    pub model: Option<String>,
    /// CPU features, by QEMU's names: `{ avx512f = false, "hv-time" = true, phys-bits = 40 }`.
    pub features: Props,
    /// The number of CPUs at boot. Defaults to 1 on boards that accept any number, and to the board's own number on others.
    pub count: Option<u32>,
    /// The maximum number after hotplug. Defaults to the number at boot.
    pub max: Option<u32>,
    /// Sockets of the topology.
    pub sockets: Option<u32>,
    /// Dies in a socket (x86).
    pub dies: Option<u32>,
    /// Clusters in a die or socket (Arm `virt`).
    pub clusters: Option<u32>,
    /// Cores in a die, cluster or socket.
    pub cores: Option<u32>,
    /// Threads in a core.
    pub threads: Option<u32>,
}

impl Cpu {
    /// Returns the number of CPUs at boot on that board, or `None` if the board decides it.
    pub(crate) fn count_on(&self, board: Board) -> Option<u32> {
        self.count.or_else(|| (!board.decides_itself()).then_some(1))
    }

    /// Reads a model and its features as QEMU's `-cpu` has them: `host,+x2apic,pdpe1gb=off`.
    pub(crate) fn of_words(text: &str) -> Self {
        let mut words = text.split(',');
        let model = words.next().map(str::to_owned);
        let mut features = Props::new();
        for word in words.filter(|word| !word.is_empty()) {
            let (key, value) = if let Some(key) = word.strip_prefix('+') {
                (key, Value::Bool(true))
            } else if let Some(key) = word.strip_prefix('-') {
                (key, Value::Bool(false))
            } else {
                match word.split_once('=') {
                    None => (word, Value::Bool(true)),
                    Some((key, "on")) => (key, Value::Bool(true)),
                    Some((key, "off")) => (key, Value::Bool(false)),
                    Some((key, value)) => (key, Value::number_or_text(value)),
                }
            };
            features.set(key.to_owned(), value);
        }
        Self { model, features, ..Self::default() }
    }

    /// Makes this many CPUs of the default model.
    pub fn new(count: u32) -> Self {
        Self { count: Some(count), ..Self::default() }
    }
}

impl FromStr for Cpu {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Infallible> {
        Ok(match text.parse() {
            Ok(count) => Self::new(count),
            Err(_) => Self::of_words(text),
        })
    }
}

impl flexible::Short for Cpu {
    fn from_number(number: u64) -> Result<Self, String> {
        let count =
            u32::try_from(number).map_err(|_| format!("{number} is too large for a number of CPUs"))?;
        Ok(Self::new(count))
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        schemars::json_schema!({ "anyOf": [crate::schema_forms::text(), { "type": "integer", "minimum": 0, "maximum": u32::MAX }] })
    }
}
