//! Markup as plain data: elements with attributes and text, without a browser.
//!
//! What a report says in markup is decided by functions of [`crate::sections`] and tested natively;
//! the page makes nodes of it. Text is only ever text: nothing here can become another element.

use std::ops::Deref;

/// An element. One pointer, so that building it in steps moves little.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markup(Box<Element>);

/// What an element is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Element {
    /// Its name; those of [`SVG`] are drawn.
    pub tag: &'static str,
    /// Its attributes.
    pub attributes: Vec<(&'static str, String)>,
    /// What is in it.
    pub children: Vec<Child>,
}

/// What an element holds.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names say it")]
pub enum Child {
    Text(String),
    Element(Markup),
}

/// Elements of the SVG namespace that the charts use.
pub const SVG: [&str; 6] = ["svg", "g", "rect", "line", "title", "desc"];

/// An empty element.
pub fn element(tag: &'static str) -> Markup {
    Markup(Box::new(Element { tag, attributes: Vec::new(), children: Vec::new() }))
}

impl Deref for Markup {
    type Target = Element;

    fn deref(&self) -> &Element {
        &self.0
    }
}

impl Markup {
    /// Sets an attribute.
    pub fn with(mut self, name: &'static str, value: impl ToString) -> Self {
        self.0.attributes.push((name, value.to_string()));
        self
    }

    /// Sets the class.
    pub fn class(self, class: &str) -> Self {
        self.with("class", class)
    }

    /// Adds text.
    pub fn text(mut self, text: &str) -> Self {
        self.0.children.push(Child::Text(text.to_owned()));
        self
    }

    /// Adds text in which what stands between backticks is code, as core writes it for the terminal.
    pub fn prose(mut self, text: &str) -> Self {
        let mut rest = text;
        while let Some((before, code, after)) = split_code(rest) {
            self = self.text(before).child(element("code").class("mono").text(code));
            rest = after;
        }
        if rest.is_empty() { self } else { self.text(rest) }
    }

    /// Adds an element.
    pub fn child(mut self, child: Self) -> Self {
        self.0.children.push(Child::Element(child));
        self
    }

    /// Adds elements.
    pub fn children(mut self, children: impl IntoIterator<Item = Self>) -> Self {
        self.0.children.extend(children.into_iter().map(Child::Element));
        self
    }

    /// What it is made of.
    pub fn into_element(self) -> Element {
        *self.0
    }

    /// All text in it, in order.
    pub fn all_text(&self) -> String {
        let text = |child: &Child| match child {
            Child::Text(text) => text.clone(),
            Child::Element(element) => element.all_text(),
        };
        self.children.iter().map(text).collect()
    }

    /// Every element in it with this name, itself included.
    pub fn find(&self, tag: &str) -> Vec<&Self> {
        let mut found = Vec::new();
        if self.tag == tag {
            found.push(self);
        }
        for child in &self.children {
            if let Child::Element(element) = child {
                found.extend(element.find(tag));
            }
        }
        found
    }

    /// The value of an attribute.
    pub fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(known, _)| *known == name).map(|(_, value)| value.as_str())
    }
}

/// What stands before the first backtick, between that and the next, and behind it.
fn split_code(text: &str) -> Option<(&str, &str, &str)> {
    let (before, rest) = text.split_once('`')?;
    let (code, after) = rest.split_once('`')?;
    Some((before, code, after))
}

/// A section with its heading, which names it.
pub fn section(id: &'static str, heading: &str) -> Markup {
    let heading = element("h2").with("id", id).text(heading);
    element("section").with("aria-labelledby", id).child(heading)
}

/// A table whose first column is text and whose other columns are numbers. The keyboard can scroll it.
pub fn table(label: &str, heads: &[&str], rows: impl IntoIterator<Item = Markup>) -> Markup {
    let heads = heads.iter().map(|head| element("th").with("scope", "col").text(head));
    let table = element("table")
        .class("numbers")
        .child(element("thead").child(element("tr").children(heads)))
        .child(element("tbody").children(rows));
    let scroll = element("div").class("scroll").with("tabindex", 0).with("role", "region");
    // Not the very name of the section that it stands in.
    scroll.with("aria-label", format!("{label}, table")).child(table)
}

/// A row of a table: its head and its cells.
pub fn row<const N: usize>(cells: [&str; N]) -> Markup {
    let cell = |(i, text): (usize, &str)| match i {
        0 => element("th").with("scope", "row").text(text),
        _ => element("td").text(text),
    };
    element("tr").children(cells.into_iter().enumerate().map(cell))
}

/// Content that opens on a click or a key.
pub fn details(summary: &str, content: Markup) -> Markup {
    element("details").child(element("summary").text(summary)).child(content)
}

/// The sign of a verdict or a gate; a word beside it says the same.
pub fn mark(tone: crate::headline::Tone) -> Markup {
    element("span")
        .class(&format!("mark mark--{}", tone.class()))
        .with("aria-hidden", "true")
        .text(tone.sign())
}
