//! The images that can be named.

use std::collections::BTreeMap;
use std::path::Path;

use qemu_argv::{Arch, BlockFormat};
use serde::Deserialize;

use super::super::super::exit::Exit;
use super::super::super::failure::Failure;

/// The catalogue of this program.
const OWN: &str = include_str!("images.toml");

/// An image of a publisher.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The address, with `{arch}` for the architecture.
    url: String,
    /// The address of the publisher's list of checksums.
    checksums: Option<String>,
    /// The publisher's words for architectures. An image that is not listed for one does not exist.
    #[serde(default)]
    arch: BTreeMap<String, String>,
    /// The format, if the file name extension does not say it.
    format: Option<BlockFormat>,
}

/// What to download.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The name under which it is stored.
    pub(super) name: String,
    pub(super) url: String,
    pub(super) checksums: Option<String>,
    pub(super) format: BlockFormat,
}

/// Finds the image of that name or address. The catalogue in `folder` adds to the program's own.
pub(super) fn find(
    named: &str,
    arch: Arch,
    format: Option<BlockFormat>,
    folder: &Path,
) -> Result<Source, Failure> {
    if named.contains("://") {
        return of_url(named, format);
    }
    let entries = read(folder)?;
    let Some(entry) = entries.get(named) else {
        let text = format!("no image is called {named}");
        let known: Vec<_> = entries.keys().map(String::as_str).collect();
        let help = match qemuctl::config::nearest(named, known.iter().copied()) {
            Some(nearest) => format!("did you mean `{nearest}`?"),
            None => format!("give its address, or one of: {}", known.join(", ")),
        };
        return Err(Failure::new(Exit::NotFound, text).with_help(help));
    };
    let Some(word) = entry.arch.get(arch.qemu_name()) else {
        let known: Vec<_> = entry.arch.keys().map(String::as_str).collect();
        let text = format!("the image {named} does not exist for {}", arch.qemu_name());
        return Err(
            Failure::new(Exit::NotFound, text).with_help(format!("it exists for: {}", known.join(", ")))
        );
    };
    let url = entry.url.replace("{arch}", word);
    let own = of_url(&url, format.or(entry.format))?;
    let checksums = entry.checksums.as_ref().map(|list| list.replace("{arch}", word));
    Ok(Source { name: format!("{named}-{}", arch.qemu_name()), checksums, ..own })
}

/// Returns the names of the images, and their addresses.
pub(super) fn list(folder: &Path) -> Result<Vec<(String, String)>, Failure> {
    Ok(read(folder)?.into_iter().map(|(name, entry)| (name, entry.url)).collect())
}

fn read(folder: &Path) -> Result<BTreeMap<String, Entry>, Failure> {
    let mut entries: BTreeMap<String, Entry> =
        toml::from_str(OWN).map_err(|error| Failure::of(Exit::Failed, &error))?;
    let path = folder.join("images.toml");
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let own: BTreeMap<String, Entry> = toml::from_str(&text).map_err(|error| {
                Failure::new(Exit::BadConfig, format!("{}: {}", path.display(), error.to_string().trim()))
            })?;
            entries.extend(own);
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => {
            return Err(Failure::new(Exit::Failed, format!("cannot read {}: {error}", path.display())));
        }
    }
    Ok(entries)
}

fn of_url(url: &str, format: Option<BlockFormat>) -> Result<Source, Failure> {
    let wrong = |text: &str| Failure::new(Exit::Usage, format!("{url}: {text}"));
    let path = url.split(['?', '#']).next().unwrap_or_default();
    if !["http://", "https://"].iter().any(|scheme| path.starts_with(scheme)) {
        return Err(wrong("only http:// and https:// are supported"));
    }
    let file = Path::new(path.rsplit('/').next().unwrap_or_default());
    let stem = file.file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.starts_with('.'));
    let stem = stem.ok_or_else(|| wrong("the address does not end with a file name"))?;
    let format = format.or_else(|| BlockFormat::of_name(file));
    let format = format
        .ok_or_else(|| wrong("the format is unknown").with_help("give it with --format, such as raw"))?;
    let is_plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let name = stem.chars().map(|letter| if is_plain(letter) { letter } else { '-' }).collect();
    Ok(Source { name, url: url.to_owned(), checksums: None, format })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_entry_has_an_address_for_each_architecture() {
        let folder = tempfile::tempdir().expect("a directory");
        let entries = read(folder.path()).expect("valid");
        assert!(entries.len() > 3);
        for (name, entry) in entries {
            assert!(entry.url.starts_with("https://") && entry.checksums.is_some(), "{name}");
            for arch in entry.arch.keys() {
                let arch: Arch = arch.parse().unwrap_or_else(|_| panic!("{name}: {arch}"));
                let found = find(&name, arch, None, folder.path()).expect("found");
                assert!(!found.url.contains('{') && found.format == BlockFormat::Qcow2, "{found:?}");
            }
        }
    }
}
