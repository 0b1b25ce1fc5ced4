//! The QMP commands of a probe, with no more of their replies than is used.
//!
//! The full types of `qmp-proto` would decode a quarter of a megabyte of schema into owned structures; these skip what
//! nobody reads, and hold for every version, because what one of them lacks has a default.

use qmp_proto::Command;
use serde::{Deserialize, Serialize};

macro_rules! queries {
    ($($name:ident, $wire:literal, $reply:ty;)*) => {$(
        #[derive(Serialize)]
        pub(super) struct $name {}
        impl Command for $name {
            const NAME: &'static str = $wire;
            type Return = $reply;
        }
    )*};
}

queries! {
    Version, "query-version", VersionReply;
    Target, "query-target", TargetReply;
    Machines, "query-machines", Vec<MachineReply>;
    CpuModels, "query-cpu-definitions", Vec<CpuReply>;
    Commands, "query-commands", Vec<Named>;
    Schema, "query-qmp-schema", Vec<SchemaEntry>;
    Options, "query-command-line-options", Vec<OptionReply>;
    Kvm, "query-kvm", KvmReply;
    Accelerators, "query-accelerators", AcceleratorsReply;
    Quit, "quit", serde::de::IgnoredAny;
}

/// `qom-list-types`: the types that are a kind of another.
#[derive(Serialize)]
pub(super) struct Types {
    pub implements: &'static str,
}

impl Command for Types {
    const NAME: &'static str = "qom-list-types";
    type Return = Vec<Named>;
}

/// `device-list-properties`: what a device driver can be told.
#[derive(Serialize)]
pub(super) struct DeviceProperties<'a> {
    pub typename: &'a str,
}

impl Command for DeviceProperties<'_> {
    const NAME: &'static str = "device-list-properties";
    type Return = Vec<PropertyReply>;
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct PropertyReply {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    pub description: Option<String>,
    pub default_value: Option<serde_json::Value>,
}

/// A line of the human monitor.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct HumanLine {
    pub command_line: &'static str,
}

impl Command for HumanLine {
    const NAME: &'static str = "human-monitor-command";
    type Return = String;
}

#[derive(Deserialize)]
pub(super) struct Named {
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct VersionReply {
    pub qemu: Triple,
    #[serde(default)]
    pub package: String,
}

#[derive(Deserialize)]
pub(super) struct Triple {
    pub major: u32,
    pub minor: u32,
    pub micro: u32,
}

#[derive(Deserialize)]
pub(super) struct TargetReply {
    pub arch: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct MachineReply {
    pub name: String,
    pub alias: Option<String>,
    #[serde(default)]
    pub is_default: bool,
    #[serde(default)]
    pub cpu_max: u32,
    #[serde(default)]
    pub deprecated: bool,
    #[serde(default)]
    pub hotpluggable_cpus: bool,
    pub default_cpu_type: Option<String>,
    pub default_ram_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct CpuReply {
    pub name: String,
    #[serde(default)]
    pub deprecated: bool,
    pub unavailable_features: Option<Vec<serde::de::IgnoredAny>>,
}

#[derive(Deserialize)]
pub(super) struct KvmReply {
    pub present: bool,
}

#[derive(Deserialize)]
pub(super) struct AcceleratorsReply {
    pub present: Vec<String>,
}

#[derive(Deserialize)]
pub(super) struct OptionReply {
    pub option: String,
    pub parameters: Vec<Named>,
}

/// One entry of QEMU's account of its own protocol: a command, an event or a type.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) struct SchemaEntry {
    pub name: String,
    pub arg_type: Option<String>,
    #[serde(default)]
    pub members: Vec<Member>,
    #[serde(default)]
    pub variants: Vec<Variant>,
}

/// A member of an object; the alternatives of an alternate have no name.
#[derive(Deserialize)]
pub(super) struct Member {
    #[serde(default)]
    pub name: String,
}

#[derive(Deserialize)]
pub(super) struct Variant {
    pub case: String,
    #[serde(rename = "type")]
    pub type_name: String,
}
