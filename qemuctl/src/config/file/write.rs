//! Formats a config as a person would write it.

use qemu_argv::VmConfig;
use serde::Deserialize;
use serde_json::{Map, Value};

/// Formats the config as TOML, without defaults, and with short forms where possible.
///
/// ```
/// use qemuctl::{config::{Disk, Memory, Size}, VmConfig};
///
/// let config = VmConfig {
///     memory: Memory::new(Size::gib(2)),
///     disks: vec![Disk::file("/vm/web.qcow2")],
///     ..VmConfig::default()
/// };
/// assert_eq!(qemuctl::config::to_toml(&config), "disks = [\"/vm/web.qcow2\"]\nmemory = \"2GiB\"\n");
/// ```
#[must_use]
pub fn to_toml(config: &VmConfig) -> String {
    let mut whole = serde_json::to_value(config).unwrap_or_default();
    // TOML has no null. It is the default of all fields that accept it, so these can be omitted.
    without_nulls(&mut whole);
    let paths = paths(&whole);
    // Remove empty or false values first, so that the last one left in a section is meaningful.
    for says_something in [false, true] {
        for path in &paths {
            attempt(&mut whole, config, |whole| remove(whole, path, says_something));
        }
    }
    // From the inside out, since a short form can contain another.
    for path in paths.iter().rev() {
        attempt(&mut whole, config, |whole| shorten(whole, path));
    }
    toml::to_string(&whole).unwrap_or_default()
}

/// Makes a change if the result still means the same config.
fn attempt(whole: &mut Value, config: &VmConfig, change: impl FnOnce(&mut Value) -> bool) {
    let mut changed = whole.clone();
    if change(&mut changed) && VmConfig::deserialize(&changed).is_ok_and(|read| read == *config) {
        *whole = changed;
    }
}

/// The path of a value: keys and indices.
type Way = Vec<Step>;

#[derive(Clone)]
enum Step {
    Key(String),
    Item(usize),
}

/// Returns the paths of all parts of a value, outer ones first.
fn paths(value: &Value) -> Vec<Way> {
    fn collect(value: &Value, way: &mut Way, found: &mut Vec<Way>) {
        let mut visit = |step: Step, inner: &Value| {
            way.push(step);
            found.push(way.clone());
            collect(inner, way, found);
            way.pop();
        };
        match value {
            Value::Object(table) => {
                // The first ones tend to be the important ones, so they are removed last.
                table.iter().rev().for_each(|(key, inner)| visit(Step::Key(key.clone()), inner));
            }
            Value::Array(list) => {
                list.iter().enumerate().for_each(|(index, inner)| visit(Step::Item(index), inner));
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    collect(value, &mut Vec::new(), &mut found);
    found
}

fn at<'v>(value: &'v mut Value, way: &[Step]) -> Option<&'v mut Value> {
    way.iter().try_fold(value, |value, step| match step {
        Step::Key(key) => value.get_mut(key),
        Step::Item(index) => value.get_mut(index),
    })
}

/// Removes a key. Returns whether it existed. The last key of a section is kept, since an empty section would be
/// meaningless.
fn remove(whole: &mut Value, way: &[Step], says_something: bool) -> bool {
    let Some((Step::Key(key), before)) = way.split_last() else { return false };
    let Some(table) = at(whole, before).and_then(Value::as_object_mut) else { return false };
    if !says_something && table.get(key).is_none_or(|value| !is_empty(value)) {
        return false;
    }
    (before.is_empty() || table.len() > 1) && table.remove(key).is_some()
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Object(table) => table.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Bool(on) => !on,
        _ => false,
    }
}

/// Replaces a table by its only value.
fn shorten(whole: &mut Value, way: &[Step]) -> bool {
    let Some(value) = at(whole, way) else { return false };
    // The short form implies the kind of a path, and a nested table.
    let mut rest = match value {
        Value::Object(table) => std::mem::take(table),
        _ => return false,
    };
    if rest.len() > 1 {
        rest.remove("type");
    }
    let mut values = rest.into_iter();
    match (values.next(), values.next()) {
        (Some((_, only)), None) => *value = only,
        _ => return false,
    }
    true
}

fn without_nulls(value: &mut Value) {
    match value {
        Value::Object(table) => {
            let kept = std::mem::take(table).into_iter().filter(|(_, inner)| !inner.is_null());
            *table = kept.collect::<Map<_, _>>();
            table.values_mut().for_each(without_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(without_nulls),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use qemu_argv::{Arch, Disk, Firmware, Network, UefiFirmware};

    use super::*;

    #[test]
    fn a_config_is_as_short_as_one_would_write_it() {
        let mut config = VmConfig::for_arch(Arch::X86_64);
        config.disks.push(Disk { read_only: true, ..Disk::file("disks/disk0.qcow2") });
        config.disks.push(Disk::file("disks/disk1.qcow2"));
        config.cpu.count = Some(4);
        config.firmware = Some(Firmware::Uefi(UefiFirmware::default()));
        let text = to_toml(&config);
        let read = crate::config::ConfigFile::parse("vm.toml", text.clone()).expect("valid");
        assert_eq!(*read.config(), config);
        insta::assert_snapshot!(text, @r#"
        arch = "x86_64"
        cpu = 4
        disks = [{ backend = "disks/disk0.qcow2", read_only = true }, "disks/disk1.qcow2"]
        firmware = "uefi"
        guest_agent = true
        memory = "1GiB"
        networks = ["user"]
        video = ["vga"]

        [rng.source]
        type = "builtin"
        "#);
    }

    #[test]
    fn what_is_not_the_default_is_kept() {
        let none =
            VmConfig { serials: Vec::new(), networks: vec![Network::default()], ..VmConfig::default() };
        let text = to_toml(&none);
        let read = crate::config::ConfigFile::parse("vm.toml", text.clone()).expect("valid");
        assert_eq!(*read.config(), none, "{text}");
    }
}
