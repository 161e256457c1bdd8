//! Two reports side by side.

use bitgauge_core::report::compare::{Figure, Line};

use crate::headline::{self, Tone};
use crate::markup::{Markup, element, mark, row, table};
use crate::text;

/// Figures of two reports, with what agrees.
pub fn lines(lines: &[Line], heads: [&str; 2]) -> Markup {
    let figure = |figure: &Option<Figure>| figure.as_ref().map_or_else(|| "–".into(), words);
    let rows = lines.iter().map(|line| {
        let (tone, word) = agreement(line.agrees());
        let cell = element("span").class("line__word").child(mark(tone)).text(word);
        row([&headline::capitalised(&line.what), &figure(&line.left), &figure(&line.right)])
            .class(&format!("line line--{}", tone.class()))
            .child(element("td").child(cell))
    });
    table("Figures side by side", &["Figure", heads[0], heads[1], "Agreement"], rows)
}

/// A figure as the page shows it; of a hash, both ends.
pub fn words(figure: &Figure) -> String {
    match figure {
        Figure::Text(words) => shortened(words),
        Figure::Count(bits, "bits") => text::bits_as_bytes(*bits),
        Figure::Count(number, unit) => format!("{} {unit}", text::count(*number)).trim_end().to_owned(),
        Figure::Measured(value) => format!("{value:.4}"),
    }
}

fn shortened(words: &str) -> String {
    let is_hash = words.len() == 64 && words.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hash { format!("{}…{}", &words[..8], &words[56..]) } else { words.to_owned() }
}

fn agreement(agrees: Option<bool>) -> (Tone, &'static str) {
    match agrees {
        Some(true) => (Tone::Good, "same"),
        Some(false) => (Tone::Bad, "differs"),
        None => (Tone::Unsure, "one side only"),
    }
}
