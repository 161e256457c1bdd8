//! How sure a perplexity is, and a difference of two: pictures, and the same numbers as text and tables.

use bitgauge_core::report::{DocumentLoss, Estimate, Report, words};

use crate::markup::{Markup, details, element, row, section, table};

/// Width and height of a picture in its own units.
const WIDTH: f64 = 1_000.0;
const HEIGHT: f64 = 120.0;
/// Most and fewest bars of a histogram.
const BARS: [usize; 2] = [4, 24];
/// Documents at either end of a list of the best and the worst.
const ENDS: usize = 5;
/// What the competition takes for equal, in nats.
const RESOLUTION: f64 = bitgauge_core::contract::PPL_RESOLUTION_NATS;

/// The losses of the documents as a histogram, the interval in it, and the best and the worst documents; nothing of a
/// report without a perplexity whose spread is known.
pub fn estimate(report: &Report) -> Option<Markup> {
    let evaluation = report.evaluation.as_ref()?;
    let estimate = evaluation.estimate()?;
    let words = format!("{:.4}; 95 % interval {}.", evaluation.heldout_ppl, words::uncertainty(&estimate));
    let said = element("p").text("Held-out perplexity ").text(&words);
    let note = "The interval says how far off the perplexity may be for other documents of the same kind.";
    let section = section("estimate", "How sure the perplexity is")
        .child(said)
        .child(element("p").class("small").text(note));
    let documents: Vec<Document> = (1..).zip(&evaluation.documents).filter_map(Document::of).collect();
    if documents.len() < 2 {
        return Some(section);
    }
    let histogram = Histogram::of(&documents);
    let data = histogram.data();
    Some(section.child(histogram.draw(&estimate)).child(details("Show data", data)).child(ends(documents)))
}

/// A document with its mean loss.
#[derive(Clone, Copy)]
struct Document {
    number: u64,
    tokens: u64,
    /// Nats per scored token.
    mean: f64,
}

impl Document {
    fn of((number, loss): (u64, &DocumentLoss)) -> Option<Self> {
        let mean = loss.nats / loss.tokens as f64;
        mean.is_finite().then_some(Self { number, tokens: loss.tokens, mean })
    }

    fn row(&self) -> Markup {
        row([
            &words::count(self.number),
            &words::count(self.tokens),
            &format!("{:.4}", self.mean),
            &format!("{:.4}", self.mean.exp()),
        ])
    }
}

/// Where a number lies on a line from left to right.
struct Axis {
    low: f64,
    high: f64,
}

impl Axis {
    fn place(&self, value: f64) -> f64 {
        let width = (self.high - self.low).max(f64::MIN_POSITIVE);
        (WIDTH * (value - self.low) / width).clamp(0.0, WIDTH)
    }

    /// From one number to another, over some of the height.
    fn span(&self, [from, to]: [f64; 2], [top, bottom]: [f64; 2], class: &str) -> Markup {
        let (left, right) = (self.place(from), self.place(to));
        element("rect")
            .class(class)
            .with("x", format!("{left:.2}"))
            .with("width", format!("{:.2}", (right - left).max(0.0)))
            .with("y", format!("{top:.2}"))
            .with("height", format!("{:.2}", (bottom - top).max(0.0)))
    }

    fn mark(&self, value: f64, class: &str) -> Markup {
        let x = format!("{:.2}", self.place(value));
        element("line").class(class).with("x1", &x).with("x2", &x).with("y1", 0).with("y2", HEIGHT)
    }

    /// The numbers at both ends, and what they are of.
    fn words(&self, what: &str) -> Markup {
        let end = |value: f64| element("span").text(&format!("{value:.2}").replace('-', words::MINUS));
        let what = element("span").text(what);
        element("p")
            .class("axis")
            .with("aria-hidden", "true")
            .child(end(self.low))
            .child(what)
            .child(end(self.high))
    }
}

struct Histogram {
    axis: Axis,
    /// Documents in each bar.
    counts: Vec<u64>,
}

impl Histogram {
    fn of(documents: &[Document]) -> Self {
        let means = || documents.iter().map(|document| document.mean);
        let axis = Axis {
            low: means().fold(f64::INFINITY, f64::min),
            high: means().fold(f64::NEG_INFINITY, f64::max),
        };
        let [fewest, most] = BARS;
        let bars = ((documents.len() as f64).sqrt().ceil() as usize * 2).clamp(fewest, most);
        let mut counts = vec![0; bars];
        for mean in means() {
            let bar = (axis.place(mean) / WIDTH * bars as f64) as usize;
            counts[bar.min(bars - 1)] += 1;
        }
        Self { axis, counts }
    }

    /// Where a bar begins and ends.
    fn edges(&self, bar: usize) -> [f64; 2] {
        let step = (self.axis.high - self.axis.low) / self.counts.len() as f64;
        [bar, bar + 1].map(|edge| self.axis.low + step * edge as f64)
    }

    fn draw(&self, estimate: &Estimate) -> Markup {
        let most = self.counts.iter().copied().max().unwrap_or(1).max(1) as f64;
        let bars = (0..).zip(&self.counts).map(|(bar, count)| {
            let [low, high] = self.edges(bar);
            let words = format!("{low:.2} to {high:.2} nats: {}", words::plural(*count, "document"));
            let top = HEIGHT * (1.0 - *count as f64 / most);
            self.axis.span([low, high], [top, HEIGHT], "histogram__bar").child(element("title").text(&words))
        });
        let [low, high] = estimate.interval();
        let documents: u64 = self.counts.iter().sum();
        let words = format!(
            "{} from {:.2} to {:.2} nats per token; the mean is {:.4}, its 95 % interval {low:.4} to {high:.4}",
            words::plural(documents, "document"),
            self.axis.low,
            self.axis.high,
            estimate.nats
        );
        let picture = picture("Documents by their loss", &words)
            .children(bars)
            .child(self.axis.span([low, high], [0.0, HEIGHT], "interval"))
            .child(self.axis.mark(estimate.nats, "interval__mark"));
        let caption = format!("{low:.3} to {high:.3} nats is the interval of the mean");
        figure("Documents by their loss", &caption, picture, self.axis.words("nats per token"))
    }

    fn data(&self) -> Markup {
        let rows = (0..).zip(&self.counts).map(|(bar, count)| {
            let [low, high] = self.edges(bar);
            row([&format!("{low:.3} to {high:.3}"), &words::count(*count)])
        });
        table("Documents by their loss", &["Nats per token", "Documents"], rows)
    }
}

/// The documents that the model predicts best and worst; all of a few.
fn ends(mut documents: Vec<Document>) -> Markup {
    documents.sort_by(|a, b| a.mean.total_cmp(&b.mean));
    let heads = ["Document", "Scored tokens", "Nats per token", "Perplexity"];
    let title = |text: &str| element("h3").class("table__title").text(text);
    let all = |documents: &[Document], label: &str| table(label, &heads, documents.iter().map(Document::row));
    if documents.len() <= 2 * ENDS {
        return element("div")
            .child(title("From best to worst"))
            .child(all(&documents, "From best to worst"));
    }
    let worst: Vec<Document> = documents.iter().rev().take(ENDS).copied().collect();
    element("div")
        .child(title("Best documents"))
        .child(all(&documents[..ENDS], "Best documents"))
        .child(title("Worst documents"))
        .child(all(&worst, "Worst documents"))
}

/// The difference of two perplexities with its interval, beside the limit of the competition's rule.
pub fn difference(difference: &Estimate, names: [&str; 2]) -> Markup {
    let [low, high] = difference.interval();
    let reach = [low.abs(), high.abs(), 2.0 * RESOLUTION].into_iter().fold(0.0, f64::max) * 1.05;
    let axis = Axis { low: -reach, high: reach };
    let words = words::difference(difference);
    let [left, right] = names;
    let middle = HEIGHT / 2.0;
    let picture = picture("The difference and its 95 % interval", &words)
        .child(axis.span([-RESOLUTION, RESOLUTION], [0.0, HEIGHT], "interval__rule"))
        .child(axis.mark(0.0, "interval__zero"))
        .child(axis.span([low, high], [middle - 12.0, middle + 12.0], "interval interval--strong"))
        .child(axis.mark(difference.nats, "interval__mark"));
    let better = if difference.nats < 0.0 { left } else { right };
    let caption = if difference.nats == 0.0 { words } else { format!("{better} is better by {words}") };
    let ends = element("p")
        .class("axis")
        .child(element("span").text(&format!("← {left} is better")))
        .child(element("span").text("shaded: 0.02 nats"))
        .child(element("span").text(&format!("{right} is better →")));
    figure("The difference and its 95 % interval", &caption, picture, ends)
}

/// A picture with its title and the numbers in it.
fn picture(title: &str, words: &str) -> Markup {
    element("svg")
        .class("chart__picture")
        .with("role", "img")
        .with("viewBox", format!("0 0 {WIDTH} {HEIGHT}"))
        .with("preserveAspectRatio", "none")
        .child(element("title").text(title))
        .child(element("desc").text(words))
}

fn figure(title: &str, caption: &str, picture: Markup, axis: Markup) -> Markup {
    let caption = element("figcaption").child(element("b").text(title)).text(" ").text(caption);
    element("figure").class("chart chart--wide").child(caption).child(picture).child(axis)
}
