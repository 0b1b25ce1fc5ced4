//! Reads a [`VmConfig`] from a TOML or JSON file, and reports problems with their places in the file.
//!
//! Relative paths are resolved against the folder of the file, not against the working directory. Nothing else is
//! interpreted; there are no variables and no `~`.

mod document;
mod fault;
mod hide;
mod hint;
mod keep;
mod path;
mod source;
#[cfg(test)]
mod tests;
mod typed;
mod write;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use qemu_argv::{Fault, PlanError, Problem, VmConfig};
use serde_json::Value;

pub use fault::{ConfigError, ConfigFault, Place};
pub use hint::nearest;
pub use keep::{Keep, Restart};
pub use write::to_toml;

use document::{Node, SyntaxError, SyntaxErrors};
use hide::Lines;
use path::Step;
use typed::Read;

/// A config together with the text it was read from, so that problems found later can be shown in the file.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: String,
    /// Made when a fault is shown.
    lines: OnceLock<Lines>,
    root: Node,
    config: VmConfig,
    keep: Keep,
    /// The parts that are at fault and left out of `config`.
    cut: Vec<Vec<Step>>,
}

impl ConfigFile {
    /// Where the file is, as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads the file at `path`: JSON if its name ends in `.json`, TOML if it ends in `.toml`, else by its first
    /// character. Relative paths in it count from its folder; in what comes through a pipe, from the current directory.
    ///
    /// A pipe or a terminal is read to its end, as long as something comes at least once a minute.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with everything that is wrong in the file; the other variants if it cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        in_whole(Self::read_in_part(path)?)
    }

    /// The same, with what is wrong put aside, so that the rest can be looked at: the config without the parts that are at
    /// fault, unless the text cannot be read at all, and what is wrong with those. Such a config is of no other use.
    ///
    /// # Errors
    ///
    /// If the file cannot be read.
    pub fn read_in_part(path: impl AsRef<Path>) -> Result<(Option<Self>, Vec<ConfigFault>), ConfigError> {
        let path = path.as_ref();
        let source = source::read(path)?;
        let (mut file, faults) = Self::parse_in_part(path.into(), source.text);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty() && source.is_file);
        let folder = std::path::absolute(folder.unwrap_or(Path::new(".")))
            .map_err(|source| ConfigError::Read { path: path.into(), source })?;
        if let Some(file) = &mut file {
            file.config.for_each_path(&mut |path| {
                if path.is_relative() && !path.as_os_str().is_empty() {
                    *path = folder.join(&*path);
                }
            });
        }
        Ok((file, faults))
    }

    /// Reads a text as if it were the file at `path`; paths in it are left as they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with everything that is wrong in the text.
    pub fn parse(path: impl Into<PathBuf>, text: String) -> Result<Self, ConfigError> {
        in_whole(Self::parse_in_part(path.into(), text))
    }

    fn parse_in_part(path: PathBuf, text: String) -> (Option<Self>, Vec<ConfigFault>) {
        let is_json = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        let (mut value, root, errors) =
            if is_json { document::from_json(&text) } else { document::from_toml(&text) };
        let SyntaxErrors { first, left_out } = errors;
        if !first.is_empty() {
            let lines = Lines::of(&text);
            let faults = first.into_iter().map(|SyntaxError { message, span }| ConfigFault {
                file: path.clone(),
                field: String::new(),
                message: hint::short(&message),
                help: None,
                place: Some(Place::of(&text, &lines, span, false)),
            });
            return (None, fault::in_order(faults.collect(), left_out));
        }
        if let Some(table) =
            value.as_object_mut().filter(|table| table.get("$schema").is_some_and(Value::is_string))
        {
            // Editors look there for what may be in the file.
            table.remove("$schema");
        }
        let (keep, wrong) = keep::take(&mut value);
        let Read { whole, mut findings, cut } = typed::read(value);
        findings.extend(wrong);
        let lines = OnceLock::new();
        let mut faults = Vec::new();
        if !findings.is_empty() || whole.is_none() {
            let lines = lines.get_or_init(|| Lines::of(&text));
            let found = findings.into_iter().map(|finding| finding.in_file(&path, &text, lines, &root));
            faults = fault::in_order(found.collect(), 0);
        }
        (whole.map(|config| Self { path, text, lines, root, config, keep, cut }), faults)
    }

    /// The config.
    pub fn config(&self) -> &VmConfig {
        &self.config
    }

    /// The section `[keep]` of a machine.
    pub fn keep(&self) -> &Keep {
        &self.keep
    }

    /// The text of the file.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The config alone.
    pub fn into_config(self) -> VmConfig {
        self.config
    }

    /// Tells the problems of a plan made from this config with their places in the file.
    pub fn explain(&self, error: &PlanError) -> ConfigError {
        let problems = error.problems.iter().take(fault::MOST);
        let faults = problems.map(|problem| self.fault(&problem.path, problem.fault.to_string(), None));
        let left_out = error.problems.len().saturating_sub(fault::MOST);
        ConfigError::Invalid { faults: fault::in_order(faults.collect(), left_out) }
    }

    /// Whether a problem of [a config in part](Self::read_in_part) may only follow from what was left out: something that it
    /// refers to, or that belongs to the same section.
    pub fn may_follow(&self, problem: &Problem) -> bool {
        let section = |way: &[Step]| way.split_last().map_or(Vec::new(), |(_, section)| section.to_vec());
        let names = |way: &Vec<Step>| matches!(way.first(), Some(Step::Field(name)) if ["arch", "qemu", "machine"].contains(&name.as_str()));
        let refers = matches!(
            problem.fault,
            Fault::UnknownReference { .. } | Fault::UnknownSecret { .. } | Fault::Missing { .. }
        );
        let at = typed::in_the_file(&path::steps(&problem.path), &self.cut);
        !self.cut.is_empty()
            && (refers
                || self.cut.iter().any(names)
                || self.cut.iter().map(|cut| section(cut)).any(|cut| !cut.is_empty() && at.starts_with(&cut)))
    }

    /// A fault of the value at `field`, such as `disks[1].backend`, with its place in the file.
    pub fn fault(&self, field: &str, message: String, help: Option<String>) -> ConfigFault {
        let lines = self.lines.get_or_init(|| Lines::of(&self.text));
        let steps = typed::in_the_file(&path::steps(field), &self.cut);
        typed::Finding { steps, message, help }.in_file(&self.path, &self.text, lines, &self.root)
    }
}

/// The config, if nothing is wrong with it.
fn in_whole((file, faults): (Option<ConfigFile>, Vec<ConfigFault>)) -> Result<ConfigFile, ConfigError> {
    match file {
        Some(file) if faults.is_empty() => Ok(file),
        _ => Err(ConfigError::Invalid { faults }),
    }
}

/// Reads a config from the TOML or JSON file at `path`. [`ConfigFile::read`] tells the details.
///
/// # Errors
///
/// As [`ConfigFile::read`].
pub fn load(path: impl AsRef<Path>) -> Result<VmConfig, ConfigError> {
    ConfigFile::read(path).map(ConfigFile::into_config)
}
