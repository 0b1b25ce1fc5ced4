//! `set`: changes settings of a machine, and keeps the rest of its config as written.

use clap_complete::ArgValueCompleter;
use qemuctl::Error;
use toml_edit::{DocumentMut, Item, TableLike, Value};

use super::super::complete;
use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::Named;

/// Change settings of a machine
///
/// A key is a config field, such as `memory`, `cpu.count` or `keep.restart`; `cpus` and `restart` are short for the
/// last two. A value is a plain word or TOML; an empty value restores the default. Comments and the rest of the file
/// are kept. A running machine uses the new settings after its next start.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,

    /// Settings to change, such as memory=4GiB cpus=2
    #[arg(value_name = "KEY=VALUE", required = true, value_parser = setting, add = ArgValueCompleter::new(complete::settings))]
    settings: Vec<(String, String)>,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    // Locked from reading to writing, so that no concurrent change is lost.
    let lock = machine.lock()?;
    let text = machine.config()?.text().to_owned();
    let mut document = document(&text)?;
    for (key, value) in &args.settings {
        set(&mut document, key, value)?;
    }
    let changed = document.to_string();
    if let Err(error) = machine.write(&lock, &changed) {
        let is_config = matches!(error, Error::Config(_));
        let failure = Failure::from(error);
        return Err(if is_config {
            failure.with_help(format!("{} was not changed", machine.name()))
        } else {
            failure
        });
    }
    let keys: Vec<_> = args.settings.iter().map(|(key, _)| key.as_str()).collect();
    let when = if machine.status()?.record().is_some() { "; takes effect at the next start" } else { "" };
    context.note(format_args!("set {} of {}{when}", keys.join(", "), machine.name()));
    Ok(Exit::Done)
}

fn setting(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.trim().is_empty() => Ok((key.trim().to_owned(), value.trim().to_owned())),
        _ => Err("expected KEY=VALUE, such as memory=4GiB".to_owned()),
    }
}

/// Parses the config into a document that keeps comments.
pub(super) fn document(text: &str) -> Result<DocumentMut, Failure> {
    text.parse().map_err(|error: toml_edit::TomlError| {
        Failure::new(Exit::BadConfig, error.to_string()).with_help("fix it with `qemuctl edit`")
    })
}

/// Sets one value, or removes it if the new value is empty.
fn set(document: &mut DocumentMut, key: &str, value: &str) -> Result<(), Failure> {
    let key = match key {
        "cpus" => "cpu",
        "restart" => "keep.restart",
        key => key,
    };
    let mut steps: Vec<&str> = key.split('.').collect();
    // `memory` and `cpu` are tables whose short form is a single value.
    let of_table = match key {
        "memory" => Some("size"),
        "cpu" => Some("count"),
        _ => None,
    };
    if let Some(field) = of_table
        && document.get(key).is_some_and(|item| item.as_table_like().is_some())
    {
        steps.push(field);
    }
    let wrong = |why: &str| Failure::new(Exit::BadConfig, format!("cannot set {key}: {why}"));
    let (last, way) = steps.split_last().ok_or_else(|| wrong("the key is empty"))?;
    let mut item = document.as_item_mut();
    for (depth, step) in way.iter().enumerate() {
        // A short form has no fields inside.
        item = enter(item, step).ok_or_else(|| {
            wrong(&format!("{} is not a table; use `qemuctl edit` to make it one", steps[..=depth].join(".")))
        })?;
    }
    if let Ok(index) = last.parse::<usize>() {
        let item = item.get_mut(index).ok_or_else(|| wrong("the index is out of range"))?;
        *item = Item::Value(parsed(value));
        return Ok(());
    }
    let table: &mut dyn TableLike = item
        .as_table_like_mut()
        .ok_or_else(|| wrong("it is not a table; use `qemuctl edit` to make it one"))?;
    if value.is_empty() {
        table.remove(last);
        return Ok(());
    }
    let mut new = parsed(value);
    match table.get_mut(last).and_then(Item::as_value_mut) {
        // Keep a comment after the value.
        Some(old) => {
            *new.decor_mut() = old.decor().clone();
            *old = new;
        }
        None => drop(table.insert(last, Item::Value(new))),
    }
    Ok(())
}

/// Follows one step of a key, and creates a missing table.
fn enter<'d>(item: &'d mut Item, step: &str) -> Option<&'d mut Item> {
    if let Ok(index) = step.parse::<usize>() {
        return item.get_mut(index);
    }
    let table = item.as_table_like_mut()?;
    if !table.contains_key(step) {
        table.insert(step, Item::Table(toml_edit::Table::new()));
    }
    table.get_mut(step)
}

/// Parses a value as TOML, or else takes it as a string.
fn parsed(text: &str) -> Value {
    text.parse().unwrap_or_else(|_| Value::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_set_stays_as_it_was_written() {
        let text = "# the web server\nmemory = \"1GiB\" # enough\ncpu = 2\n\n[[disks]]\nbackend = \"a.raw\" # big\n\n[machine]\nkind = \"q35\"\n";
        let changed = |settings: &[(&str, &str)]| {
            let mut document = document(text).expect("TOML");
            for (key, value) in settings {
                set(&mut document, key, value).expect("set");
            }
            document.to_string()
        };
        assert_eq!(changed(&[("memory", "1GiB")]), text);
        insta::assert_snapshot!(changed(&[
            ("memory", "4GiB"),
            ("cpus", "4"),
            ("restart", "on-failure"),
            ("disks.0.read_only", "true"),
            ("machine.kind", ""),
            ("guest_agent", "true"),
            ("boot.append", "console=ttyS0 quiet"),
        ]), @r#"
        # the web server
        memory = "4GiB" # enough
        cpu = 4
        guest_agent = true

        [[disks]]
        backend = "a.raw" # big
        read_only = true

        [machine]

        [keep]
        restart = "on-failure"

        [boot]
        append = "console=ttyS0 quiet"
        "#);
        let refused = set(&mut document(text).expect("TOML"), "cpu.count", "3").expect_err("refused");
        insta::assert_snapshot!(refused.message, @"cannot set cpu.count: it is not a table; use `qemuctl edit` to make it one");
        let mut table = document("[memory]\nsize = \"1GiB\"\nmax = \"8GiB\"\n").expect("TOML");
        set(&mut table, "memory", "2GiB").expect("set");
        assert_eq!(table.to_string(), "[memory]\nsize = \"2GiB\"\nmax = \"8GiB\"\n");
    }
}
