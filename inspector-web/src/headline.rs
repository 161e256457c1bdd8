//! The verdict in a word and a sentence.

use bitgauge_core::report::words;
use bitgauge_core::report::{Gate, Outcome, Report, Unit, Verdict};

/// How the page colours a verdict or a gate, always beside a word and a sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Tone {
    Good,
    Bad,
    Unsure,
    /// Still being read.
    Pending,
}

impl Tone {
    /// The name that the style sheet knows it by.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Unsure => "unsure",
            Self::Pending => "pending",
        }
    }

    /// The sign beside the word.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Good => Verdict::Eligible.sign(),
            Self::Bad => Verdict::NotEligible.sign(),
            Self::Unsure => Verdict::Inconclusive.sign(),
            Self::Pending => "…",
        }
    }
}

/// A verdict in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Headline {
    /// Its colour and sign.
    pub tone: Tone,
    /// The verdict.
    pub word: String,
    /// What it rests on.
    pub sentence: String,
}

/// The headline of a report; `reading` while the bytes are still passing by.
pub fn of(report: &Report, reading: bool) -> Headline {
    let with = |outcome| report.gates.iter().filter(move |gate| gate.outcome == outcome);
    let failed: Vec<&Gate> = with(Outcome::Fail).collect();
    let waiting = with(Outcome::NotRun).count();
    match report.verdict {
        Verdict::Eligible => Headline {
            tone: Tone::Good,
            word: "Eligible".into(),
            sentence: tightest(report)
                .map_or_else(String::new, |gate| format!("Every gate passes. {}", spare(gate))),
        },
        Verdict::NotEligible => {
            let reasons: Vec<String> = failed.iter().map(|gate| reason(gate)).collect();
            Headline {
                tone: Tone::Bad,
                word: "Not eligible".into(),
                sentence: capitalised(&format!("{}.", reasons.join("; "))),
            }
        }
        Verdict::Inconclusive if reading && waiting == 1 => Headline {
            tone: Tone::Pending,
            word: "No gate fails so far".into(),
            sentence: "The headers are fine. The last gate needs every byte; reading goes on.".into(),
        },
        Verdict::Inconclusive => Headline {
            tone: Tone::Unsure,
            word: "Inconclusive".into(),
            sentence: format!("No gate fails, but {} could not run.", words::plural(waiting as u64, "gate")),
        },
    }
}

/// The colour of one gate.
pub fn tone(outcome: Outcome) -> Tone {
    match outcome {
        Outcome::Pass => Tone::Good,
        Outcome::Fail => Tone::Bad,
        Outcome::NotRun => Tone::Unsure,
    }
}

fn reason(gate: &Gate) -> String {
    match (gate.got, gate.wanted, gate.margin) {
        (Some(got), Some(0), _) => format!("{}: {} at fault", gate.title, words::counted(got, gate.unit)),
        (_, _, Some(margin)) => {
            format!("{}: over by {}", gate.title, words::counted(margin.unsigned_abs(), gate.unit))
        }
        _ => gate.title.to_string(),
    }
}

/// With a capital first letter, as a sentence begins.
pub fn capitalised(text: &str) -> String {
    // Core's titles are ASCII; the tables of all scripts would be 20 kB of the page.
    let mut text = text.to_owned();
    if let Some(first) = text.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    text
}

/// The size gate with the least left, which is what its maker wants to know.
fn tightest(report: &Report) -> Option<&Gate> {
    let sized = report.gates.iter().filter(|gate| gate.unit == Unit::Bytes && gate.margin.is_some());
    sized.min_by_key(|gate| gate.margin)
}

fn spare(gate: &Gate) -> String {
    let left = words::counted(gate.margin.unwrap_or(0).unsigned_abs(), gate.unit);
    match gate.title.strip_prefix("size ") {
        Some(limit) => format!("{left} to spare {limit}."),
        None => format!("{left} to spare: {}.", gate.title),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use bitgauge_core::accounting::Accounting;
    use bitgauge_core::container::ContainerKind;
    use bitgauge_core::contract::Rules;
    use bitgauge_core::report::ArtifactSummary;

    use super::*;

    pub(crate) fn gate(outcome: Outcome, unit: Unit, got: u64, wanted: u64) -> Gate {
        Gate {
            id: "gate".into(),
            title: "the gate".into(),
            outcome,
            got: Some(got),
            wanted: Some(wanted),
            margin: Some(wanted as i64 - got as i64),
            unit,
            rule: String::new(),
            details: Vec::new(),
            hint: None,
        }
    }

    pub(crate) fn report(gates: Vec<Gate>) -> Report {
        Report {
            schema_version: 1,
            bitgauge_version: String::new(),
            artifact: ArtifactSummary {
                name: "a.zip".into(),
                kind: ContainerKind::Zip,
                source: None,
                size_bytes: 1,
                sha256: None,
                members: Vec::new(),
            },
            pack: Rules::Binary,
            verdict: Verdict::of(&gates),
            gates,
            model: None,
            accounting: Accounting {
                buckets: Vec::new(),
                saved_by_compression_bits: 0,
                total_bits: 8,
                binary_parameters: 0,
                rescue_parameters: 0,
                unpacked_parameters: 0,
                bits_per_parameter: None,
            },
            layers: Vec::new(),
            manifest: None,
            weights: Vec::new(),
            tensors: None,
            notes: Vec::new(),
            evaluation: None,
        }
    }

    #[test]
    fn the_sentence_names_the_tightest_margin_or_every_reason() {
        let pass = |got| gate(Outcome::Pass, Unit::Bytes, got, 100);
        let good = of(&report(vec![pass(10), pass(99)]), false);
        assert_eq!((good.word.as_str(), good.tone), ("Eligible", Tone::Good));
        assert_eq!(good.sentence, "Every gate passes. 1 byte to spare: the gate.");
        let mut own = pass(90);
        own.title = "size under the model's own budget".into();
        let good = of(&report(vec![pass(10), own]), false);
        assert_eq!(good.sentence, "Every gate passes. 10 bytes to spare under the model's own budget.");
        let over = gate(Outcome::Fail, Unit::Bytes, 71_421, 100);
        let bad = of(&report(vec![over, gate(Outcome::Fail, Unit::Tensors, 2, 0)]), false);
        assert_eq!((bad.word.as_str(), bad.tone), ("Not eligible", Tone::Bad));
        assert_eq!(bad.sentence, "The gate: over by 71,321 bytes; the gate: 2 tensors at fault.");
    }

    #[test]
    fn a_gate_that_did_not_run_is_pending_only_while_bytes_are_read() {
        let waiting =
            report(vec![gate(Outcome::Pass, Unit::Bytes, 1, 2), gate(Outcome::NotRun, Unit::Tensors, 0, 0)]);
        assert_eq!(of(&waiting, true).tone, Tone::Pending);
        assert_eq!(of(&waiting, false).word, "Inconclusive");
        let two = gate(Outcome::NotRun, Unit::Tensors, 0, 0);
        let opaque = report(vec![two.clone(), two]);
        assert_eq!(of(&opaque, true).word, "Inconclusive");
    }
}
