//! A guide as its reader works through it: files to write and commands to type, in order.

/// What a reader does.
#[derive(Debug)]
pub enum Step {
    /// Goes into a copy of the checkout, told by the note `<!-- copy: .. -->`.
    Checkout,
    /// Writes a file: a block that starts with a comment which holds the file's name.
    File { name: String, content: String },
    /// Types a command and sees what it says.
    Command { command: String, shown: Vec<String>, expected: Expected },
    /// Reads a machine that has no name.
    Machine(String),
}

/// How a command ends. Told in a comment that no reader sees, before the block:
/// `<!-- exit: 4 -->`, or `<!-- interrupt: TEXT -->` for a Ctrl-C once a line has TEXT.
#[derive(Clone, Debug, Default)]
pub struct Expected {
    pub exit: i32,
    pub interrupt_at: Option<String>,
}

/// The steps of a guide.
pub fn steps(guide: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut expected = Expected::default();
    let mut lines = guide.lines();
    while let Some(line) = lines.next() {
        if let Some(note) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            match note.split_once(": ").expect("a note has a colon") {
                ("exit", code) => expected.exit = code.parse().expect("an exit code"),
                ("copy", "..") => steps.push(Step::Checkout),
                ("interrupt", text) => expected.interrupt_at = Some(text.to_owned()),
                (word, _) => panic!("there is no note {word}"),
            }
        } else if let Some(language) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let expected = std::mem::take(&mut expected);
            match language {
                "console" => commands(&block, &expected, &mut steps),
                "sh" => steps.push(Step::Command {
                    command: format!("set -e\n{}", block.join("\n")),
                    shown: Vec::new(),
                    expected,
                }),
                // Programs that need no machine; they run as tests of the documentation.
                "rust" | "rust,no_run" if file_name(&block).is_none() => {}
                "toml" if file_name(&block).is_none() => steps.push(Step::Machine(block.join("\n"))),
                "toml" | "rust" => {
                    let name = file_name(&block).expect("looked at above").to_owned();
                    steps.push(Step::File { name, content: block[1..].join("\n") + "\n" });
                }
                // What is only looked at.
                "go" | "text" => {}
                other => panic!("a guide has no blocks in {other:?}"),
            }
        }
    }
    steps
}

/// The name in a first line such as `# web.toml` or `// src/main.rs`.
fn file_name<'a>(block: &[&'a str]) -> Option<&'a str> {
    let first = block.first()?;
    let name = first.strip_prefix("# ").or_else(|| first.strip_prefix("// "))?;
    let is_file = [".toml", ".rs"].iter().any(|ending| name.ends_with(ending));
    (is_file && !name.contains(' ')).then_some(name)
}

/// `$ ` begins a command, `> ` goes on with it, everything else is what it says.
fn commands(block: &[&str], expected: &Expected, steps: &mut Vec<Step>) {
    let first = steps.len();
    for line in block {
        if let Some(text) = line.strip_prefix("$ ") {
            steps.push(Step::Command {
                command: text.to_owned(),
                shown: Vec::new(),
                expected: Expected::default(),
            });
        } else if let Some(Step::Command { command, shown, .. }) = steps[first..].last_mut() {
            match line.strip_prefix("> ") {
                Some(text) if shown.is_empty() => {
                    command.push('\n');
                    command.push_str(text);
                }
                _ => shown.push((*line).to_owned()),
            }
        } else {
            panic!("a console begins with a command, not with {line:?}");
        }
    }
    // A note is about the last command of its block.
    if let Some(Step::Command { expected: last, .. }) = steps.last_mut() {
        *last = expected.clone();
    }
}

/// Whether the output is what the guide shows. There `...` alone stands for any lines, `[..]` for
/// any part of one.
pub fn matches(shown: &[String], output: &[String]) -> bool {
    match shown.split_first() {
        None => output.is_empty(),
        Some((first, rest)) if first == "..." => {
            (0..=output.len()).any(|skipped| matches(rest, &output[skipped..]))
        }
        Some((first, rest)) => output
            .split_first()
            .is_some_and(|(line, further)| line_matches(first, line) && matches(rest, further)),
    }
}

fn line_matches(shown: &str, line: &str) -> bool {
    let mut parts = shown.split("[..]");
    let start = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(start) else { return false };
    let mut parts = parts.peekable();
    if parts.peek().is_none() {
        return rest.is_empty();
    }
    while let Some(part) = parts.next() {
        if parts.peek().is_none() {
            return rest.ends_with(part);
        }
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    true
}

#[test]
fn wildcards_stand_for_what_differs() {
    let text = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
    assert!(matches(&text(&["a", "...", "pid [..] of [..]"]), &text(&["a", "b", "c", "pid 7 of 9"])));
    assert!(matches(&text(&["a", "..."]), &text(&["a"])));
    assert!(!matches(&text(&["a", "...", "d"]), &text(&["a", "b", "c"])));
    assert!(!matches(&text(&["pid [..]!"]), &text(&["pid 7"])));
    assert!(!matches(&text(&["a"]), &text(&["a", "b"])));
}

#[test]
fn a_page_becomes_files_and_commands() {
    let page = "Text.\n\n```toml\n# a.toml\nname = \"a\"\n```\n<!-- exit: 4 -->\n```console\n$ one\n$ two \\\n> three\nsaid\n```\n";
    let found = format!("{:?}", steps(page));
    assert_eq!(
        found,
        r#"[File { name: "a.toml", content: "name = \"a\"\n" }, Command { command: "one", shown: [], expected: Expected { exit: 0, interrupt_at: None } }, Command { command: "two \\\nthree", shown: ["said"], expected: Expected { exit: 4, interrupt_at: None } }]"#
    );
}
