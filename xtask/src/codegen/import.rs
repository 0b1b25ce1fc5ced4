//! `cargo xtask schema import`: a QEMU source tree to committed facts.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

use super::parser;
use super::store::{self, Dialect, Provenance};

/// Imports both schemas of the source tree `source` and records what was read.
pub fn import(source: &Path) -> Result<()> {
    let full = std::fs::read_to_string(source.join("VERSION"))
        .with_context(|| format!("{} is not a QEMU source tree: no VERSION file", source.display()))?;
    let full = full.trim();
    let version = release(full)?;
    for dialect in Dialect::ALL {
        let root = source.join(dialect.root_file());
        let parsed = parser::parse(&version, &root, &|path| std::fs::read_to_string(path))
            .with_context(|| format!("cannot import {}", root.display()))?;
        let provenance = Provenance {
            source: format!("schema files of QEMU {full}"),
            sha256: hashes(source, &parsed.files)?,
        };
        let name = store::file_name(&version, dialect);
        store::write(&name, &parsed.schema, provenance)?;
        let count = parsed.schema.definitions.len();
        println!("{name}: {count} definitions of {} files", parsed.files.len());
    }
    Ok(())
}

/// `10.0` of `10.0.13`.
pub fn release(full: &str) -> Result<String> {
    let mut parts = full.split('.');
    match (parts.next(), parts.next()) {
        (Some(major), Some(minor)) if major.parse::<u32>().is_ok() && minor.parse::<u32>().is_ok() => {
            Ok(format!("{major}.{minor}"))
        }
        _ => bail!("expected a version such as 10.0.13, found '{full}'"),
    }
}

fn hashes(source: &Path, files: &[PathBuf]) -> Result<BTreeMap<String, String>> {
    let mut hashes = BTreeMap::new();
    for file in files {
        let bytes = std::fs::read(file).with_context(|| format!("cannot read {}", file.display()))?;
        let name = file.strip_prefix(source).unwrap_or(file).display().to_string();
        let mut hash = String::new();
        for byte in Sha256::digest(&bytes) {
            write!(hash, "{byte:02x}").context("cannot write to a string")?;
        }
        hashes.insert(name, hash);
    }
    Ok(hashes)
}
