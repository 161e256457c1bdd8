//! Figures by layer: charts, and the same numbers as a table.

use bitgauge_core::report::words;
use bitgauge_core::report::{LayerSummary, Report, ValueSummary};

use crate::markup::{Markup, details, element, row, section, table};

/// Width of a layer in a chart's own units.
const STEP: f64 = 10.0;
/// Height of a chart in its own units.
const HEIGHT: f64 = 100.0;

/// One chart: a bar for each layer from `low` to `high`, both between 0 and 1.
struct Chart {
    title: &'static str,
    scale: String,
    bars: Vec<(f64, f64, String)>,
}

/// Bits per parameter, rescue fraction, sign balance and scales of each layer.
pub fn layers(report: &Report) -> Option<Markup> {
    if report.layers.is_empty() {
        return None;
    }
    let mut charts = vec![bits_per_parameter(&report.layers), rescue_fraction(&report.layers)];
    if report.layers.iter().any(|layer| layer.values.is_some()) {
        charts.push(sign_balance(&report.layers));
        charts.push(scales(&report.layers));
    }
    let charts = element("div").class("charts").children(charts.into_iter().map(Chart::draw));
    let heads =
        ["Layer", "Parameters", "Bits per parameter", "Rescued", "Plus signs", "Scales from", "Mean", "To"];
    let data = table("Figures by layer", &heads, report.layers.iter().map(data_row));
    Some(section("layers", "Layer by layer").child(charts).child(details("Show data", data)))
}

/// What a bar is of.
fn chart_name(layer: &LayerSummary) -> String {
    let name = words::layer(layer.layer);
    if layer.layer.is_some() { format!("layer {name}") } else { name }
}

fn bits_of(layer: &LayerSummary) -> f64 {
    layer.bits as f64 / (layer.parameters as f64).max(1.0)
}

fn rescued(layer: &LayerSummary) -> f64 {
    layer.rescue_parameters as f64 / (layer.parameters as f64).max(1.0)
}

fn plus(values: &ValueSummary) -> f64 {
    values.plus as f64 / (values.signs as f64).max(1.0)
}

fn bits_per_parameter(layers: &[LayerSummary]) -> Chart {
    let most = layers.iter().map(bits_of).fold(0.0, f64::max).max(f64::MIN_POSITIVE);
    let bar = |layer: &LayerSummary| {
        (0.0, bits_of(layer) / most, format!("{:.4} bits per parameter", bits_of(layer)))
    };
    Chart::new("Bits per parameter", format!("0 to {most:.4}"), layers, bar)
}

fn rescue_fraction(layers: &[LayerSummary]) -> Chart {
    let most = layers.iter().map(rescued).fold(0.0, f64::max).max(1e-9);
    let bar = |layer: &LayerSummary| {
        (0.0, rescued(layer) / most, format!("{:.2} % rescued", 100.0 * rescued(layer)))
    };
    Chart::new("Rescue fraction", format!("0 to {:.2} %", 100.0 * most), layers, bar)
}

/// Deviations from one half, up or down from the middle.
fn sign_balance(layers: &[LayerSummary]) -> Chart {
    let deviation = |layer: &LayerSummary| layer.values.as_ref().map_or(0.0, |values| plus(values) - 0.5);
    let most = layers.iter().map(|layer| deviation(layer).abs()).fold(0.0, f64::max).max(1e-9);
    let bar = |layer: &LayerSummary| {
        let end = 0.5 + 0.5 * deviation(layer) / most;
        (end.min(0.5), end.max(0.5), format!("{:.3} % plus", 100.0 * (0.5 + deviation(layer))))
    };
    Chart::new("Sign balance", format!("50 % ± {:.3} %", 100.0 * most), layers, bar)
}

/// From the smallest to the largest scale, by logarithm.
fn scales(layers: &[LayerSummary]) -> Chart {
    let values = || layers.iter().filter_map(|layer| layer.values.as_ref());
    let least = values().map(|v| v.scale_min).fold(f64::INFINITY, f64::min).max(2f64.powi(-24));
    let most = values().map(|v| v.scale_max).fold(least, f64::max);
    let place =
        |scale: f64| ((scale.max(least) / least).ln() / (most / least).ln().max(1e-9)).clamp(0.0, 1.0);
    let bar = |layer: &LayerSummary| match &layer.values {
        Some(v) => {
            let words =
                format!("scales {:.2e} to {:.2e}, mean {:.2e}", v.scale_min, v.scale_max, v.scale_mean);
            (place(v.scale_min), place(v.scale_max), words)
        }
        None => (0.0, 0.0, "no scales".into()),
    };
    Chart::new("Scales, smallest to largest", format!("{least:.1e} to {most:.1e}, logarithmic"), layers, bar)
}

impl Chart {
    fn new(
        title: &'static str,
        scale: String,
        layers: &[LayerSummary],
        bar: impl Fn(&LayerSummary) -> (f64, f64, String),
    ) -> Self {
        let named = |layer: &LayerSummary| {
            let (low, high, text) = bar(layer);
            (low, high, format!("{}: {text}", chart_name(layer)))
        };
        Self { title, scale, bars: layers.iter().map(named).collect() }
    }

    fn draw(self) -> Markup {
        let width = STEP * self.bars.len() as f64;
        let bars = (0..).zip(&self.bars).map(|(i, (low, high, words))| {
            // A sliver stays visible where there is nothing, so that the layer can still be pointed at.
            let height = (HEIGHT * (high - low)).max(1.0);
            element("rect")
                .class("chart__bar")
                .with("x", STEP * f64::from(i) + 1.0)
                .with("width", STEP - 2.0)
                .with("y", format!("{:.2}", (HEIGHT * (1.0 - high)).min(HEIGHT - height)))
                .with("height", format!("{height:.2}"))
                .child(element("title").text(words))
        });
        let picture = element("svg")
            .class("chart__picture")
            .with("role", "img")
            .with("viewBox", format!("0 0 {width} {HEIGHT}"))
            .with("preserveAspectRatio", "none")
            .child(element("title").text(&format!("{} by layer, {}", self.title, self.scale)))
            .children(bars);
        let caption =
            element("figcaption").child(element("b").text(self.title)).text(&format!(" {}", self.scale));
        element("figure").class("chart").child(caption).child(picture)
    }
}

fn data_row(layer: &LayerSummary) -> Markup {
    let value =
        |show: fn(&ValueSummary) -> String| layer.values.as_ref().map_or_else(|| words::UNKNOWN.into(), show);
    row([
        &words::layer(layer.layer),
        &words::count(layer.parameters),
        &format!("{:.4}", bits_of(layer)),
        &words::percent(layer.rescue_parameters, layer.parameters),
        &value(|v| words::percent(v.plus, v.signs)),
        &value(|v| format!("{:.3e}", v.scale_min)),
        &value(|v| format!("{:.3e}", v.scale_mean)),
        &value(|v| format!("{:.3e}", v.scale_max)),
    ])
}
