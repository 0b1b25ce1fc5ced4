//! Characters to values: the JSON-like notation of QAPI schema files.
//!
//! Single-quoted strings of printable ASCII, `true`, `false`, lists and objects; no numbers, no null.
//! Comments that start with `##` on a line of their own open a documentation block.

use super::error::{SyntaxError, fail};

/// A value with the line it starts on.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub line: usize,
    pub value: Value,
}

/// A value of the schema language.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Object(Vec<(String, Node)>),
    List(Vec<Node>),
    Text(String),
    Bool(bool),
}

impl Node {
    /// What the value is, for error messages.
    pub fn what(&self) -> &'static str {
        match self.value {
            Value::Object(_) => "an object",
            Value::List(_) => "a list",
            Value::Text(_) => "a string",
            Value::Bool(_) => "a boolean",
        }
    }
}

/// One thing at the top level of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// The lines of a documentation block, without `#` and the one space after it.
    Doc { line: usize, lines: Vec<String> },
    /// A directive or a definition.
    Expression(Node),
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    Punctuation(char),
    Text(String),
    Bool(bool),
    Doc(Vec<String>),
    End,
}

impl Token {
    fn what(&self) -> String {
        match self {
            Self::Punctuation(c) => format!("'{c}'"),
            Self::Text(text) => format!("string '{text}'"),
            Self::Bool(value) => value.to_string(),
            Self::Doc(_) => "documentation comment".into(),
            Self::End => "end of file".into(),
        }
    }
}

/// Nesting deeper than this is refused, so that a hostile file cannot exhaust the stack.
const MAX_DEPTH: usize = 64;

struct Lexer<'a> {
    file: &'a str,
    text: &'a str,
    position: usize,
    line: usize,
    /// The token in hand, and the line it starts on.
    token: Token,
    token_line: usize,
}

/// Splits the text of `file` into documentation blocks and expressions.
pub fn items(file: &str, text: &str) -> Result<Vec<Item>, SyntaxError> {
    let mut lexer = Lexer { file, text, position: 0, line: 1, token: Token::End, token_line: 1 };
    lexer.advance()?;
    let mut items = Vec::new();
    loop {
        let line = lexer.token_line;
        match &mut lexer.token {
            Token::End => return Ok(items),
            Token::Doc(lines) => {
                items.push(Item::Doc { line, lines: std::mem::take(lines) });
                lexer.advance()?;
            }
            Token::Punctuation('{') => items.push(Item::Expression(lexer.value(0)?)),
            other => return fail(file, line, "'{'", other.what()),
        }
    }
}

impl<'a> Lexer<'a> {
    fn fail<T>(&self, expected: &str, found: impl Into<String>) -> Result<T, SyntaxError> {
        fail(self.file, self.line, expected, found)
    }

    fn advance(&mut self) -> Result<(), SyntaxError> {
        loop {
            self.token_line = self.line;
            let rest = &self.text[self.position..];
            let Some(c) = rest.chars().next() else {
                self.token = Token::End;
                return Ok(());
            };
            match c {
                '\n' => {
                    self.line += 1;
                    self.position += 1;
                }
                ' ' | '\t' | '\r' => self.position += 1,
                '#' => {
                    if let Some(lines) = self.comment()? {
                        self.token = Token::Doc(lines);
                        return Ok(());
                    }
                }
                '{' | '}' | '[' | ']' | ':' | ',' => {
                    self.position += 1;
                    self.token = Token::Punctuation(c);
                    return Ok(());
                }
                '\'' => {
                    self.token = Token::Text(self.string()?);
                    return Ok(());
                }
                _ => {
                    for (word, value) in [("true", true), ("false", false)] {
                        if rest.starts_with(word) {
                            self.position += word.len();
                            self.token = Token::Bool(value);
                            return Ok(());
                        }
                    }
                    return self.fail("one of { } [ ] : , ' # true false", format!("'{c}'"));
                }
            }
        }
    }

    /// Takes one line; the position then is at its newline or at the end.
    fn rest_of_line(&mut self) -> &'a str {
        let rest = &self.text[self.position..];
        let line = &rest[..rest.find('\n').unwrap_or(rest.len())];
        self.position += line.len();
        line.trim_end_matches('\r')
    }

    /// Skips a plain comment, or returns the lines of a documentation block.
    fn comment(&mut self) -> Result<Option<Vec<String>>, SyntaxError> {
        let start = self.line;
        if self.rest_of_line() != "##" {
            return Ok(None);
        }
        let mut lines = Vec::new();
        loop {
            if self.position == self.text.len() {
                return fail(
                    self.file,
                    start,
                    "a closing '##' for this documentation comment",
                    "end of file",
                );
            }
            self.position += 1;
            self.line += 1;
            let line = self.rest_of_line().trim_start();
            if line == "##" {
                return Ok(Some(lines));
            }
            match line.strip_prefix('#') {
                Some(text) => lines.push(text.strip_prefix(' ').unwrap_or(text).trim_end().to_owned()),
                None if line.is_empty() => {}
                None => return self.fail("'#' inside a documentation comment", format!("'{line}'")),
            }
        }
    }

    fn string(&mut self) -> Result<String, SyntaxError> {
        let mut text = String::new();
        let mut chars = self.text[self.position + 1..].chars();
        loop {
            match chars.next() {
                Some('\'') => {
                    self.position = self.text.len() - chars.as_str().len();
                    return Ok(text);
                }
                Some('\\') => match chars.next() {
                    Some('\\') => text.push('\\'),
                    Some(c) => return self.fail("'\\\\', the only escape", format!("'\\{c}'")),
                    None => return self.fail("a closing \"'\"", "end of file"),
                },
                Some('\n') => return self.fail("a closing \"'\"", "end of line"),
                Some(c) if c.is_ascii_graphic() || c == ' ' => text.push(c),
                Some(c) => return self.fail("a printable ASCII character", format!("{c:?}")),
                None => return self.fail("a closing \"'\"", "end of file"),
            }
        }
    }

    fn value(&mut self, depth: usize) -> Result<Node, SyntaxError> {
        let line = self.token_line;
        if depth > MAX_DEPTH {
            return self.fail("shallower nesting", format!("more than {MAX_DEPTH} levels"));
        }
        let value = match std::mem::replace(&mut self.token, Token::End) {
            Token::Punctuation('{') => Value::Object(self.object(depth)?),
            Token::Punctuation('[') => Value::List(self.list(depth)?),
            Token::Text(text) => {
                self.advance()?;
                Value::Text(text)
            }
            Token::Bool(value) => {
                self.advance()?;
                Value::Bool(value)
            }
            other => return fail(self.file, line, "'{', '[', a string, true or false", other.what()),
        };
        Ok(Node { line, value })
    }

    /// The members after `{`.
    fn object(&mut self, depth: usize) -> Result<Vec<(String, Node)>, SyntaxError> {
        let mut members: Vec<(String, Node)> = Vec::new();
        self.advance()?;
        if self.takes('}')? {
            return Ok(members);
        }
        loop {
            let line = self.token_line;
            let name = match &mut self.token {
                Token::Text(text) => std::mem::take(text),
                other => return fail(self.file, line, "a member's name in quotes", other.what()),
            };
            if members.iter().any(|(other, _)| *other == name) {
                return fail(self.file, line, "each member once", format!("'{name}' again"));
            }
            self.advance()?;
            if !self.takes(':')? {
                return fail(self.file, self.token_line, "':'", self.token.what());
            }
            members.push((name, self.value(depth + 1)?));
            if self.takes('}')? {
                return Ok(members);
            }
            if !self.takes(',')? {
                return fail(self.file, self.token_line, "',' or '}'", self.token.what());
            }
        }
    }

    /// The elements after `[`.
    fn list(&mut self, depth: usize) -> Result<Vec<Node>, SyntaxError> {
        let mut elements = Vec::new();
        self.advance()?;
        if self.takes(']')? {
            return Ok(elements);
        }
        loop {
            elements.push(self.value(depth + 1)?);
            if self.takes(']')? {
                return Ok(elements);
            }
            if !self.takes(',')? {
                return fail(self.file, self.token_line, "',' or ']'", self.token.what());
            }
        }
    }

    fn takes(&mut self, wanted: char) -> Result<bool, SyntaxError> {
        if self.token == Token::Punctuation(wanted) {
            self.advance()?;
            return Ok(true);
        }
        Ok(false)
    }
}
