//! Errors in a config file, with the lines they are in.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use super::hide::Lines;

use qmp_client::Printable;

/// Why a config file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the config file {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The reason.
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
    /// The file is a pipe or a terminal to which nothing is written.
    #[error("no data from {} within {} s; is anything writing to it?", path.display(), within.as_secs())]
    NothingCame {
        /// The file.
        path: PathBuf,
        /// The time that was waited.
        within: Duration,
    },
    /// The file has faults. `Display` prints each with its line.
    #[error("{}", Report(faults))]
    Invalid {
        /// All faults, in the order of the file. Never empty.
        faults: Vec<ConfigFault>,
    },
}

/// A fault in a config file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfigFault {
    /// The file.
    pub file: PathBuf,
    /// The config field, such as `disks[1].throttle.group`. Empty for the whole file, or for its syntax.
    pub field: String,
    /// What is wrong.
    pub message: String,
    /// How to fix it.
    pub help: Option<String>,
    /// The place in the file. `None` if there is none, as for a missing field.
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
    /// The text of the line, or the part around the place if the line is very long. A part that may be a secret is
    /// omitted.
    pub text: String,
    /// The number of characters, at least 1.
    pub width: usize,
    /// The number of characters of `text` before the place.
    before: usize,
}

/// The most characters of a line that are printed, so that it cannot flood a terminal.
const WIDEST: usize = 400;

/// The most characters that are printed before the place.
const LEAD: usize = 100;

impl Place {
    /// Returns the place of `span` in `text`, limited to one line. `hidden` says that the value may be a secret,
    /// although the line does not show that.
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

/// More marks below a long value would not help.
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
                // Tabs are kept, so that the marks are aligned with the text.
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

/// Replaces control characters, which must not reach the terminal.
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

/// The most faults that are reported; further ones are only counted.
pub(super) const MOST: usize = 50;

/// Sorts faults by their place in the file, and adds one that counts the omitted ones.
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

/// Prints all faults.
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
