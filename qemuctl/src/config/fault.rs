//! What is wrong with a config file, told with the line it stands in.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::hide::Lines;

use qmp_client::Printable;

/// Why a config file is of no use.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is not text.
    #[error("the config file {} is not UTF-8 text: its byte {offset} cannot be read", path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// The first byte that is not UTF-8, counted from 0.
        offset: usize,
    },
    /// The file is larger than any config.
    #[error("the config file {} is larger than {limit} bytes; is it a disk image?", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit, in bytes.
        limit: u64,
    },
    /// The file is a pipe or a terminal, and nobody writes to it.
    #[error("nothing came from {} within {} s; is anything writing to it?", path.display(), within.as_secs())]
    NothingCame {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        within: Duration,
    },
    /// Something in the file is wrong. Printed, each fault comes with its line.
    #[error("{}", Report(faults))]
    Invalid {
        /// Everything that was found, in the order of the file. Never empty.
        faults: Vec<ConfigFault>,
    },
}

/// One thing that is wrong in a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The file.
    pub file: PathBuf,
    /// Which part of the config, such as `disks[1].throttle.group`. Empty: the whole, or the text as such.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
    /// Where it stands, if it stands anywhere: a missing field does not.
    pub place: Option<Place>,
}

/// A place in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// The text of the line, of a very long one the part around the place. What may be a secret in it is left out.
    pub text: String,
    /// How many characters are meant, at least 1.
    pub width: usize,
    /// How many characters of `text` stand before what is meant.
    before: usize,
}

/// A line may not flood a terminal: as much of it is shown, in characters.
const WIDEST: usize = 400;

/// So much of it before what is meant.
const LEAD: usize = 100;

impl Place {
    /// The place of `span` in `text`, as far as it lies in one line. A value that may be a secret, which the line does not
    /// tell, is `hidden`.
    pub(super) fn of(text: &str, lines: &Lines, span: Range<usize>, hidden: bool) -> Self {
        let at = |offset: usize| {
            (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
        };
        let start = at(span.start);
        let (number, line_start, visible) = lines.at(start);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = at(span.end).clamp(start, line_end);
        let before = text[line_start..start].chars().count();
        let line = text[line_start..line_end].trim_end();
        let visible = if hidden {
            visible.unwrap_or(line.len()).min(start - line_start)
        } else {
            visible.unwrap_or(line.len())
        };
        let skipped = if before < WIDEST - LEAD { 0 } else { before - LEAD };
        let mut shown = String::new();
        if skipped > 0 {
            shown.push('…');
        }
        let mut characters = line[..visible.min(line.len())].chars().skip(skipped);
        shown.extend(characters.by_ref().take(WIDEST));
        if characters.next().is_some() {
            shown.push('…');
        } else if visible < line.len() {
            shown.push_str(super::hide::HIDDEN);
        }
        Self {
            line: number + 1,
            column: before + 1,
            text: shown,
            width: text[start..end].trim_end().chars().take(WIDEST).count().max(1),
            before: before - skipped + usize::from(skipped > 0),
        }
    }
}

/// More marks below a long value tell no more.
const MARKS: usize = 60;

impl fmt::Display for ConfigFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        match &self.place {
            None if self.field.is_empty() => write!(f, "{file}: {}", self.message)?,
            None => write!(f, "{file}: {}: {}", self.field, self.message)?,
            Some(place) => {
                let Place { line, column, text, width, before } = place;
                write!(f, "{file}:{line}:{column}: ")?;
                if !self.field.is_empty() {
                    write!(f, "{}: ", self.field)?;
                }
                let number = line.to_string();
                // Tabs are kept, so that the marks stand below what they mean.
                let indent: String =
                    text.chars().take(*before).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
                let marks = "^".repeat((*width).min(MARKS));
                let text = Harmless(text);
                write!(
                    f,
                    "{}\n {number} | {text}\n {:>2$} | {indent}{marks}",
                    self.message,
                    "",
                    number.len()
                )?;
            }
        }
        match &self.help {
            Some(help) if self.place.is_some() => write!(f, " {help}"),
            Some(help) => write!(f, "; {help}"),
            None => Ok(()),
        }
    }
}

/// A line of somebody's file: control characters must not reach the terminal.
struct Harmless<'a>(&'a str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDEST: usize = 500;
        match self.0.char_indices().nth(WIDEST) {
            Some((cut, _)) => write!(f, "{}…", Printable::line(&self.0[..cut])),
            None => Printable::line(self.0).fmt(f),
        }
    }
}

/// More faults than a person can correct at a time are counted only.
pub(super) const MOST: usize = 50;

/// Puts faults into the order of the file, and tells of those that were left out.
pub(super) fn in_order(mut faults: Vec<ConfigFault>, left_out: usize) -> Vec<ConfigFault> {
    let left_out = left_out + faults.len().saturating_sub(MOST);
    faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.line, place.column)));
    faults.truncate(MOST);
    if left_out > 0
        && let Some(file) = faults.first().map(|fault| fault.file.clone())
    {
        faults.push(ConfigFault {
            file,
            field: String::new(),
            message: format!("{left_out} more problems are not shown; fix these first"),
            help: None,
            place: None,
        });
    }
    faults
}

/// Every fault, one below the other.
struct Report<'a>(&'a [ConfigFault]);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, fault) in self.0.iter().enumerate() {
            if position > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{fault}")?;
        }
        Ok(())
    }
}
