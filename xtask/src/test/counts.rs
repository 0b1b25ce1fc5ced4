//! Reads the totals out of what `cargo test` prints.

use std::collections::BTreeSet;
use std::ops::AddAssign;

/// How many tests ended how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u64,
    pub failed: u64,
    pub ignored: u64,
}

impl Counts {
    /// The count of a single check.
    pub fn of_one(passed: bool) -> Self {
        Self { passed: u64::from(passed), failed: u64::from(!passed), ignored: 0 }
    }
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

/// Sums up the results of all test binaries, line by line.
#[derive(Default)]
pub struct Parser {
    pub counts: Counts,
    pub binaries: usize,
    /// The test binary whose tests have begun and whose result line is still to come.
    pub unfinished: Option<String>,
    /// The tests that libtest calls slow and that have not ended yet.
    pub slow: BTreeSet<String>,
}

impl Parser {
    /// Takes in one line, without its newline.
    pub fn line(&mut self, line: &str) {
        if let Some(tests) = line.strip_prefix("running ") {
            if tests.ends_with(" test") || tests.ends_with(" tests") {
                self.unfinished = Some(format!("the test binary number {}", self.binaries + 1));
            }
        } else if let Some(result) = line.strip_prefix("test result: ") {
            self.counts += counts(result);
            self.binaries += 1;
            self.unfinished = None;
            self.slow.clear();
        } else if let Some(test) = line.strip_prefix("test ") {
            if let Some((name, _)) = test.split_once(" has been running for over ") {
                self.slow.insert(name.to_owned());
            } else if let Some((name, _)) = test.split_once(" ... ") {
                self.slow.remove(name);
            }
        }
    }
}

/// The counts of `ok. 3 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.1s`.
fn counts(result: &str) -> Counts {
    let mut counts = Counts::default();
    let Some((_, list)) = result.split_once(". ") else { return counts };
    for item in list.split("; ") {
        let Some((number, what)) = item.split_once(' ') else { continue };
        let Ok(number) = number.parse() else { continue };
        match what {
            "passed" => counts.passed = number,
            "failed" => counts.failed = number,
            "ignored" => counts.ignored = number,
            _ => {}
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::{Counts, Parser};

    #[test]
    fn two_binaries_and_one_that_crashes() {
        let mut parser = Parser::default();
        let output = "
running 2 tests
test a ... ok
test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.00s

running 3 tests
running late is what this test prints
test result: FAILED. 1 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 12.31s

running 2 tests
test slow has been running for over 60 seconds
test hangs has been running for over 60 seconds
test slow ... ok
";
        output.lines().for_each(|line| parser.line(line));
        assert_eq!(parser.counts, Counts { passed: 3, failed: 1, ignored: 1 });
        assert_eq!(parser.binaries, 2);
        assert_eq!(parser.unfinished.as_deref(), Some("the test binary number 3"));
        assert_eq!(parser.slow.into_iter().collect::<Vec<_>>(), ["hangs"]);
    }
}
