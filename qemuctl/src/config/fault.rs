//! What is wrong with a config file, told with the line it stands in.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::PathBuf;

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
    /// The text of the line. What may be a secret in it is left out.
    pub text: String,
    /// How many characters are meant, at least 1.
    pub width: usize,
}

impl Place {
    /// The place of `span` in `text`, as far as it lies in one line.
    pub(super) fn of(text: &str, span: Range<usize>) -> Self {
        let at = |offset: usize| {
            (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
        };
        let start = at(span.start);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let line_end = text[start..].find('\n').map_or(text.len(), |newline| start + newline);
        let end = at(span.end).clamp(start, line_end);
        Self {
            line: before.matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            text: super::hide::line(text, line_start, line_end),
            width: text[start..end].trim_end().chars().count().max(1),
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
                let Place { line, column, text, width } = place;
                write!(f, "{file}:{line}:{column}: ")?;
                if !self.field.is_empty() {
                    write!(f, "{}: ", self.field)?;
                }
                let number = line.to_string();
                // Tabs are kept, so that the marks stand below what they mean.
                let indent: String =
                    text.chars().take(column - 1).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
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

/// A line of somebody's file: control characters must not reach the terminal, nor may a line flood it.
struct Harmless<'a>(&'a str);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const WIDEST: usize = 500;
        for (position, c) in self.0.chars().enumerate() {
            if position == WIDEST {
                return f.write_str("…");
            }
            let c = if c.is_control() && c != '\t' { '\u{fffd}' } else { c };
            write!(f, "{c}")?;
        }
        Ok(())
    }
}

/// Puts faults into the order of the file.
pub(super) fn sort(faults: &mut [ConfigFault]) {
    faults.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.line, place.column)));
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
