//! QEMU's QAPI schema language, in full: files to definitions.
//!
//! Follows `docs/devel/qapi-code-gen` of QEMU. Documentation blocks are read for two facts only, which
//! symbol they are about and since when it exists. QEMU's own naming policy (the pragma exceptions)
//! is read but not enforced: that is QEMU's business.

mod check;
mod definition;
mod docs;
mod error;
mod lexer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, Result};

pub use error::SyntaxError;

use self::check::Placed;
use self::docs::DocFacts;
use self::error::fail;
use self::lexer::{Item, Node, Value};
use crate::codegen::model::{Definition, Schema};

/// A parsed schema and the files that it was read from, in order of inclusion.
pub struct Parsed {
    pub schema: Schema,
    pub files: Vec<PathBuf>,
}

/// Parses `root` and all it includes. `read` fetches a file, so that tests need no disk.
pub fn parse(version: &str, root: &Path, read: &dyn Fn(&Path) -> std::io::Result<String>) -> Result<Parsed> {
    let mut loader =
        Loader { read, open: Vec::new(), files: Vec::new(), placed: Vec::new(), names: BTreeMap::new() };
    loader.load(root)?;
    check::check(&loader.placed)?;
    let mut definitions: Vec<Definition> =
        loader.placed.into_iter().map(|placed| placed.definition).collect();
    definitions.sort_by(|a, b| a.sort_key().cmp(&b.sort_key()));
    let schema = Schema { version: version.to_owned(), exact_integers: true, definitions };
    Ok(Parsed { schema, files: loader.files })
}

struct Loader<'a> {
    read: &'a dyn Fn(&Path) -> std::io::Result<String>,
    /// The files being read, outermost first: an include of one of them is a cycle.
    open: Vec<PathBuf>,
    files: Vec<PathBuf>,
    placed: Vec<Placed>,
    /// Where each name was first defined.
    names: BTreeMap<String, String>,
}

impl Loader<'_> {
    fn load(&mut self, path: &Path) -> Result<()> {
        let text = (self.read)(path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = path.display().to_string();
        let module = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        self.files.push(path.to_owned());
        self.open.push(path.to_owned());
        let mut doc: Option<DocFacts> = None;
        for item in lexer::items(&file, &text)? {
            match item {
                Item::Doc { line, lines } => {
                    unclaimed(&file, doc.take())?;
                    let facts = docs::facts(line, &lines);
                    doc = facts.symbol.is_some().then_some(facts);
                }
                Item::Expression(node) => self.expression(path, &module, &node, doc.take())?,
            }
        }
        unclaimed(&file, doc)?;
        self.open.pop();
        Ok(())
    }

    fn expression(&mut self, path: &Path, module: &str, node: &Node, doc: Option<DocFacts>) -> Result<()> {
        let file = path.display().to_string();
        let Value::Object(members) = &node.value else {
            return Ok(fail(&file, node.line, "an object", node.what())?);
        };
        match members.as_slice() {
            [(key, value)] if key == "include" => {
                unclaimed(&file, doc)?;
                let Value::Text(name) = &value.value else {
                    return Ok(fail(&file, value.line, "a file name after 'include'", value.what())?);
                };
                self.include(path, value.line, name)
            }
            [(key, value)] if key == "pragma" => {
                unclaimed(&file, doc)?;
                Ok(definition::check_pragma(&file, value)?)
            }
            _ => {
                let definition = definition::build(&file, module, node.line, members, doc.as_ref())?;
                let here = format!("{file}:{}", node.line);
                if let Some(first) = self.names.insert(definition.name.clone(), here) {
                    let expected = format!("a new name (the first '{}' is at {first})", definition.name);
                    return Ok(fail(&file, node.line, expected, format!("'{}' again", definition.name))?);
                }
                self.placed.push(Placed { definition, file, line: node.line });
                Ok(())
            }
        }
    }

    fn include(&mut self, from: &Path, line: usize, name: &str) -> Result<()> {
        let path = normal(&from.parent().unwrap_or(Path::new("")).join(name));
        if self.open.contains(&path) {
            let found = format!("'{name}', which is being read");
            return Ok(fail(&from.display().to_string(), line, "an include without a cycle", found)?);
        }
        if self.files.contains(&path) {
            return Ok(());
        }
        self.load(&path).with_context(|| format!("included at {}:{line}", from.display()))
    }
}

/// A block about a symbol must stand right before that symbol's definition.
fn unclaimed(file: &str, doc: Option<DocFacts>) -> Result<(), SyntaxError> {
    match doc {
        Some(DocFacts { line, symbol: Some(symbol), .. }) => fail(
            file,
            line,
            format!("the definition of '{symbol}' after its documentation"),
            "something else",
        ),
        _ => Ok(()),
    }
}

/// `a/../b` as `b`, so that the same file has one name.
fn normal(path: &Path) -> PathBuf {
    let mut out = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir if out.file_name().is_some() => {
                out.pop();
            }
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}
