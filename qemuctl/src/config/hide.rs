//! Keeps secrets out of error messages: a line that may hold one is shown up to where it may begin.
//!
//! The text need not be valid, so this looks at lines, and rather hides too much.

/// What stands in place of the rest of a line.
const HIDDEN: &str = "… (not shown, it may be a secret)";

/// Keys of a secret whose values are none.
const HARMLESS: [&str; 3] = ["id", "file", "format"];

/// Words for secrets, wherever they stand.
const WORDS: [&str; 5] = ["value", "password", "passwd", "passphrase", "secret"];

/// The line of `text` that begins at `start` and ends at `end`, without what may be a secret.
pub(super) fn line(text: &str, start: usize, end: usize) -> String {
    let line = text[start..end].trim_end();
    match visible(&text[..start], line) {
        Some(visible) => format!("{}{HIDDEN}", &line[..visible]),
        None => line.to_owned(),
    }
}

/// How much of a line can be shown; all of it: `None`.
fn visible(before: &str, line: &str) -> Option<usize> {
    let key = key(line);
    if is_header(line) {
        let alone = line.trim_start().trim_matches(['[', ']', ' ', '"', '\'']) == "secrets";
        return if alone { None } else { Some(line.find('s').unwrap_or(0)) };
    }
    if is_in_secrets(before) {
        let harmless = key.is_some_and(|(name, _)| HARMLESS.contains(&name)) && is_alone(line);
        let closes = line.trim().chars().all(|c| "[]{},".contains(c));
        return if harmless || closes { None } else { Some(key.map_or(0, |(_, end)| end)) };
    }
    // Elsewhere: the section in one line, and a secret where none belongs. `password = true` is none.
    let found =
        |word: &str| line.to_ascii_lowercase().match_indices(word).map(|(at, _)| at + word.len()).min();
    let after = WORDS.iter().filter_map(|word| found(word)).min()?;
    let separator = line[after..].find(['=', ':']).map(|at| after + at + 1)?;
    let rest = line[separator..].trim_start();
    let is_switch = ["true", "false"].iter().any(|switch| rest.trim_end_matches(',') == *switch);
    // `password_secret` and `key_secret` name a secret by its id.
    let names_one = key.is_some_and(|(name, _)| name.ends_with("_secret")) && is_alone(line);
    if is_switch || names_one { None } else { Some(separator) }
}

/// The key that a line begins with, and where its separator ends.
fn key(line: &str) -> Option<(&str, usize)> {
    let separator = line.find(['=', ':'])?;
    let name = line[..separator].trim().trim_matches(['"', '\'']);
    let plain = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "_-$".contains(c));
    plain.then_some((name, separator + 1))
}

/// Whether a line holds one key and one value.
fn is_alone(line: &str) -> bool {
    line.matches(['=', ':']).count() == 1 && !line.contains(['{', '}'])
}

/// Whether a line begins a table of secrets.
fn is_header(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with('[') && line.trim_start_matches(['[', ' ', '"', '\'']).starts_with("secrets")
}

/// Whether what follows `before` belongs to the secrets.
fn is_in_secrets(before: &str) -> bool {
    let mut inside = false;
    // Brackets that the section has opened; what a string holds is counted too, and then more is hidden.
    let mut open = 0_isize;
    let mut quoted = false;
    for line in before.lines() {
        let starts_here = key(line).is_some_and(|(name, _)| name == "secrets");
        let opening = line.matches(['[', '{']).count().cast_signed();
        let closing = line.matches([']', '}']).count().cast_signed();
        if is_header(line) || starts_here {
            (inside, open) = (true, if starts_here { opening - closing } else { isize::MIN });
            quoted = false;
            // Both in one line: nothing follows.
            inside &= !starts_here || open != 0;
            continue;
        }
        if !inside {
            continue;
        }
        quoted ^= (line.matches("\"\"\"").count() + line.matches("'''").count()) % 2 == 1;
        if open == isize::MIN {
            // A table in TOML lasts until the next one begins.
            inside = quoted || !line.trim_start().starts_with('[');
        } else {
            open += opening - closing;
            inside = open > 0;
        }
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every line as it would be shown.
    fn shown(text: &str) -> String {
        let mut start = 0;
        let mut lines = Vec::new();
        for whole in text.split_inclusive('\n') {
            lines.push(line(text, start, start + whole.len()));
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
            secrets = [\n{ id = \"k\", valu = 'hunter2' },\n]\nname = \"x\"\n";
        let json = "{\"name\": \"x\",\n \"secrets\": [\n  {\n   \"id\": \"k\",\n   \"value\": \"hunter2\"\n  }\n ],\n \"memory\": 1\n}\n";
        let shown = format!("{}\n{}", shown(toml), shown(json));
        assert!(!shown.contains("hunter2"), "{shown}");
        insta::assert_snapshot!(shown, @r#"
        name = "web"
        secrets =… (not shown, it may be a secret)
        memory = "1GiB"
        [[secrets]]
        id = "a"
        value =… (not shown, it may be a secret)
        [[secrets]]
        file = "/x"
        vaule =… (not shown, it may be a secret)
        … (not shown, it may be a secret)
        value =… (not shown, it may be a secret)
        … (not shown, it may be a secret)
        … (not shown, it may be a secret)
        … (not shown, it may be a secret)
        id =… (not shown, it may be a secret)
        … (not shown, it may be a secret)
        password = true
        password_secret = "k"
        password =… (not shown, it may be a secret)
        [[disks]]
        backend = "/a"
        secrets =… (not shown, it may be a secret)
        … (not shown, it may be a secret)
        ]
        name = "x"
        {"name": "x",
         "secrets":… (not shown, it may be a secret)
          {
           "id": "k",
           "value":… (not shown, it may be a secret)
          }
         ],
         "memory": 1
        }
        "#);
    }
}
