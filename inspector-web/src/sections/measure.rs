//! What the box says in which a perplexity is measured.

use bitgauge_core::report::{Evaluation, words};

use crate::markup::{Markup, element};
use crate::protocol::measuring::Finished;
use crate::text;

/// Longest document in tokens unless the user says otherwise, as the command has it.
pub const MAX_TOKENS: u64 = 512;
/// Fewest and most tokens of a document that the command takes.
pub const TOKENS: [u64; 2] = [2, 1 << 20];

/// Where documents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// Those of the built-in demo.
    Demo,
    /// Files that the user chooses.
    Files,
    /// A text that the user types or pastes.
    Text,
}

impl Origin {
    /// All, in the order in which they are offered.
    pub const ALL: [Self; 3] = [Self::Demo, Self::Files, Self::Text];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Demo => "The demo’s",
            Self::Files => "Files",
            Self::Text => "Text",
        }
    }
}

/// What the box is for.
pub fn about(is_away: bool) -> Markup {
    let fetched = " The weights are fetched from their host each time, and not kept.";
    let words = "Runs the model here, on this computer’s GPU through WebGPU, with the command’s own kernels, which are \
                 checked against plain loops first. Model and documents stay in this tab; a click fetches 0.3 MB of \
                 WebAssembly from the page’s own address.";
    element("p").class("small").text(&format!("{words}{}", if is_away { fetched } else { "" }))
}

/// The number of tokens that a field holds, or what is wrong with it.
pub fn tokens(field: &str) -> Result<u64, String> {
    let [fewest, most] = TOKENS;
    let number = field.trim().parse().ok().filter(|number| (fewest..=most).contains(number));
    number.ok_or_else(|| format!("{} to {} tokens", words::count(fewest), words::count(most)))
}

/// The command that measures the same. Names are those in the folder where it is started.
pub fn command(artifact: &str, origin: Origin, names: &[String], max_tokens: u64) -> String {
    let mut command = format!("bitgauge eval {}", quoted(artifact));
    let typed = ["documents.txt".to_owned()];
    let names = match origin {
        Origin::Demo => &[],
        Origin::Files => names,
        Origin::Text => &typed[..],
    };
    for name in names {
        command += &format!(" --documents {}", quoted(name));
    }
    if max_tokens != MAX_TOKENS {
        command += &format!(" --max-tokens {max_tokens}");
    }
    command
}

/// A word for the shell.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+=,".contains(c);
    // What begins with a dash would be an option.
    let word = if word.starts_with('-') { format!("./{word}") } else { word.to_owned() };
    if !word.is_empty() && word.chars().all(is_plain) {
        word
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// How far the forward passes are, and how long the rest takes at the rate so far: `seconds` is since they began.
pub fn running(done: u64, total: u64, seconds: f64) -> String {
    if done == 0 {
        return "The first tokens are on their way; then the time that it takes is known.".to_owned();
    }
    if done >= total {
        return "The last documents are being finished.".to_owned();
    }
    let percent = 100.0 * done as f64 / total.max(1) as f64;
    let left = seconds * total.saturating_sub(done) as f64 / done as f64;
    format!("{percent:.0} % · about {} left", text::duration(left))
}

/// The perplexity of the documents that are finished; nothing before there is one.
pub fn so_far(finished: &[Finished], documents: usize) -> Option<String> {
    let tokens: u64 = finished.iter().map(|finished| finished.tokens).sum();
    let nats: f64 = finished.iter().map(|finished| finished.nats).sum();
    let perplexity = (nats / tokens as f64).exp();
    let of =
        format!("{} of {}", words::count(finished.len() as u64), words::plural(documents as u64, "document"));
    (tokens > 0).then(|| format!("{perplexity:.4} so far, after {of}"))
}

/// What was measured.
pub fn measured(evaluation: &Evaluation) -> Markup {
    let scored = words::plural(evaluation.scored_tokens, "scored token");
    let documents = words::plural(evaluation.scored_documents, "document");
    let time = text::duration(evaluation.seconds);
    let facts =
        format!("{scored} of {documents} in {time} · {} · {}", evaluation.device, evaluation.precision);
    let value = element("b").class("measure__value").text(&format!("{:.4}", evaluation.heldout_ppl));
    element("div")
        .class("measure__result")
        .with("role", "status")
        .child(element("p").text("Held-out perplexity ").child(value))
        .child(element("p").class("small").text(&facts))
        .child(element("p").class("small").text("It stands in the report, its JSON and its link."))
}

/// Says that the browser has no WebGPU.
pub fn no_gpu() -> Markup {
    let words = "This browser offers no WebGPU here, so nothing can be measured in this tab. Chrome and Edge 113, Safari 26 and \
                 Firefox 141 have it on most systems. The command measures the same on any GPU or on the CPU:";
    element("p").with("role", "status").text(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_names_what_was_chosen() {
        let files = ["a.txt".to_owned(), "it's here.jsonl".to_owned()];
        let cases = [
            (command("demo.zip", Origin::Demo, &files, 512), "bitgauge eval demo.zip"),
            (
                command("my model", Origin::Files, &files, 64),
                r"bitgauge eval 'my model' --documents a.txt --documents 'it'\''s here.jsonl' --max-tokens 64",
            ),
            (command("-x.gguf", Origin::Text, &[], 512), "bitgauge eval ./-x.gguf --documents documents.txt"),
            (command("$(rm)", Origin::Demo, &[], 512), "bitgauge eval '$(rm)'"),
        ];
        for (command, expected) in cases {
            assert_eq!(command, expected);
        }
    }

    #[test]
    fn the_rest_takes_as_long_as_the_rate_says() {
        assert_eq!(running(10, 40, 5.0), "25 % · about 15 s left");
        assert!(running(40, 40, 5.0).starts_with("The last"));
        assert!(running(0, 40, 5.0).starts_with("The first"));
    }

    #[test]
    fn a_running_value_weighs_documents_by_their_tokens() {
        let finished =
            |tokens, nats| Finished { document: 0, tokens, nats, seconds: 1.0, device: String::new() };
        let documents = [finished(1, 0.0), finished(3, 4.0 * 2.0_f64.ln()), finished(0, 0.0)];
        assert_eq!(so_far(&documents, 4).as_deref(), Some("2.0000 so far, after 3 of 4 documents"));
        assert_eq!(so_far(&documents[2..], 4), None);
        assert_eq!(so_far(&[], 4), None);
    }

    #[test]
    fn tokens_are_those_that_the_command_takes() {
        assert_eq!((tokens("512"), tokens(" 2 "), tokens("1048576")), (Ok(512), Ok(2), Ok(1 << 20)));
        for wrong in ["", "1", "1048577", "-5", "many", "3.5"] {
            assert_eq!(tokens(wrong), Err("2 to 1,048,576 tokens".to_owned()), "{wrong}");
        }
    }
}
