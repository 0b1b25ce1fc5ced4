//! Configs from files.

use std::fs;
use std::io;
use std::path::Path;

use qemu_argv::VmConfig;

use crate::error::Error;

/// Reads a config: JSON if the file's name ends in `.json`, else TOML.
///
/// Nothing is looked up or launched: whether the config makes sense is for [`qemu_argv::plan`] to say.
///
/// # Errors
///
/// [`Error::Io`] if the file cannot be read, [`Error::ConfigFile`] with the place in it if it is not a config: an
/// unknown field is an error.
pub fn load(path: impl AsRef<Path>) -> Result<VmConfig, Error> {
    let path = path.as_ref();
    let text = fs::read_to_string(path).map_err(|source| match source.kind() {
        io::ErrorKind::InvalidData => invalid(path, "it is not UTF-8 text".to_owned()),
        _ => Error::Io { action: "read the config", path: path.into(), source },
    })?;
    let is_json = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    if is_json {
        serde_json::from_str(&text).map_err(|error| invalid(path, error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error| invalid(path, error.to_string().trim_end().to_owned()))
    }
}

fn invalid(path: &Path, reason: String) -> Error {
    Error::ConfigFile { path: path.into(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_formats_give_the_same_config() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("written");
            path
        };
        let toml = load(write("vm.toml", "name = 'a'\narch = 'arm64'")).expect("TOML");
        let json = load(write("vm.JSON", r#"{"name": "a", "arch": "arm64"}"#)).expect("JSON");
        assert_eq!(toml, json);
        let bad = [
            load(write("unknown.toml", "name = 'a'\nnmae = 'b'\n")),
            load(write("bad.json", "{\"name\": 1}")),
            load(dir.path().join("missing.toml")),
        ];
        let messages = bad.map(|result| {
            let error = result.expect_err("refused").to_string();
            // The list of fields that follows is another crate's.
            let error = error.split(", expected one of").next().unwrap_or_default();
            error.replace(&dir.path().display().to_string(), "DIR")
        });
        insta::assert_snapshot!(messages.join("\n---\n"), @r"
        the config DIR/unknown.toml is not valid: TOML parse error at line 2, column 1
          |
        2 | nmae = 'b'
          | ^^^^
        unknown field `nmae`
        ---
        the config DIR/bad.json is not valid: invalid type: integer `1`, expected a string at line 1 column 10
        ---
        cannot read the config DIR/missing.toml
        ");
    }
}
