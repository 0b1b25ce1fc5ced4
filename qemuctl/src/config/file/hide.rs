//! Keeps secrets out of error messages: a line that may contain one is printed only up to where it may begin.
//!
//! Since the text may be invalid, this works on lines, and hides too much rather than too little.

/// Replaces the rest of a line.
pub(super) const HIDDEN: &str = "… (hidden, may be a secret)";

/// Keys of a secret whose values are not secret.
const HARMLESS: [&str; 3] = ["id", "file", "format"];

/// Words for secrets, anywhere.
const WORDS: [&str; 5] = ["value", "password", "passwd", "passphrase", "secret"];

/// The similarity, from 0 to 1, from which a word is taken for one of these.
const ALIKE: f64 = 0.9;

/// Longer words cannot be one of these.
const LONGEST_WORD: usize = 24;

/// For each line of a text, where it begins and how much of it can be printed.
#[derive(Debug, Default)]
pub(super) struct Lines(Vec<(usize, Option<usize>)>);

impl Lines {
    /// Scans a text once, so that many faults cost no more than one.
    pub(super) fn of(text: &str) -> Self {
        let mut section = Section::default();
        let mut start = 0;
        let mut lines = Vec::new();
        for whole in text.split_inclusive('\n') {
            let line = whole.strip_suffix('\n').unwrap_or(whole);
            let line = line.strip_suffix('\r').unwrap_or(line);
            lines.push((start, visible(section.inside, line.trim_end())));
            section.pass(line);
            start += whole.len();
        }
        if start == text.len() && (text.is_empty() || text.ends_with('\n')) {
            lines.push((start, None));
        }
        Self(lines)
    }

    /// Returns the line that contains the byte at `offset`: its number from 0, where it begins, and how many bytes of
    /// it can be printed (`None` for all).
    pub(super) fn at(&self, offset: usize) -> (usize, usize, Option<usize>) {
        let number = self.0.partition_point(|(start, _)| *start <= offset).saturating_sub(1);
        let (start, visible) = self.0.get(number).copied().unwrap_or_default();
        (number, start, visible)
    }
}

/// Whether a word means a secret, possibly misspelt.
pub(super) fn is_word(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    WORDS.iter().any(|known| word.contains(known))
        || (word.len() <= LONGEST_WORD
            && WORDS.iter().any(|known| strsim::jaro_winkler(&word, known) >= ALIKE))
}

/// Returns how much of a line can be printed; `None` for all of it.
fn visible(in_secrets: bool, line: &str) -> Option<usize> {
    let key = key(line);
    if is_header(line) {
        let alone = line.trim_start().trim_matches(['[', ']', ' ', '"', '\'']) == "secrets";
        return if alone { None } else { Some(line.find('s').unwrap_or(0)) };
    }
    if in_secrets {
        let harmless = key.is_some_and(|(name, _)| HARMLESS.contains(&name)) && is_alone(line);
        let closes = line.trim().chars().all(|c| "[]{},".contains(c));
        return if harmless || closes { None } else { Some(key.map_or(0, |(_, end)| end)) };
    }
    // Elsewhere, there may be a whole section in one line, or a secret in the wrong place. `password = true` is not
    // one.
    let separator = separator_of_secret(line)?;
    let rest = line[separator..].trim_start();
    let is_switch = ["true", "false"].iter().any(|switch| rest.trim_end_matches(',') == *switch);
    // `password_secret` and `key_secret` contain the id of a secret.
    let names_one = key.is_some_and(|(name, _)| name.ends_with("_secret")) && is_alone(line);
    if is_switch || names_one { None } else { Some(separator) }
}

/// Returns the position after the first `=` or `:` that follows a word for secrets.
fn separator_of_secret(line: &str) -> Option<usize> {
    let lower = line.to_ascii_lowercase();
    let inside = WORDS.iter().filter_map(|word| lower.find(word).map(|at| at + word.len()));
    let is_separator =
        |at: usize| line[at..].trim_start_matches(['"', '\'', ' ', '\t']).starts_with(['=', ':']);
    let ends = line.match_indices(|c: char| !(c.is_alphanumeric() || "_-".contains(c)));
    let mut start = 0;
    let mut alike = ends.chain([(line.len(), "")]).filter_map(|(end, what)| {
        let word = &line[start..end];
        start = end + what.len();
        let long = (4..=LONGEST_WORD).contains(&word.len());
        (long && is_separator(end) && is_word(word)).then_some(end)
    });
    let after = inside.chain(alike.next()).min()?;
    line[after..].find(['=', ':']).map(|at| after + at + 1)
}

/// Returns the key at the beginning of a line, and where its separator ends.
fn key(line: &str) -> Option<(&str, usize)> {
    let separator = line.find(['=', ':'])?;
    let name = line[..separator].trim().trim_matches(['"', '\'']);
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
    plain.then_some((name, separator + 1))
}

/// Whether a line has one key and one value.
fn is_alone(line: &str) -> bool {
    line.matches(['=', ':']).count() == 1 && !line.contains(['{', '}'])
}

/// Whether a line begins a table of secrets.
fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('[') && line.trim_start_matches(['[', ' ', '"', '\'']).starts_with("secrets")
}

/// What is known about the next line from the previous ones.
#[derive(Default)]
struct Section {
    /// Whether the next line belongs to the secrets.
    inside: bool,
    /// Open brackets of the section. Brackets in strings are counted, too, which only hides more.
    open: isize,
    quoted: bool,
}

impl Section {
    fn pass(&mut self, line: &str) {
        let starts_here = key(line).is_some_and(|(name, _)| name == "secrets");
        let opening = line.matches(['[', '{']).count().cast_signed();
        let closing = line.matches([']', '}']).count().cast_signed();
        if is_header(line) || starts_here {
            self.open = if starts_here { opening - closing } else { isize::MIN };
            self.quoted = false;
            // Opened and closed in one line.
            self.inside = !starts_here || self.open != 0;
            return;
        }
        if !self.inside {
            return;
        }
        self.quoted ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        if self.open == isize::MIN {
            // A table in TOML lasts until the next one begins.
            self.inside = self.quoted || !line.trim_start().starts_with('[');
        } else {
            self.open += opening - closing;
            self.inside = self.open > 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line as it would be shown.
    fn shown(text: &str) -> String {
        let index = Lines::of(text);
        let mut start = 0;
        let mut lines = Vec::new();
        for whole in text.split_inclusive('\n') {
            let line = whole.trim_end();
            lines.push(match index.at(start) {
                (_, _, Some(visible)) => format!("{}{HIDDEN}", &line[..visible]),
                (.., None) => line.to_owned(),
            });
            start += whole.len();
        }
        lines.join("\n")
    }

    #[test]
    fn what_may_be_a_secret_is_not_shown() {
        let toml = "name = \"web\"\nsecrets = [{ id = \"k\", value = \"hunter2\" }]\nmemory = \"1GiB\"\n\
            [[secrets]]\nid = \"a\"\nvalue = \"hunter2\"\n[[secrets]]\nfile = \"/x\"\nvaule = hunter2\nhunter2\n\
            value = \"\"\"\nhunter2\n[not a table] hunter2\n\"\"\"\nid = \"hunter\", value = \"hunter2\"\n\
            [vnc]\npassword = true\npassword_secret = \"k\"\npassword = \"hunter2\"\n[[disks]]\nbackend = \"/a\"\n\
            secrets = [\n{ id = \"k\", valu = 'hunter2' },\n]\nname = \"x\"\n\
            vnc = { passwrod = \"hunter2\" }\npasword = hunter2\nvolume = 7\n";
        let json = "{\"name\": \"x\",\n \"secrets\": [\n  {\n   \"id\": \"k\",\n   \"value\": \"hunter2\"\n  }\n ],\n \"memory\": 1\n}\n";
        let shown = format!("{}\n{}", shown(toml), shown(json));
        assert!(!shown.contains("hunter2"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        name = "web"
        secrets =… (hidden, may be a secret)
        memory = "1GiB"
        [[secrets]]
        id = "a"
        value =… (hidden, may be a secret)
        [[secrets]]
        file = "/x"
        vaule =… (hidden, may be a secret)
        … (hidden, may be a secret)
        value =… (hidden, may be a secret)
        … (hidden, may be a secret)
        … (hidden, may be a secret)
        … (hidden, may be a secret)
        id =… (hidden, may be a secret)
        … (hidden, may be a secret)
        password = true
        password_secret = "k"
        password =… (hidden, may be a secret)
        [[disks]]
        backend = "/a"
        secrets =… (hidden, may be a secret)
        … (hidden, may be a secret)
        ]
        name = "x"
        vnc = { passwrod =… (hidden, may be a secret)
        pasword =… (hidden, may be a secret)
        volume = 7
        {"name": "x",
         "secrets":… (hidden, may be a secret)
          {
           "id": "k",
           "value":… (hidden, may be a secret)
          }
         ],
         "memory": 1
        }
        "#);
    }
}
