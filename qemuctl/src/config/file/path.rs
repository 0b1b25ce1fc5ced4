//! The path of a value in a config: `disks[1].throttle.group`.

use std::fmt;

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Into a field of a table.
    Field(String),
    /// Into an element of a list.
    Item(usize),
}

/// Splits a path into steps, up to the first part that cannot be parsed.
pub(super) fn steps(path: &str) -> Vec<Step> {
    let mut steps = Vec::new();
    for part in path.split('.').filter(|part| !part.is_empty()) {
        let (name, indices) = part.split_once('[').unwrap_or((part, ""));
        if !name.is_empty() {
            steps.push(Step::Field(name.to_owned()));
        }
        for index in indices.split('[').filter_map(|index| index.trim_end_matches(']').parse().ok()) {
            steps.push(Step::Item(index));
        }
    }
    steps
}

/// Formats steps as a path.
pub(super) struct Display<'a>(pub(super) &'a [Step]);

impl fmt::Display for Display<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if position == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_its_steps_and_back() {
        for path in ["", "name", "disks[1].throttle.group", "a[0][2].b"] {
            assert_eq!(Display(&steps(path)).to_string(), path);
        }
        assert_eq!(
            steps("disks[1].id"),
            [Step::Field("disks".into()), Step::Item(1), Step::Field("id".into())]
        );
    }
}
