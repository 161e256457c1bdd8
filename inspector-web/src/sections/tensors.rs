//! The weights as a table of which only the rows in view exist.

use bitgauge_core::report::words;
use std::cmp::Ordering;
use std::ops::Range;

use bitgauge_core::report::WeightSummary;

use crate::markup::{Markup, element, row};

/// Height of a row in pixels, as the style sheet has it.
pub const ROW_PIXELS: u32 = 32;

/// A column that can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Column {
    Order,
    Name,
    Form,
    Shape,
    Parameters,
    Rescued,
    BitsPerParameter,
    Size,
}

impl Column {
    /// The columns that are shown, with their headings.
    pub const SHOWN: [(Self, &'static str); 7] = [
        (Self::Name, "Weight"),
        (Self::Form, "Stored as"),
        (Self::Shape, "Shape"),
        (Self::Parameters, "Parameters"),
        (Self::Rescued, "Rescued"),
        (Self::BitsPerParameter, "Bits per parameter"),
        (Self::Size, "Size"),
    ];
}

/// Indices of the weights whose name or form contains `search`, sorted.
pub fn order(weights: &[WeightSummary], search: &str, column: Column, descending: bool) -> Vec<usize> {
    let search = search.trim().to_ascii_lowercase();
    let contains = |text: &str| text.to_ascii_lowercase().contains(&search);
    let matches =
        |weight: &WeightSummary| search.is_empty() || contains(&weight.name) || contains(&weight.form);
    let mut order: Vec<usize> = (0..weights.len()).filter(|i| matches(&weights[*i])).collect();
    order.sort_by(|a, b| {
        let ordering = compare(&weights[*a], &weights[*b], column);
        if descending { ordering.reverse() } else { ordering }
    });
    order
}

fn compare(a: &WeightSummary, b: &WeightSummary, column: Column) -> Ordering {
    match column {
        Column::Order => Ordering::Equal,
        Column::Name => natural(&a.name, &b.name),
        Column::Form => a.form.cmp(&b.form),
        Column::Shape => a.shape.cmp(&b.shape),
        Column::Parameters => a.parameters.cmp(&b.parameters),
        Column::Rescued => rescued(a).total_cmp(&rescued(b)),
        Column::BitsPerParameter => density(a).total_cmp(&density(b)),
        Column::Size => a.bits.cmp(&b.bits),
    }
}

/// Layer 10 comes after layer 9: runs of digits compare as numbers.
fn natural(a: &str, b: &str) -> Ordering {
    let key = |name: &str| -> Vec<(u64, String)> {
        let part = |part: &str| match part.parse() {
            Ok(number) => (number, String::new()),
            Err(_) => (u64::MAX, part.to_owned()),
        };
        name.split('.').map(part).collect()
    };
    key(a).cmp(&key(b))
}

fn rescued(weight: &WeightSummary) -> f64 {
    weight.rescue_parameters as f64 / (weight.parameters as f64).max(1.0)
}

fn density(weight: &WeightSummary) -> f64 {
    weight.bits as f64 / (weight.parameters as f64).max(1.0)
}

/// Which rows stand in a view of `height` pixels that is scrolled down by `top`, and some around it.
pub fn in_view(rows: usize, top: u32, height: u32) -> Range<usize> {
    const AROUND: u32 = 12;
    let first = (top / ROW_PIXELS).saturating_sub(AROUND) as usize;
    let last = ((top + height) / ROW_PIXELS + 1 + AROUND) as usize;
    first.min(rows)..last.min(rows)
}

/// The rows in view, between two that are as high as all that are not.
pub fn rows(weights: &[WeightSummary], order: &[usize], range: Range<usize>) -> Vec<Markup> {
    let spacer = |rows: usize| {
        let cell =
            element("td").with("colspan", Column::SHOWN.len()).with("height", rows * ROW_PIXELS as usize);
        element("tr").class("spacer").with("aria-hidden", "true").child(cell)
    };
    let mut rows = vec![spacer(range.start)];
    rows.extend(range.clone().zip(&order[range.clone()]).map(|(i, index)| {
        let weight = &weights[*index];
        // The heading is the first row.
        row([
            &weight.name,
            &weight.form,
            &words::shape(&weight.shape),
            &words::count(weight.parameters),
            &words::percent(weight.rescue_parameters, weight.parameters),
            &format!("{:.4}", density(weight)),
            &words::bits_as_bytes(weight.bits),
        ])
        .with("aria-rowindex", i + 2)
    }));
    rows.push(spacer(order.len() - range.end));
    rows
}
