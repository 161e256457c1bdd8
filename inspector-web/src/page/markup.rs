//! Makes nodes of markup.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;
use std::vec::IntoIter;

use leptos::prelude::*;
use web_sys::Element;

use crate::markup::{Child, Markup, SVG};

/// Shows what `markup` gives, and again what it gives when a signal that it read has changed.
///
/// Most of the page is made so, and not of views: those are types of their own each, and many times the code.
pub fn live(markup: impl Fn() -> Vec<Markup> + 'static) -> AnyView {
    place(Box::new(markup))
}

fn place(markup: Box<dyn Fn() -> Vec<Markup>>) -> AnyView {
    let place = NodeRef::<leptos::html::Div>::new();
    let latest = Arc::new(AtomicU32::new(0));
    // Made anew, a view takes over the element of the one before, which may still be drawing there.
    let last = Arc::clone(&latest);
    on_cleanup(move || {
        last.fetch_add(1, Relaxed);
    });
    Effect::new(move |shown: Option<Option<Vec<Markup>>>| {
        let now = markup();
        let place = place.get()?;
        if shown.flatten().as_ref() != Some(&now) {
            draw(&place, &now, &latest);
        }
        Some(now)
    });
    view! { <div node_ref=place class="live"></div> }.into_any()
}

/// Makes at most [`STEPS_PER_TASK`] in a task, so that a long report never holds up the page; what is overtaken by a
/// later drawing stops. The place is busy until all is there.
fn draw(place: &Element, elements: &[Markup], latest: &Arc<AtomicU32>) {
    drop(place.set_attribute(BUSY, "true"));
    let number = 1 + latest.fetch_add(1, Relaxed);
    go_on(Drawing::new(place, elements), Arc::clone(latest), number);
}

/// Has a task of its own for the next steps.
fn go_on(mut drawing: Drawing, latest: Arc<AtomicU32>, number: u32) {
    let task = move || {
        if latest.load(Relaxed) != number {
            return;
        }
        if drawing.go_on(STEPS_PER_TASK) {
            go_on(drawing, latest, number);
        } else {
            drop(drawing.place.remove_attribute(BUSY));
        }
    };
    set_timeout(task, Duration::ZERO);
}

/// Puts these elements in the place of what an element holds.
pub fn replace(place: &Element, elements: &[Markup]) {
    Drawing::new(place, elements).go_on(usize::MAX);
}

/// Steps that a task takes at most before the browser has its turn: some milliseconds on a slow machine. An element
/// takes two, a text one.
const STEPS_PER_TASK: usize = 400;

/// Says that a place is being changed: screen readers wait until it is not.
const BUSY: &str = "aria-busy";

const HTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements in the making. Each goes into its place when it is whole.
struct Drawing {
    place: Element,
    /// What the place still holds goes when the first element comes.
    is_cleared: bool,
    /// What has not been begun.
    rest: IntoIter<Child>,
    /// What has been begun, and what is still to go into it; the innermost last.
    open: Vec<(Element, IntoIter<Child>)>,
}

impl Drawing {
    fn new(place: &Element, elements: &[Markup]) -> Self {
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
