//! A report that is held against a copy of its file.

use bitgauge_core::report::compare::{Answer, Check, Side};

use super::{NAMES, name};
use crate::cli::print::println;
use crate::cli::subject::Subject;
use crate::cli::text;

/// What somebody claims of one side, held against the other, which was inspected here.
pub struct Claim {
    /// The side that is claimed.
    pub side: Side,
    /// What was found.
    pub check: Check,
}

impl Claim {
    /// That of two sides one of which is a report; nothing where both or none were inspected here.
    pub fn of(left: &Subject, right: &Subject) -> Option<Self> {
        match (left.is_claim, right.is_claim) {
            (true, false) => Some(Self { side: Side::Left, check: Check::of(&left.report, &right.report) }),
            (false, true) => Some(Self { side: Side::Right, check: Check::of(&right.report, &left.report) }),
            _ => None,
        }
    }

    /// Prints the answers.
    pub fn print(&self) {
        let copy = NAMES[1 - self.side as usize];
        println!("\n{}", text::heading(&format!("The claim {} against your copy {copy}", name(self.side))));
        for Answer { outcome, answer, particulars } in self.check.answers() {
            let colon = if particulars.is_empty() { "" } else { ": " };
            println!("  {}{colon}{particulars}", text::marked(outcome, &answer));
        }
    }
}
