//! Makes nodes of markup.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Document, Element};

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

/// Builds each element in a task of its own, so that a long report never holds up the page; what is
/// overtaken by a later drawing stops.
fn draw(place: &web_sys::HtmlDivElement, elements: &[Markup], latest: &Rc<Cell<u32>>) {
    let number = latest.get();
    if elements.is_empty() {
        place.set_text_content(None);
    }
    for (i, element) in elements.iter().cloned().enumerate() {
        let (place, latest) = (place.clone(), Rc::clone(latest));
        let task = move || {
            if latest.get() != number {
                return;
            }
            if i == 0 {
                place.set_text_content(None);
            }
            append(&place, &element);
        };
        set_timeout(task, Duration::ZERO);
    }
}

/// Puts these elements in the place of what a node holds.
pub fn replace(node: &web_sys::Node, elements: &[Markup]) {
    node.set_text_content(None);
    elements.iter().for_each(|element| append(node, element));
}

fn append(node: &web_sys::Node, element: &Markup) {
    if let Ok(element) = build(&document(), element) {
        drop(node.append_child(&element));
    }
}

fn build(document: &Document, markup: &Markup) -> Result<Element, JsValue> {
    let element = if SVG.contains(&markup.tag) {
        document.create_element_ns(Some("http://www.w3.org/2000/svg"), markup.tag)?
    } else {
        document.create_element(markup.tag)?
    };
    for (name, value) in &markup.attributes {
        element.set_attribute(name, value)?;
    }
    for child in &markup.children {
        match child {
            Child::Text(text) => element.append_with_str_1(text)?,
            Child::Element(child) => append(&element, child),
        }
    }
    Ok(element)
}
