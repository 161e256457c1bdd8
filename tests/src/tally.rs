//! Counts cases by outcome and ends a suite with one exact line.

use std::process::ExitCode;

/// The cases of one suite.
#[derive(Default)]
pub struct Tally {
    passed: usize,
    failed: usize,
    skipped: Vec<String>,
}

impl Tally {
    /// Counts one case and prints it.
    pub fn case(&mut self, name: &str, result: Result<String, String>) {
        match result {
            Ok(remark) => {
                self.passed += 1;
                println!("ok    {name}  {remark}");
            }
            Err(why) => {
                self.failed += 1;
                println!("FAIL  {name}\n      {why}");
            }
        }
    }

    /// Names a case that this version can't run. It counts neither as passed nor as failed.
    pub fn skip(&mut self, name: &str, why: &str) {
        self.skipped.push(name.to_owned());
        println!("skip  {name}: {why}");
    }

    /// Prints the closing line. A suite without a passed case has failed.
    pub fn finish(self) -> ExitCode {
        if !self.skipped.is_empty() {
            println!("skipped: {} ({})", self.skipped.len(), self.skipped.join(", "));
        }
        println!("cases: {} passed, {} failed", self.passed, self.failed);
        if self.failed == 0 && self.passed > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
