//! An artifact against the best submission of a task: whether it would take its place.

use bitgauge_core::contract::PPL_RESOLUTION_NATS;
use bitgauge_core::report::{Report, Verdict, words};
use native_eval::{Best, CoordinatorTask};
use serde_json::json;

use crate::cli::args::Format;
use crate::cli::print::println;
use crate::cli::{Exit, Failure, text};

/// What the competition's rule says of an artifact and the best submission.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// It would.
    Replaces(&'static str),
    /// It would not.
    Stays(&'static str),
    /// It can't be told.
    Unknown(&'static str),
}

/// Reads the task at `url`, and says whether the artifact would replace its best submission.
pub fn run(report: &Report, url: &str, format: Format) -> Result<Exit, Failure> {
    let task = CoordinatorTask::read(url, None)?;
    let best = task.best();
    let outcome = match (&task.best, best) {
        (Some(_), None) => Outcome::Unknown("the perplexity of the best submission is not published"),
        _ => decide(report, best),
    };
    let perplexity = report.evaluation.as_ref().map(|evaluation| evaluation.heldout_ppl);
    let nats = perplexity.zip(best).map(|(own, best)| own.ln() - best.heldout_ppl.ln());
    let (word, reason) = match outcome {
        Outcome::Replaces(reason) => ("would replace the best", reason),
        Outcome::Stays(reason) => ("would not replace the best", reason),
        Outcome::Unknown(reason) => ("undecided", reason),
    };
    match format {
        Format::Quiet => println!("{word}"),
        Format::Json => {
            let best =
                best.map(|best| json!({ "heldout_ppl": best.heldout_ppl, "size_bytes": best.size_bytes }));
            let replaces = match outcome {
                Outcome::Replaces(_) => Some(true),
                Outcome::Stays(_) => Some(false),
                Outcome::Unknown(_) => None,
            };
            let own = json!({ "heldout_ppl": perplexity, "size_bytes": report.artifact.size_bytes });
            let document = json!({
                "task": task.text("slug"), "artifact": own, "best": best, "nats": nats, "replaces": replaces,
                "reason": reason,
            });
            println!("{document:#}");
        }
        Format::Human => {
            let style = if matches!(outcome, Outcome::Replaces(_)) { text::good } else { text::unsure };
            println!("{}: {reason}", style(word));
            if let Some(nats) = nats {
                let side = if nats < 0.0 { "lower" } else { "higher" };
                println!("  perplexity  {side} by {:.6} nats", nats.abs());
            }
            if let Some(size) = best.and_then(|best| best.size_bytes) {
                let bytes = report.artifact.size_bytes;
                let side = if bytes <= size { "smaller" } else { "larger" };
                println!("  size        {side} by {}", words::plural(bytes.abs_diff(size), "byte"));
            }
            let notice = "the validator measures on its own documents, so its figure will differ";
            println!("{}", text::faint(notice));
        }
    }
    Ok(match outcome {
        Outcome::Unknown(_) => Exit::Inconclusive,
        _ if report.verdict == Verdict::NotEligible => Exit::NotEligible,
        _ => Exit::Done,
    })
}

fn decide(report: &Report, best: Option<Best>) -> Outcome {
    let own = report.evaluation.as_ref().map(|evaluation| evaluation.heldout_ppl.ln());
    match report.verdict {
        Verdict::NotEligible => return Outcome::Stays("it is not eligible"),
        Verdict::Inconclusive => return Outcome::Unknown("not every gate has run"),
        Verdict::Eligible => {}
    }
    let Some(own) = own.filter(|nats| nats.is_finite()) else {
        return Outcome::Unknown("it has no measured perplexity: `bitgauge eval` measures it");
    };
    let Some(best) = best else { return Outcome::Replaces("there is none yet") };
    let nats = own - best.heldout_ppl.ln();
    if nats <= -PPL_RESOLUTION_NATS {
        return Outcome::Replaces("its perplexity is lower by 0.02 nats or more");
    }
    if nats >= PPL_RESOLUTION_NATS {
        return Outcome::Stays("its perplexity is higher by 0.02 nats or more");
    }
    match best.size_bytes {
        None => Outcome::Unknown(
            "the perplexities are within 0.02 nats, and the size of the best one is not published",
        ),
        Some(size) if report.artifact.size_bytes < size => {
            Outcome::Replaces("the perplexities are within 0.02 nats of each other, and it is smaller")
        }
        Some(_) => {
            Outcome::Stays("the perplexities are within 0.02 nats of each other, and it is not smaller")
        }
    }
}

#[cfg(test)]
mod tests {
    use bitgauge_core::report::Evaluation;

    use super::*;

    #[test]
    fn the_rule_decides() {
        let report = |perplexity: f64, size_bytes| {
            let mut report = Report { verdict: Verdict::Eligible, ..Report::default() };
            report.artifact.size_bytes = size_bytes;
            report.evaluation = Some(Evaluation { heldout_ppl: perplexity, ..Evaluation::default() });
            report
        };
        let best = |size_bytes| Some(Best { heldout_ppl: 20.0, size_bytes });
        let near = 20.0 * 0.01_f64.exp();
        let is = |report: &Report, best| match decide(report, best) {
            Outcome::Replaces(_) => Some(true),
            Outcome::Stays(_) => Some(false),
            Outcome::Unknown(_) => None,
        };
        assert_eq!(is(&report(19.5, 9), best(Some(5))), Some(true));
        assert_eq!(is(&report(20.5, 1), best(Some(5))), Some(false));
        assert_eq!(is(&report(near, 4), best(Some(5))), Some(true));
        assert_eq!(is(&report(near, 5), best(Some(5))), Some(false));
        assert_eq!(is(&report(near, 4), best(None)), None);
        assert_eq!(is(&report(near, 4), None), Some(true));
        assert_eq!(is(&Report { evaluation: None, ..report(1.0, 1) }, best(None)), None);
        assert_eq!(
            is(&Report { verdict: Verdict::NotEligible, ..report(1.0, 1) }, best(Some(5))),
            Some(false)
        );
        assert_eq!(is(&Report { verdict: Verdict::Inconclusive, ..report(1.0, 1) }, best(Some(5))), None);
    }
}
