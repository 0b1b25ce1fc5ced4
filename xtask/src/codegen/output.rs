//! `cargo xtask codegen`: writes the generated files, or checks that nothing would change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use super::emit::{self, Emitter};
use super::merge::merge;
use super::plan::Plan;
use super::store::{self, Dialect};
use crate::run::workspace;

/// Writes all files, or with `check` names those that differ.
pub fn run(check: bool) -> Result<()> {
    let wanted = wanted()?;
    let existing = existing(&workspace().join("qmp-proto/src/generated"))?;
    let stale = stale(&wanted, &|path| std::fs::read_to_string(path).ok());
    let extra: Vec<PathBuf> = existing.into_iter().filter(|path| !wanted.contains_key(path)).collect();
    if check {
        let names: Vec<String> = stale.iter().chain(&extra).map(|path| shown(path)).collect();
        if !names.is_empty() {
            bail!("not as generated; run `cargo xtask codegen`:\n{}", names.join("\n"));
        }
        return Ok(());
    }
    for path in &stale {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        std::fs::write(path, &wanted[path]).with_context(|| format!("cannot write {}", path.display()))?;
        println!("wrote {}", shown(path));
    }
    for path in &extra {
        std::fs::remove_file(path).with_context(|| format!("cannot remove {}", path.display()))?;
        println!("removed {}", shown(path));
    }
    Ok(())
}

/// The files whose text is not the wanted one.
fn stale(wanted: &BTreeMap<PathBuf, String>, read: &dyn Fn(&Path) -> Option<String>) -> Vec<PathBuf> {
    let differs = |(path, text): &(&PathBuf, &String)| read(path).as_ref() != Some(text);
    wanted.iter().filter(differs).map(|(path, _)| path.clone()).collect()
}

fn shown(path: &Path) -> String {
    path.strip_prefix(workspace()).unwrap_or(path).display().to_string()
}

/// Every generated file with the text it should have.
fn wanted() -> Result<BTreeMap<PathBuf, String>> {
    let mut merged = Vec::new();
    for dialect in Dialect::ALL {
        let schema = merge(store::read_all(dialect)?)?;
        let plan = Plan::new(&schema);
        merged.push((dialect, schema, plan));
    }
    let emitters: Vec<Emitter> =
        merged.iter().map(|(dialect, schema, plan)| Emitter::new(*dialect, schema, plan)).collect();
    let mut files = emit::Files::new();
    for emitter in &emitters {
        emitter.emit(&mut files);
    }
    files.insert("event.rs".to_owned(), emit::event_enum(&emitters[0]));
    files.insert("mod.rs".to_owned(), emit::index(&emitters));
    let dir = workspace().join("qmp-proto/src/generated");
    let mut wanted = BTreeMap::new();
    for (name, text) in files {
        let text = format(&text).with_context(|| format!("generated/{name}"))?;
        wanted.insert(dir.join(name), text);
    }
    let text = format(&emit::replay(&emitters[0])).context("tests/replay/commands.rs")?;
    wanted.insert(workspace().join("qmp-proto/tests/replay/commands.rs"), text);
    let path = workspace().join("qmp-proto/Cargo.toml");
    let manifest =
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let text = emit::features(&manifest, &emitters[0].features())?;
    wanted.insert(path, text);
    Ok(wanted)
}

/// `text` as `rustfmt` lays it out, so that `cargo fmt --check` agrees.
fn format(text: &str) -> Result<String> {
    use std::io::Write as _;
    let mut child = Command::new("rustfmt")
        .args(["--edition", "2024", "--config-path"])
        .arg(workspace().join("rustfmt.toml"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start rustfmt")?;
    let mut stdin = child.stdin.take().context("rustfmt has no stdin")?;
    let text = text.to_owned();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = child.wait_with_output().context("cannot wait for rustfmt")?;
    let written = writer.join().ok().context("the thread that feeds rustfmt ended early")?;
    if !output.status.success() {
        bail!("rustfmt: {}", output.status);
    }
    written.context("cannot feed rustfmt")?;
    String::from_utf8(output.stdout).context("rustfmt wrote something that is not UTF-8")
}

fn existing(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    match std::fs::read_dir(dir) {
        Ok(entries) => {
            for entry in entries {
                paths.push(entry.with_context(|| format!("cannot read {}", dir.display()))?.path());
            }
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", dir.display())),
    }
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_changed_line_is_noticed_and_its_file_named() {
        let wanted = wanted().expect("generates");
        assert_eq!(stale(&wanted, &|path| std::fs::read_to_string(path).ok()), Vec::<PathBuf>::new());
        let changed = stale(&wanted, &|path| {
            let text = std::fs::read_to_string(path).ok()?;
            let is_changed = path.ends_with("generated/job.rs");
            Some(if is_changed { text.replacen("pub struct", "pub  struct", 1) } else { text })
        });
        let names: Vec<String> = changed.iter().map(|path| shown(path)).collect();
        assert_eq!(names, ["qmp-proto/src/generated/job.rs"]);
    }
}
