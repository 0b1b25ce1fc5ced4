//! No text of a configuration becomes an option or a key: every text of every machine is replaced by hostile ones in
//! turn, and the command line that comes out is read back by QEMU's rules.

#[path = "support/argv.rs"]
mod argv;
mod support;

use std::sync::atomic::{AtomicUsize, Ordering};

use qemu_argv::{Version, VmConfig};
use serde_json::Value;
use support::{VERSIONS, machines, planned};

/// Texts that mean something to a parser of QEMU's, or to somebody's.
fn hostile_texts() -> Vec<String> {
    let mut texts: Vec<_> = [
        "",
        "help",
        "?",
        ",",
        ",,",
        "a,logfile=pwned",
        "a=b,c==d,,e",
        "on,guestfwd=tcp:10.0.2.100:80-cmd:touch pwned",
        "\"},{\"driver\":\"edu\",\"id\":\"pwned",
        "{\"driver\":\"edu\"}",
        "json:{\"driver\":\"null-co\"}",
        "-device edu,id=pwned",
        "-device",
        "line\nfeed\ttab\r '\"\\ \u{7f}\u{1b}[2J",
        "größer 尺寸 \u{1f980} \u{202e}",
        "nul\0byte",
        "../../etc/passwd",
        "%n%s$(id)`id`",
    ]
    .map(str::to_owned)
    .into();
    texts.push("x".repeat(4096));
    texts
}

/// Every text in a document, and every key, as JSON pointers.
#[derive(Default)]
struct Places {
    texts: Vec<String>,
    keys: Vec<(String, String)>,
}

impl Places {
    fn walk(&mut self, at: &str, value: &Value) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    self.keys.push((at.to_owned(), key.clone()));
                    self.walk(&format!("{at}/{}", key.replace('~', "~0").replace('/', "~1")), value);
                }
            }
            Value::Array(items) => {
                for (index, value) in items.iter().enumerate() {
                    self.walk(&format!("{at}/{index}"), value);
                }
            }
            Value::String(_) => self.texts.push(at.to_owned()),
            _ => {}
        }
    }
}

/// The options of a machine as QEMU will read them, or why it is refused.
fn options(config: &VmConfig, version: Version) -> Result<Result<Vec<argv::Option>, String>, Vec<String>> {
    let plan = planned(config, version)
        .map_err(|error| error.problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>())?;
    let args: Vec<_> =
        plan.command_line().args.into_iter().map(|arg| arg.into_string().expect("is UTF-8")).collect();
    Ok(argv::read(&args, config.extra_args.len()))
}

/// Whether `after` is `before` with `old` replaced by `new` in one place.
fn replaced(before: &str, after: &str, old: &str, new: &str) -> bool {
    if old.is_empty() {
        return after.contains(new);
    }
    before.match_indices(old).any(|(start, _)| {
        after.strip_prefix(&before[..start]).and_then(|rest| rest.strip_prefix(new))
            == Some(&before[start + old.len()..])
    })
}

/// What differs beyond the one text.
fn difference(
    before: &[argv::Option],
    after: &[argv::Option],
    at: &str,
    old: &str,
    new: &str,
) -> Option<String> {
    if before.len() != after.len() {
        return Some(format!("{} options became {}", before.len(), after.len()));
    }
    // The board decides which buses there are; nothing else of it may change.
    let other_board = at == "/machine/type";
    for (before, after) in before.iter().zip(after) {
        let keys = |option: &argv::Option| -> Vec<String> {
            let kept = option.values.iter().map(|(key, _)| key.clone());
            kept.filter(|key| !other_board || option.name != "-device" || !PLACE.contains(&key.as_str()))
                .collect()
        };
        if before.name != after.name || keys(before) != keys(after) {
            return Some(format!("{before:?}\n   became {after:?}"));
        }
        for ((key, before), (_, after)) in before.values.iter().zip(&after.values) {
            // Made from names: an address, and the serial number of an NVMe disk without one.
            let derived = key == "/mac" || key == "/serial" && new.starts_with(after.as_str());
            if before != after && !derived && !other_board && !replaced(before, after, old, new) {
                return Some(format!("{key}: {before:?} became {after:?}"));
            }
        }
    }
    None
}

/// Keys that say where a device sits.
const PLACE: [&str; 4] = ["/bus", "/addr", "/multifunction as JSON", "/devno"];

/// Everything wrong with one machine.
fn faults(name: &str, config: &VmConfig) -> Vec<String> {
    let document = serde_json::to_value(config).expect("a configuration is JSON");
    let before = VERSIONS.map(|version| (version, options(config, version)));
    let mut places = Places::default();
    places.walk("", &document);
    let mut faults = Vec::new();
    let texts = places.texts.iter().filter(|at| !at.starts_with("/extra_args/"));
    for (leaf, at) in texts.enumerate() {
        let old = document.pointer(at).and_then(Value::as_str).expect("a text").to_owned();
        // Each version sees each text, and each text stands alone, in front of the old one and behind it, in turn.
        for (number, hostile) in hostile_texts().into_iter().enumerate() {
            let turn = number + leaf;
            let new = match turn / VERSIONS.len() % 3 {
                0 => hostile,
                1 => format!("{hostile}{old}"),
                _ => format!("{old}{hostile}"),
            };
            let mut changed = document.clone();
            *changed.pointer_mut(at).expect("it is there") = new.clone().into();
            let Ok(changed) = serde_json::from_value::<VmConfig>(changed) else { continue };
            let (version, before) = &before[turn % VERSIONS.len()];
            let Ok(before) = before else { continue };
            let before = before.as_ref().expect("the machine itself is read");
            let fault = match options(&changed, *version) {
                Err(paths) => {
                    let section = at.split('/').nth(1).unwrap_or_default();
                    let named = paths.iter().any(|path| path.starts_with(section));
                    (!named).then(|| format!("refused for {paths:?}"))
                }
                Ok(Err(why)) => Some(why),
                Ok(Ok(after)) => difference(before, &after, at, &old, &new),
            };
            if let Some(fault) = fault {
                let new: String = new.chars().take(60).collect();
                let fault: String = fault.chars().take(600).collect();
                faults.push(format!("{name}{at} = {new:?} on {version}: {fault}"));
            }
        }
    }
    let texts = hostile_texts();
    for (number, (at, key)) in places.keys.iter().enumerate() {
        // Fields are known to serde by name, and one text each shows that; properties are anybody's.
        let free = ["features", "options", "properties"].iter().any(|table| at.ends_with(table));
        let tried = if free { &texts[..] } else { &texts[number % texts.len()..][..1] };
        for hostile in tried {
            let mut changed = document.clone();
            let map = changed.pointer_mut(at).and_then(Value::as_object_mut).expect("a table");
            let value = map.remove(key).expect("it is there");
            map.insert(hostile.clone(), value);
            let Ok(changed) = serde_json::from_value::<VmConfig>(changed) else { continue };
            // Keys are looked at before versions are.
            if options(&changed, VERSIONS[2]).is_ok() {
                faults.push(format!("{name}{at}: the key {hostile:?} is accepted"));
            }
        }
    }
    faults
}

#[test]
fn no_text_becomes_an_option_or_a_key() {
    let machines = machines();
    let next = AtomicUsize::new(0);
    let work = || {
        let mine = std::iter::from_fn(|| machines.get(next.fetch_add(1, Ordering::Relaxed)));
        mine.flat_map(|machine| faults(&machine.name, &machine.config)).collect::<Vec<_>>()
    };
    let faults = std::thread::scope(|scope| {
        let workers = [scope.spawn(work), scope.spawn(work)];
        workers.map(|worker| worker.join().expect("a worker ends")).concat()
    });
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
