//! Durations on the command line: `30s`, `5m`, `1h 30m`, or just a number of seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A duration as it is typed and printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        // humantime rejects a number without a unit, except 0.
        let typed = match text.parse() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => humantime::parse_duration(text).map_err(|_| {
                format!("invalid duration {text:?}; expected for example 30s, 5m, 1h30m or 500ms")
            })?,
        };
        Ok(Self(typed))
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_a_unit_or_counts_seconds() {
        let read = |text: &str| text.parse::<Span>().map(|span| span.0);
        assert_eq!(read("30"), Ok(Duration::from_secs(30)));
        assert_eq!(read("0"), Ok(Duration::ZERO));
        assert_eq!(read("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(read("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(read("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "1.5", "soon", "5 parsecs", "99999999999999999999", "99999999999999999999y"] {
            let told = read(wrong).expect_err(wrong);
            assert_eq!(
                told,
                format!("invalid duration {wrong:?}; expected for example 30s, 5m, 1h30m or 500ms")
            );
        }
    }

    #[test]
    fn what_is_shown_is_read_again() {
        for millis in [0, 1, 999, 60_000, 5_400_000] {
            let span = Span(Duration::from_millis(millis));
            assert_eq!(span.to_string().parse(), Ok(span));
        }
    }
}
