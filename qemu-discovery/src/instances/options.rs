//! QEMU's `key=value,…` syntax, as `-chardev` and its kin have it.

/// The parts of an option's value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Options(Vec<(String, String)>);

impl Options {
    /// Reads a value whose first part may lack its key, which is then `implied`. A comma in a value is written twice.
    pub(super) fn read(text: &str, implied: &str) -> Self {
        let mut parts = Vec::new();
        let mut part = String::new();
        let mut rest = text.chars().peekable();
        while let Some(letter) = rest.next() {
            if letter != ',' {
                part.push(letter);
            } else if rest.peek() == Some(&',') {
                rest.next();
                part.push(',');
            } else {
                parts.push(std::mem::take(&mut part));
            }
        }
        parts.push(part);
        let parts = parts.into_iter().enumerate().map(|(index, part)| match part.split_once('=') {
            Some((key, value)) => (key.to_owned(), value.to_owned()),
            None if index == 0 && !implied.is_empty() => (implied.to_owned(), part),
            // `server` means `server=on`, `nowait` means `wait=off`.
            None => match part.strip_prefix("no") {
                Some(key @ ("wait" | "server" | "delay" | "ipv4" | "ipv6")) => {
                    (key.to_owned(), "off".to_owned())
                }
                _ => (part, "on".to_owned()),
            },
        });
        Self(parts.collect())
    }

    /// From a section of a configuration file.
    pub(super) fn from_pairs(pairs: Vec<(String, String)>) -> Self {
        Self(pairs)
    }

    /// The last value given for a key: later ones override earlier ones.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Whether a switch is on.
    pub(super) fn is_on(&self, key: &str) -> bool {
        matches!(self.get(key), Some("on" | "yes" | "true" | "y"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_implied_keys_and_short_switches() {
        let options = Options::read("socket,id=a,path=/x,,y=z,server,nowait,id=b", "backend");
        assert_eq!(options.get("backend"), Some("socket"));
        assert_eq!(options.get("path"), Some("/x,y=z"));
        assert_eq!(options.get("id"), Some("b"));
        assert_eq!(
            (options.is_on("server"), options.get("wait"), options.is_on("mux")),
            (true, Some("off"), false)
        );
        assert_eq!(Options::read("guest=a,,b", "guest").get("guest"), Some("a,b"));
    }
}
