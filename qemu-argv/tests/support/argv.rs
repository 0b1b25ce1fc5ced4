//! Reads a command line as QEMU does, apart from the code that writes it: JSON, or `key=value` with doubled commas.

use serde_json::Value;

/// Options without an argument.
const FLAGS: [&str; 4] = ["-S", "-nodefaults", "-no-user-config", "-no-hpet"];
/// Options whose argument is JSON.
const JSON: [&str; 6] = ["-audiodev", "-blockdev", "-device", "-display", "-netdev", "-object"];
/// Options whose argument is taken as it is.
const WHOLE: [&str; 23] = [
    "-monitor",
    "-qmp-pretty",
    "-D",
    "-L",
    "-g",
    "-loadvm",
    "-prom-env",
    "-runas",
    "-d",
    "-gdb",
    "-append",
    "-audio",
    "-bios",
    "-dtb",
    "-incoming",
    "-initrd",
    "-k",
    "-kernel",
    "-nic",
    "-parallel",
    "-qmp",
    "-serial",
    "-uuid",
];
/// Options whose argument is parts between commas, where no part can have one.
const WORDS: [&str; 3] = ["-accel", "-cpu", "-net"];

/// An option and what is in its argument: each key with its value, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Option {
    pub name: String,
    pub values: Vec<(String, String)>,
}

/// Reads arguments up to the configuration's own, of which there are `extra`.
pub fn read(args: &[String], extra: usize) -> Result<Vec<Option>, String> {
    let mut args = args[..args.len() - extra].iter();
    let mut options: Vec<Option> = Vec::new();
    while let Some(name) = args.next() {
        let mut values = Vec::new();
        if !FLAGS.contains(&name.as_str()) {
            let argument = args.next().ok_or_else(|| format!("{name} is the last one"))?;
            if JSON.contains(&name.as_str()) && argument.starts_with('{') {
                let json = serde_json::from_str(argument).map_err(|error| format!("{argument}: {error}"))?;
                flatten(String::new(), &json, &mut values);
            } else if name == "-initrd" && takes_modules(&options) {
                values.extend(
                    parts(argument).into_iter().enumerate().map(|(place, part)| (place.to_string(), part)),
                );
            } else if WHOLE.contains(&name.as_str()) || name == "-display" && !argument.contains([',', '=']) {
                values.push((String::new(), argument.clone()));
            } else if WORDS.contains(&name.as_str()) {
                values.extend(argument.split(',').enumerate().map(
                    |(place, word)| match word.split_once('=') {
                        Some((key, value)) if place > 0 => (key.to_owned(), value.to_owned()),
                        _ => (place.to_string(), word.to_owned()),
                    },
                ));
            } else {
                values =
                    key_value(argument).ok_or_else(|| format!("{name} {argument}: a word without key"))?;
            }
        }
        options.push(Option { name: name.clone(), values });
    }
    Ok(options)
}

fn flatten(key: String, value: &Value, found: &mut Vec<(String, String)>) {
    match value {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| flatten(format!("{key}/{name}"), value, found));
        }
        Value::Array(items) => {
            let items = items.iter().enumerate();
            items.for_each(|(index, value)| flatten(format!("{key}/{index}"), value, found));
        }
        Value::String(text) => found.push((key, text.clone())),
        // A text that looks like a number is none.
        other => found.push((format!("{key} as JSON"), other.to_string())),
    }
}

/// `None` when a part has no key: QEMU would take it for a flag, or for the value of a key that is not said.
fn key_value(argument: &str) -> std::option::Option<Vec<(String, String)>> {
    parts(argument)
        .iter()
        .map(|part| part.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned())))
        .collect()
}

/// Whether the kernel of one of our machines has modules, and not one RAM disk.
fn takes_modules(options: &[Option]) -> bool {
    let mut values = options
        .iter()
        .filter(|option| option.name == "-kernel" || option.name == "-name")
        .flat_map(|option| &option.values);
    values.any(|(_, value)| value.contains("multiboot"))
}

/// The parts between commas, which are doubled inside of them.
fn parts(argument: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut letters = argument.chars().peekable();
    while let Some(letter) = letters.next() {
        let doubled = letter == ',' && letters.next_if_eq(&',').is_some();
        match parts.last_mut() {
            Some(part) if letter != ',' || doubled => part.push(letter),
            _ => parts.push(String::new()),
        }
    }
    parts
}
