//! Reads a [`VmConfig`] from a TOML or JSON file, and tells what is wrong with it in terms of that file.
//!
//! Reading changes one thing: a relative path counts from the folder that the file is in, not from wherever the
//! program was started. Nothing else is interpreted; there are no variables and no `~`.

mod document;
mod fault;
mod hide;
mod hint;
mod path;
#[cfg(test)]
mod tests;
mod typed;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use qemu_argv::{PlanError, VmConfig};
use serde_json::Value;

pub use fault::{ConfigError, ConfigFault, Place};
pub use hint::nearest;

use document::{Node, SyntaxError};

/// No config is larger; a disk image given by mistake is.
const LARGEST: u64 = 4 << 20;

/// A config together with the text it was read from, so that problems found later can be shown in the file.
#[derive(Debug)]
pub struct ConfigFile {
    path: PathBuf,
    text: String,
    root: Node,
    config: VmConfig,
}

impl ConfigFile {
    /// Reads the file at `path`: JSON if its name ends in `.json`, TOML if it ends in `.toml`, else by its first
    /// character. Relative paths in it count from its folder.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with everything that is wrong in the file; the other variants if it cannot be read.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path = path.as_ref();
        let fail = |source| ConfigError::Read { path: path.into(), source };
        let mut bytes = Vec::new();
        File::open(path).and_then(|file| file.take(LARGEST + 1).read_to_end(&mut bytes)).map_err(fail)?;
        if bytes.len() as u64 > LARGEST {
            return Err(ConfigError::TooLarge { path: path.into(), limit: LARGEST });
        }
        let text = String::from_utf8(bytes).map_err(|error| ConfigError::NotText {
            path: path.into(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        let mut file = Self::parse(path, text)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let folder = std::path::absolute(folder).map_err(fail)?;
        file.config.for_each_path(&mut |path| {
            if path.is_relative() && !path.as_os_str().is_empty() {
                *path = folder.join(&*path);
            }
        });
        Ok(file)
    }

    /// Reads a text as if it were the file at `path`; paths in it are left as they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError::Invalid`] with everything that is wrong in the text.
    pub fn parse(path: impl Into<PathBuf>, text: String) -> Result<Self, ConfigError> {
        let path = path.into();
        let is_json = match path.extension().and_then(|extension| extension.to_str()) {
            Some("json") => true,
            Some("toml") => false,
            _ => text.trim_start().starts_with('{'),
        };
        let (mut value, root, errors) =
            if is_json { document::from_json(&text) } else { document::from_toml(&text) };
        if !errors.is_empty() {
            let mut faults: Vec<_> = errors
                .into_iter()
                .map(|SyntaxError { message, span }| ConfigFault {
                    file: path.clone(),
                    field: String::new(),
                    message,
                    help: None,
                    place: Some(Place::of(&text, span)),
                })
                .collect();
            fault::sort(&mut faults);
            return Err(ConfigError::Invalid { faults });
        }
        if let Some(table) =
            value.as_object_mut().filter(|table| table.get("$schema").is_some_and(Value::is_string))
        {
            // Editors look there for what may be in the file.
            table.remove("$schema");
        }
        let (config, findings) = typed::read(value);
        match config {
            Some(config) if findings.is_empty() => Ok(Self { path, text, root, config }),
            _ => {
                let mut faults: Vec<_> =
                    findings.into_iter().map(|finding| finding.in_file(&path, &text, &root)).collect();
                fault::sort(&mut faults);
                Err(ConfigError::Invalid { faults })
            }
        }
    }

    /// The config.
    pub fn config(&self) -> &VmConfig {
        &self.config
    }

    /// The config alone.
    pub fn into_config(self) -> VmConfig {
        self.config
    }

    /// Tells the problems of a plan made from this config with their places in the file.
    pub fn explain(&self, error: &PlanError) -> ConfigError {
        let problems = error.problems.iter();
        let faults =
            problems.map(|problem| self.fault(&problem.path, problem.fault.to_string(), None)).collect();
        ConfigError::Invalid { faults }
    }

    /// A fault of the value at `field`, such as `disks[1].backend`, with its place in the file.
    pub fn fault(&self, field: &str, message: String, help: Option<String>) -> ConfigFault {
        typed::Finding { steps: path::steps(field), message, help }
            .in_file(&self.path, &self.text, &self.root)
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
