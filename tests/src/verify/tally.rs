//! What has passed, failed and been skipped so far.
//! Knows the closing line of a test program; knows no step.

use std::fmt;

use super::step::Ended;

/// Counts, and the reasons of what was not good.
#[derive(Debug, Default)]
pub(super) struct Tally {
    passed: u64,
    failed: u64,
    skipped: u64,
    failures: Vec<String>,
}

/// The counts of one test program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl Tally {
    /// Counts a step that did what it should.
    pub(super) fn passed(&mut self) {
        self.passed += 1;
    }

    /// Counts a step that did not, with its reason.
    pub(super) fn failed(&mut self, step: &str, reason: String) {
        self.failed += 1;
        self.failures.push(format!("{step}: {reason}"));
    }

    /// Counts a step that could not be made.
    pub(super) fn skipped(&mut self) {
        self.skipped += 1;
    }

    /// Counts a test program by what it said; one that broke off or said nothing counts as a failure of its own.
    pub(super) fn add_tests(&mut self, step: &str, ended: &Ended) {
        let results: Vec<Counts> = ended.output.lines().filter_map(counts).collect();
        for counts in &results {
            self.passed += counts.passed;
            self.failed += counts.failed;
            self.skipped += counts.skipped;
        }
        let told_of = results.iter().any(|counts| counts.failed > 0);
        match &ended.failure {
            Some(reason) if told_of => self.failures.push(format!("{step}: {reason}")),
            Some(reason) => self.failed(step, reason.clone()),
            None if results.is_empty() => self.failed(step, "said no test result".to_owned()),
            None => {}
        }
    }

    /// Prints what failed, each in one line.
    pub(super) fn explain(&self) {
        for failure in &self.failures {
            println!("FAILED {failure}");
        }
    }

    pub(super) fn is_good(&self) -> bool {
        self.failed == 0
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// Reads `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s`.
///
/// Tests are filtered out only when something that they need is missing, so they count as skipped.
fn counts(line: &str) -> Option<Counts> {
    let (_, said) = line.strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in said.split("; ") {
        let Some((number, what)) = part.split_once(' ') else { continue };
        let Ok(number) = number.parse::<u64>() else { continue };
        match what {
            "passed" => counts.passed += number,
            "failed" => counts.failed += number,
            "ignored" | "filtered out" => counts.skipped += number,
            _ => {}
        }
    }
    Some(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(output: &str, failure: Option<&str>) -> Ended {
        Ended { output: output.to_owned(), failure: failure.map(str::to_owned) }
    }

    #[test]
    fn test_programs_are_counted_by_what_they_say() {
        let good = "test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; 2 filtered out; finished in 0.00s";
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s";
        let cases = [
            (good, None, "3 passed, 0 failed, 3 skipped"),
            (bad, Some("exit code 101"), "1 passed, 2 failed, 0 skipped"),
            (good, Some("exit code 1"), "3 passed, 1 failed, 3 skipped"),
            ("running 3 tests", Some("killed"), "0 passed, 1 failed, 0 skipped"),
            ("", None, "0 passed, 1 failed, 0 skipped"),
            ("x test result: ok. 3 passed", None, "0 passed, 1 failed, 0 skipped"),
        ];
        for (output, failure, wanted) in cases {
            let mut tally = Tally::default();
            tally.add_tests("it", &ended(output, failure));
            assert_eq!(tally.to_string(), wanted, "{output} {failure:?}");
            assert_eq!(tally.is_good(), wanted.contains(" 0 failed"));
        }
    }
}
