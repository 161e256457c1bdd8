//! Makes nodes of markup.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;
use std::vec::IntoIter;

use leptos::prelude::*;
use web_sys::{Element, Node};

use crate::markup::{Child, Markup, SVG};

/// Shows what `markup` gives, and again what it gives when a signal that it read has changed.
///
/// Most of the page is made so, and not of views: those are types of their own each, and many times the code.
pub fn live(markup: impl Fn() -> Vec<Markup> + 'static) -> AnyView {
    place(Box::new(markup))
}

fn place(markup: Box<dyn Fn() -> Vec<Markup>>) -> AnyView {
    let place = NodeRef::<leptos::html::Div>::new();
    let latest = Rc::new(Cell::new(0_u32));
    Effect::new(move |shown: Option<Vec<Markup>>| {
        let now = markup();
        let Some(place) = place.get() else { return Vec::new() };
        if shown.as_ref() != Some(&now) {
            latest.set(latest.get() + 1);
            draw(&place, &now, &latest);
        }
        now
    });
    view! { <div node_ref=place class="live"></div> }.into_any()
}

/// Makes at most [`STEPS_PER_TASK`] in a task, so that a long report never holds up the page; what is overtaken by a
/// later drawing stops.
fn draw(place: &web_sys::HtmlDivElement, elements: &[Markup], latest: &Rc<Cell<u32>>) {
    let drawing = Drawing::new(place, elements);
    go_on(drawing, Rc::clone(latest), latest.get());
}

/// Has a task of its own for the next steps.
fn go_on(mut drawing: Drawing, latest: Rc<Cell<u32>>, number: u32) {
    let task = move || {
        if latest.get() == number && drawing.go_on(STEPS_PER_TASK) {
            go_on(drawing, latest, number);
        }
    };
    set_timeout(task, Duration::ZERO);
}

/// Puts these elements in the place of what a node holds.
pub fn replace(node: &web_sys::Node, elements: &[Markup]) {
    Drawing::new(node, elements).go_on(usize::MAX);
}

/// Steps that a task takes at most before the browser has its turn: some milliseconds on a slow machine. An element
/// takes two, a text one.
const STEPS_PER_TASK: usize = 400;

const HTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements in the making. Each goes into its place when it is whole.
struct Drawing {
    place: Node,
    /// What the place still holds goes when the first element comes.
    is_cleared: bool,
    /// What has not been begun.
    rest: IntoIter<Child>,
    /// What has been begun, and what is still to go into it; the innermost last.
    open: Vec<(Element, IntoIter<Child>)>,
}

impl Drawing {
    fn new(place: &Node, elements: &[Markup]) -> Self {
        let rest: Vec<Child> = elements.iter().cloned().map(Child::Element).collect();
        let mut drawing =
            Self { place: place.clone(), is_cleared: false, rest: rest.into_iter(), open: Vec::new() };
        if elements.is_empty() {
            drawing.clear();
        }
        drawing
    }

    fn clear(&mut self) {
        if !self.is_cleared {
            self.place.set_text_content(None);
            self.is_cleared = true;
        }
    }

    /// Takes so many steps; says whether there are more.
    fn go_on(&mut self, steps: usize) -> bool {
        (0..steps).all(|_| self.step())
    }

    /// Makes the next node, or ends an element; says whether there was anything to do.
    fn step(&mut self) -> bool {
        let rest = self.open.last_mut().map_or(&mut self.rest, |(_, children)| children);
        match rest.next() {
            Some(Child::Element(markup)) => self.begin(markup),
            Some(Child::Text(text)) => {
                if let Some((parent, _)) = self.open.last() {
                    drop(parent.append_with_str_1(&text));
                }
            }
            None => return self.end(),
        }
        true
    }

    fn begin(&mut self, markup: Markup) {
        let markup = markup.into_element();
        let space = if SVG.contains(&markup.tag) { "http://www.w3.org/2000/svg" } else { HTML };
        let Ok(element) = document().create_element_ns(Some(space), markup.tag) else { return };
        for (name, value) in &markup.attributes {
            drop(element.set_attribute(name, value));
        }
        self.open.push((element, markup.children.into_iter()));
    }

    /// Puts the innermost element into its place; says whether there was one.
    fn end(&mut self) -> bool {
        let Some((element, _)) = self.open.pop() else { return false };
        if self.open.is_empty() {
            self.clear();
        }
        let parent = self.open.last().map_or(&self.place, |(parent, _)| parent);
        drop(parent.append_child(&element));
        true
    }
}
