//! `help`: the help of a subcommand or of a config field.

use std::fmt::{self, Write as _};

use clap::Command;
use clap_complete::engine::ArgValueCompleter;
use serde::Serialize;

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::fields::{Field, Schema, Table};
use super::schema::SCHEMA;

/// Print help for a subcommand or a config field
///
/// `qemuctl help config` lists the fields of a config. `qemuctl help config disks.cache` describes one of them.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Subcommand, or `config` and optionally a field
    #[arg(value_name = "TOPIC", add = ArgValueCompleter::new(complete::topics))]
    topic: Vec<String>,
}

/// What `help config --json` prints.
#[derive(Serialize)]
struct Described<'a> {
    field: &'a str,
    description: Option<&'a str>,
    kind: String,
    default: Option<&'a serde_json::Value>,
    values: Vec<Entry<'a>>,
    fields: Vec<Entry<'a>>,
}

/// A value or a field, with its description.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    description: Option<&'a str>,
}

pub(crate) fn run(args: &Args, program: Command, context: &Context) -> Result<Exit, Failure> {
    match args.topic.split_first() {
        Some((first, path)) if first == "config" => config(&path.join("."), context),
        _ => subcommand(&args.topic, program, context),
    }
}

fn subcommand(names: &[String], mut program: Command, context: &Context) -> Result<Exit, Failure> {
    program.build();
    let mut found = &mut program;
    for name in names {
        let known: Vec<String> = found.get_subcommands().map(|one| one.get_name().to_owned()).collect();
        let Some(next) = found.find_subcommand_mut(name) else {
            return Err(super::completions::no_subcommand(name, known.iter().map(String::as_str)));
        };
        found = next;
    }
    context.print_styled(found.render_long_help().ansi())?;
    Ok(Exit::Done)
}

fn config(path: &str, context: &Context) -> Result<Exit, Failure> {
    let schema = Schema::parse(SCHEMA).map_err(std::io::Error::from)?;
    let field = schema.root().find(path).map_err(|(step, names)| {
        let failure = Failure::new(Exit::Usage, format!("no config field is called {step}"));
        match (qemuctl::config::nearest(&step, names.iter().copied()), names.is_empty()) {
            (Some(nearest), _) => failure.with_help(format!("did you mean `{nearest}`?")),
            (None, true) => failure.with_help("that field has no fields inside"),
            (None, false) => failure.with_help(format!("the fields are: {}", names.join(", "))),
        }
    })?;
    if context.json {
        context.print_json(&described(path, &field))?;
    } else {
        context.print(Text { path, field })?;
    }
    Ok(Exit::Done)
}

fn described<'a>(path: &'a str, field: &Field<'a>) -> Described<'a> {
    let entry = |(name, description)| Entry { name, description };
    let fields = field.tables().into_iter().flat_map(|table| table.fields);
    Described {
        field: path,
        description: field.description,
        kind: field.kind(),
        default: field.default,
        values: field.words().into_iter().map(entry).collect(),
        fields: fields.map(|(name, field)| Entry { name, description: field.description }).collect(),
    }
}

/// The description of a field for people.
struct Text<'a> {
    path: &'a str,
    field: Field<'a>,
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, field } = self;
        let mut out = String::new();
        if path.is_empty() {
            out.push_str("The fields of a config. `qemuctl help config FIELD` describes one of them.\n");
        } else {
            writeln!(out, "{path}: {}\n\n{}", field.kind(), field.description.unwrap_or_default())?;
        }
        if let Some(default) = field.default.filter(|default| !default.is_object()) {
            writeln!(out, "\nDefault: {default}")?;
        }
        section(&mut out, "Values:", &field.words())?;
        for Table { kind, description, fields } in field.tables() {
            let title = match (kind, description) {
                (Some(kind), Some(text)) => format!("With type = \"{kind}\": {}", first_sentence(text)),
                (Some(kind), None) => format!("With type = \"{kind}\":"),
                (None, _) => "Fields:".to_owned(),
            };
            let lines: Vec<_> = fields.iter().map(|(name, field)| (*name, field.description)).collect();
            section(&mut out, &title, &lines)?;
        }
        f.write_str(out.trim_end())
    }
}

fn section(out: &mut String, title: &str, lines: &[(&str, Option<&str>)]) -> fmt::Result {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    if !lines.is_empty() || title.starts_with("With") {
        writeln!(out, "\n{title}")?;
    }
    for (name, description) in lines {
        let line = format!("  {name:width$}  {}", description.map(first_sentence).unwrap_or_default());
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Returns the first sentence of a description; the field's own page has all of it.
fn first_sentence(text: &str) -> &str {
    text.split_inclusive(". ").next().unwrap_or_default().trim_end()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_described() {
        let schema = Schema::parse(SCHEMA).expect("JSON");
        let text = |path| Text { path, field: schema.root().find(path).expect("a field") }.to_string();
        insta::assert_snapshot!(text("actions.panic"));
        insta::assert_snapshot!(text("iothreads"));
        assert!(text("").lines().count() > 40);
    }
}
