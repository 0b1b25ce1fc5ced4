//! Hostile texts in as many fields of a machine as take them, all at once: QEMU has what was planned, and nothing else.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use qemu_argv::VmConfig;
use serde_json::Value;

use super::world::World;
use super::{facts, meaning};
use crate::support::VERSIONS;

/// Machines that have most of the fields that take a text.
const MACHINES: [&str; 9] = [
    "full-aarch64",
    "full-pc",
    "full-q35",
    "net-q35",
    "spice-q35",
    "uefi-q35",
    "vnc-q35",
    "words-pc",
    "words-q35",
];

/// What a parser could take for an option, a key, another object or another command.
const TEXTS: [&str; 5] = [
    ",logfile=pwned",
    "\"},{\"driver\":\"edu\",\"id\":\"pwned",
    " -device edu,id=pwned",
    ",guestfwd=tcp:10.0.2.100:80-cmd:touch pwned",
    "=on,,' é\\%s$(touch pwned)",
];

/// Fields whose texts QEMU looks up, so that it refuses others for what they are.
const WORDS: [&str; 10] = [
    "/tls_ciphers",
    "/backend/dst",
    "/backend/name",
    "/backend/src",
    "/host",
    "/machine/gic_version",
    "/machine/type",
    "/priority",
    "/properties/chardev",
    "/rng/source/path",
];

/// Every text in a document, as a JSON pointer.
fn places(at: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(key, value)| places(&format!("{at}/{key}"), value, found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| places(&format!("{at}/{index}"), value, found));
        }
        Value::String(_) => found.push(at.to_owned()),
        _ => {}
    }
}

/// The path with `text` in its name, in front of the ending.
fn renamed(path: &Path, text: &str) -> PathBuf {
    let stem = path.file_stem().expect("a path has a name").to_string_lossy();
    let ending = path.extension().map(|ending| format!(".{}", ending.to_string_lossy())).unwrap_or_default();
    path.with_file_name(format!("{stem}{}{ending}", text.replace('/', "_")))
}

/// The machine with `text` in every field that takes it, and the fields.
fn spoilt(world: &World, config: &VmConfig, text: &str) -> (VmConfig, Vec<String>) {
    let mut document = serde_json::to_value(config).expect("a configuration is JSON");
    let mut all = Vec::new();
    places("", &document, &mut all);
    let (mut machine, mut changed) = (config.clone(), Vec::new());
    for at in all.into_iter().filter(|at| !WORDS.iter().any(|field| at.ends_with(field))) {
        let place = document.pointer_mut(&at).expect("it is there");
        let old = place.as_str().expect("a text").to_owned();
        let path = Path::new(&old);
        let is_path = path.starts_with(world.dir.path());
        let new = if is_path { renamed(path, text).display().to_string() } else { format!("{old}{text}") };
        *place = new.clone().into();
        let config: Option<VmConfig> = serde_json::from_value(document.clone()).ok();
        match config.filter(|config| world.plan(config).is_ok()) {
            Some(config) => {
                if is_path && path.exists() {
                    // Another machine of this world may have made it.
                    let _ = symlink(path, &new);
                }
                machine = config;
                changed.push(at);
            }
            None => *document.pointer_mut(&at).expect("it is there") = old.into(),
        }
    }
    (machine, changed)
}

/// How many fields took the text, or what is not as planned.
fn planned_and_nothing_else(name: &str, text: &str, version: &'static str) -> Result<usize, String> {
    let world = World::new(version);
    let config = world.machine(name);
    let Ok(plan) = world.plan(&config) else { return Ok(0) };
    world.furnish(&config, &plan);
    let (mut config, changed) = spoilt(&world, &config, text);
    // Secrets are not written out, and so not read back.
    for (secret, original) in config.secrets.iter_mut().zip(world.machine(name).secrets) {
        secret.value = original.value;
    }
    let plan = world.plan(&config).map_err(|error| error.to_string())?;
    world.furnish(&config, &plan);
    let mut vm = world.start(&config, &plan);
    vm.ready().map_err(|said| format!("{said}, with {changed:#?}"))?;
    let different =
        [facts::differences(&mut vm, &config, &plan), meaning::differences(&mut vm, &plan)].concat();
    if !different.is_empty() {
        return Err(format!("\n{}", different.join("\n")));
    }
    if fs::exists(world.dir.path().join("pwned")).expect("the directory is there") {
        return Err("a file was made".into());
    }
    Ok(changed.len())
}

#[test]
fn hostile_texts_everywhere_at_once_are_only_texts() {
    let next = AtomicUsize::new(0);
    let work = || {
        let (mut faults, mut fields) = (String::new(), 0);
        // A machine's turns come one after the other: some listen at fixed ports.
        let mine = std::iter::from_fn(|| MACHINES.get(next.fetch_add(1, Ordering::Relaxed)));
        let turns = |text| VERSIONS.map(|version| (text, version));
        for (name, (text, version)) in
            mine.flat_map(|name| TEXTS.into_iter().flat_map(turns).map(move |turn| (name, turn)))
        {
            match planned_and_nothing_else(name, text, version) {
                Ok(changed) => fields += changed,
                Err(fault) => {
                    writeln!(faults, "{name} with {text:?} on {version}: {fault}")
                        .expect("a String takes it");
                }
            }
        }
        (faults, fields)
    };
    let (faults, fields): (Vec<_>, Vec<_>) = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a worker ends")).into_iter().unzip()
    });
    assert_eq!(faults.concat(), "");
    let fields: usize = fields.iter().sum();
    assert!(fields > 1000, "only {fields} fields took a text");
}
