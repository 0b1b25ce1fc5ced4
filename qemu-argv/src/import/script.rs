//! The command line in the text of a shell script.
//!
//! What a shell would compute is an error that names it: a guess would be another machine.

use std::iter::Peekable;
use std::str::Chars;

use super::error::ImportError;

/// The words of the only command of a script that starts QEMU.
///
/// Comments, `set` and the words in front of the program that only start it (`exec`, `sudo`, `env`, `nice`) are skipped.
///
/// ```
/// let script = "#!/bin/sh\nexec qemu-system-x86_64 -m 2G \\\n  -append 'console=ttyS0 quiet'\n";
/// let words = qemu_argv::import::script_words(script)?;
/// assert_eq!(words, ["qemu-system-x86_64", "-m", "2G", "-append", "console=ttyS0 quiet"]);
/// # Ok::<(), qemu_argv::import::ImportError>(())
/// ```
///
/// # Errors
///
/// When a quote is not closed, when there is something that a shell would have to compute (`$NAME`, `$(…)`, a pattern), when
/// another command than QEMU's is in it, and when there is no command.
pub fn script_words(text: &str) -> Result<Vec<String>, ImportError> {
    let mut found: Option<Vec<String>> = None;
    let mut reader = Reader { letters: text.chars().peekable(), words: Vec::new() };
    while let Some(mut words) = reader.command()? {
        while words
            .first()
            .is_some_and(|word| matches!(word.as_str(), "exec" | "sudo" | "env" | "nice" | "nohup"))
        {
            words.remove(0);
        }
        let Some(program) = words.first() else { continue };
        if program == "set" {
            continue;
        }
        if found.is_some() || !is_qemu(program) {
            let why = if is_qemu(program) {
                "the script starts more than one QEMU; give each a script of its own"
            } else {
                "not a QEMU command; leave only QEMU's command line in the script"
            };
            return Err(ImportError::new(0, program, why));
        }
        found = Some(words);
    }
    found.ok_or_else(|| ImportError::new(0, "", "the script has no command that starts QEMU"))
}

/// Whether a word names a QEMU that runs machines.
pub(super) fn is_qemu(word: &str) -> bool {
    let name = word.rsplit('/').next().unwrap_or(word);
    name.starts_with("qemu-system-") || matches!(name, "qemu-kvm" | "kvm" | "qemu")
}

struct Reader<'t> {
    letters: Peekable<Chars<'t>>,
    words: Vec<String>,
}

impl Reader<'_> {
    /// The words up to the end of a line, a `;` or a `&`; `None` at the end of the text.
    fn command(&mut self) -> Result<Option<Vec<String>>, ImportError> {
        self.words.clear();
        while let Some(&letter) = self.letters.peek() {
            match letter {
                '\n' | ';' | '&' => {
                    self.letters.next();
                    return Ok(Some(std::mem::take(&mut self.words)));
                }
                '#' => while self.letters.next_if(|letter| *letter != '\n').is_some() {},
                letter if letter.is_whitespace() => {
                    self.letters.next();
                }
                _ => {
                    if let Some(word) = self.word()? {
                        self.words.push(word);
                    }
                }
            }
        }
        Ok((!self.words.is_empty()).then(|| std::mem::take(&mut self.words)))
    }

    /// A word; `None` when it was only the end of a line that goes on.
    fn word(&mut self) -> Result<Option<String>, ImportError> {
        let mut word = String::new();
        let mut is_there = false;
        if self.letters.peek() == Some(&'~') {
            return Err(self.error("~", "write the whole path instead of ~"));
        }
        while let Some(&letter) = self.letters.peek() {
            match letter {
                '\n' | ';' | '&' => break,
                letter if letter.is_whitespace() => break,
                '|' | '<' | '>' | '(' | ')' => {
                    let why = format!("`{letter}` is for a shell; leave it out, or write it in quotes");
                    return Err(self.error(&word, why));
                }
                '*' | '?' => {
                    let why = format!("`{letter}` is a pattern for a shell; write it in quotes");
                    return Err(self.error(&word, why));
                }
                _ => {}
            }
            self.letters.next();
            match letter {
                '\'' => self.single_quotes(&mut word)?,
                '"' => self.double_quotes(&mut word)?,
                '$' | '`' => {
                    self.expansion(letter, &word)?;
                    word.push(letter);
                }
                '\\' => match self.letters.next() {
                    Some('\n') => continue,
                    Some(escaped) => word.push(escaped),
                    None => return Err(self.error(&word, "nothing follows the last \\")),
                },
                other => word.push(other),
            }
            is_there = true;
        }
        Ok(is_there.then_some(word))
    }

    fn single_quotes(&mut self, word: &mut String) -> Result<(), ImportError> {
        loop {
            match self.letters.next() {
                Some('\'') => return Ok(()),
                Some(letter) => word.push(letter),
                None => return Err(self.error(word, "the quote ' is not closed")),
            }
        }
    }

    fn double_quotes(&mut self, word: &mut String) -> Result<(), ImportError> {
        loop {
            match self.letters.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.letters.next() {
                    Some('\n') => {}
                    Some(letter @ ('$' | '`' | '"' | '\\')) => word.push(letter),
                    Some(letter) => word.extend(['\\', letter]),
                    None => return Err(self.error(word, "the quote \" is not closed")),
                },
                Some(letter @ ('$' | '`')) => {
                    self.expansion(letter, word)?;
                    word.push(letter);
                }
                Some(letter) => word.push(letter),
                None => return Err(self.error(word, "the quote \" is not closed")),
            }
        }
    }

    /// An error that names what a shell would put here. A `$` before anything else stands for itself.
    fn expansion(&mut self, start: char, word: &str) -> Result<(), ImportError> {
        let name_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let what = match (start, self.letters.peek().copied()) {
            ('`', _) => "`…`".to_owned(),
            (_, Some('(')) => "$(…)".to_owned(),
            (_, Some('{')) => {
                self.letters.next();
                let name: String =
                    std::iter::from_fn(|| self.letters.next_if(|letter| name_letter(*letter))).collect();
                format!("${{{name}}}")
            }
            (_, Some(first)) if name_letter(first) => {
                let name: String =
                    std::iter::from_fn(|| self.letters.next_if(|letter| name_letter(*letter))).collect();
                format!("${name}")
            }
            (_, Some(mark @ ('@' | '*' | '#' | '?' | '!' | '-' | '$' | '\''))) => format!("${mark}"),
            _ => return Ok(()),
        };
        Err(self.error(word, format!("a shell would expand {what}; write its value instead")))
    }

    fn error(&self, word: &str, why: impl Into<String>) -> ImportError {
        ImportError::new(self.words.len(), word, why)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_a_shell() {
        let words = |text: &str| script_words(text).map(|words| words[1..].to_vec());
        for (text, expected) in [
            ("qemu-system-arm -m 1G # a comment\n", &["-m", "1G"][..]),
            ("set -eu\nqemu-system-arm a\\ b 'c d'\"e f\"g \\\n  h", &["a b", "c de fg", "h"]),
            (
                "sudo /usr/bin/qemu-system-arm '' \"\\$x \\a\" $ 'a#b' a#b &",
                &["", "$x \\a", "$", "a#b", "a#b"],
            ),
            ("exec qemu-system-arm -device '{\"driver\":\"edu\"}'", &["-device", "{\"driver\":\"edu\"}"]),
        ] {
            let expected: Vec<_> = expected.iter().map(ToString::to_string).collect();
            assert_eq!(words(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_a_shell_would_compute_is_named() {
        for (text, index, part) in [
            ("qemu-system-arm -hda $DISK", 2, "$DISK"),
            ("qemu-system-arm -hda \"${DISK:-a}\"", 2, "${DISK}"),
            ("qemu-system-arm -smp $(nproc)", 2, "$(…)"),
            ("qemu-system-arm -smp `nproc`", 2, "`…`"),
            ("qemu-system-arm -name 'a b", 2, "' is not closed"),
            ("qemu-system-arm -name \"a b", 2, "\" is not closed"),
            ("qemu-system-arm -hda *.img", 2, "`*`"),
            ("qemu-system-arm -hda ~/a.img", 2, "~"),
            ("qemu-system-arm > log", 1, "`>`"),
            ("modprobe kvm\nqemu-system-arm", 0, "not a QEMU"),
            ("# nothing\n", 0, "no command"),
            ("qemu-system-arm; qemu-system-arm", 0, "one QEMU"),
        ] {
            let error = script_words(text).expect_err(text);
            assert!(error.index == index && error.why.contains(part), "{text}: {error}");
        }
    }
}
