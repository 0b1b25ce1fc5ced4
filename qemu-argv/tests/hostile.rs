//! No text of a configuration becomes an option or a key: every text of every machine is replaced by hostile ones in
//! turn, and the command line that comes out is read back by QEMU's rules.

#[path = "support/argv.rs"]
mod argv;
mod support;

use std::fmt::Write as _;
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

/// The options of a machine as QEMU will read them, or why it cannot; else the places for which it is refused.
type Outcome = Result<Result<Vec<argv::Option>, String>, Vec<String>>;

fn options(config: &VmConfig, version: Version) -> Outcome {
    let plan = planned(config, version)
        .map_err(|error| error.problems.into_iter().map(|problem| problem.path).collect::<Vec<_>>())?;
    let line = plan.command_line();
    let args: Vec<_> = line.args().map(|arg| arg.to_str().expect("is UTF-8").to_owned()).collect();
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
fn difference(before: &[argv::Option], after: &[argv::Option], old: &str, new: &str) -> Option<String> {
    if before.len() != after.len() {
        return Some(format!("{} options became {}", before.len(), after.len()));
    }
    for (before, after) in before.iter().zip(after) {
        let keys = |option: &argv::Option| -> Vec<String> {
            option.values.iter().map(|(key, _)| key.clone()).collect()
        };
        if before.name != after.name || keys(before) != keys(after) {
            return Some(format!("{before:?}\n   became {after:?}"));
        }
        for ((key, before), (_, after)) in before.values.iter().zip(&after.values) {
            // Made from names: an address, and the serial number of an NVMe disk without one.
            let derived = matches!(key.as_str(), "/mac" | "macaddr")
                || key == "/serial" && new.starts_with(after.as_str());
            if before != after && !derived && !replaced(before, after, old, new) {
                return Some(format!("{key}: {before:?} became {after:?}"));
            }
        }
    }
    None
}

/// A place of a document as errors write it: `/disks/1/throttle/group` is `disks[1].throttle.group`.
fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.parse::<usize>().is_ok() {
            write!(path, "[{part}]").expect("a String takes it");
        } else {
            path.push_str(if path.is_empty() { "" } else { "." });
            path.push_str(part);
        }
    }
    path
}

/// One text of a machine, and what the machine is as long as it is harmless.
struct Text<'a> {
    at: &'a str,
    old: String,
    before: [Outcome; VERSIONS.len()],
}

/// What is wrong when `new` stands there.
fn fault(places: &Places, document: &Value, text: &Text<'_>, new: &str, version: usize) -> Option<String> {
    let mut changed = document.clone();
    *changed.pointer_mut(text.at).expect("it is there") = new.into();
    let Ok(changed) = serde_json::from_value::<VmConfig>(changed) else { return None };
    match (options(&changed, VERSIONS[version]), &text.before[version]) {
        (Err(refused), before) => {
            let section = text.at.split('/').nth(1).unwrap_or_default();
            // What referred to the old text refers to nothing now.
            let refers = |path: &String| {
                let mut texts = places.texts.iter().filter(|at| path_of(at) == *path);
                texts.any(|at| document.pointer(at).and_then(Value::as_str) == Some(text.old.as_str()))
            };
            let always = |path: &String| before.as_ref().err().is_some_and(|paths| paths.contains(path));
            // A device that is no bus any more, or is called otherwise, has nothing on it.
            let on_it = |path: &String| {
                let device =
                    text.at.rsplit_once('/').filter(|_| section == "devices").map(|(device, _)| device);
                let id = device.and_then(|device| document.pointer(&format!("{device}/id")));
                let Some(id) = id.and_then(Value::as_str) else { return false };
                let texts = places.texts.iter().filter(|at| path_of(at).starts_with(path));
                texts.filter_map(|at| document.pointer(at).and_then(Value::as_str)).any(|text| {
                    text.strip_prefix(id).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '.']))
                })
            };
            // The machine's own name is part of every socket's.
            let named = |path: &&String| path.starts_with(section) || text.at == "/name";
            let other = |path: &&String| !named(path) && !refers(path) && !always(path) && !on_it(path);
            let others: Vec<_> = refused.iter().filter(other).collect();
            (!others.is_empty()).then(|| format!("refused for {others:?}"))
        }
        (Ok(_), Err(before)) => Some(format!("no longer refused for {before:?}")),
        (Ok(Err(why)), _) => Some(why),
        (_, Ok(Err(why))) => Some(why.clone()),
        // What is no bus any more is in another place in the order, and so is what was on it; another one may be added for it.
        (Ok(Ok(after)), Ok(Ok(before)))
            if text.at.starts_with("/devices/")
                && ["/driver", "/id", "/masterbus"].iter().any(|end| text.at.ends_with(end)) =>
        {
            let names = |options: &[argv::Option]| {
                options.iter().map(|option| option.name.clone()).collect::<std::collections::BTreeSet<_>>()
            };
            (names(&after) != names(before)).then(|| "other options".to_owned())
        }
        // Another bus is another place.
        (Ok(Ok(_)), _) if text.at.starts_with("/devices/") && text.at.ends_with("/bus") => None,
        (Ok(Ok(after)), Ok(Ok(before))) => difference(before, &after, &text.old, new),
    }
}

/// Everything wrong with one machine.
fn faults(name: &str, config: &VmConfig) -> Vec<String> {
    let document = serde_json::to_value(config).expect("a configuration is JSON");
    let mut places = Places::default();
    places.walk("", &document);
    let mut faults = Vec::new();
    let texts = places.texts.iter().filter(|at| !at.starts_with("/extra_args/"));
    for (leaf, at) in texts.enumerate() {
        let mut document = document.clone();
        let place = document.pointer_mut(at).expect("it is there");
        if at == "/machine/type" {
            // Of a board that nobody knows less is known, however it is called.
            *place = "board".into();
        }
        let old = place.as_str().expect("a text").to_owned();
        let harmless: VmConfig = serde_json::from_value(document.clone()).expect("is a configuration");
        let text = Text { at, old, before: VERSIONS.map(|version| options(&harmless, version)) };
        // Each version sees each text, and each text stands alone, in front of the old one and behind it, in turn.
        for (number, hostile) in hostile_texts().into_iter().enumerate() {
            let turn = number + leaf;
            let new = match turn / VERSIONS.len() % 3 {
                0 => hostile,
                1 => format!("{hostile}{}", text.old),
                _ => format!("{}{hostile}", text.old),
            };
            let version = turn % VERSIONS.len();
            if let Some(fault) = fault(&places, &document, &text, &new, version) {
                let new: String = new.chars().take(60).collect();
                let fault: String = fault.chars().take(600).collect();
                faults.push(format!("{name}{at} = {new:?} on {}: {fault}", VERSIONS[version]));
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
