//! Makes nodes of markup.

use std::time::Duration;

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Document, Element};

use crate::markup::{Child, Markup, SVG};

/// Shows markup that never changes. Each is built in a task of its own, so that a long report never
/// holds up the page.
#[component]
pub fn Static(markup: Markup) -> impl IntoView {
    let place = NodeRef::<leptos::html::Div>::new();
    Effect::new(move |_| {
        if let Some(place) = place.get() {
            let markup = markup.clone();
            set_timeout(move || replace(&place, std::slice::from_ref(&markup)), Duration::ZERO);
        }
    });
    view! { <div node_ref=place class="static"></div> }
}

/// Puts these elements in the place of what a node holds.
pub fn replace(node: &web_sys::Node, elements: &[Markup]) {
    node.set_text_content(None);
    for element in elements {
        if let Ok(element) = build(&document(), element) {
            drop(node.append_child(&element));
        }
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
            Child::Element(child) => drop(element.append_child(&build(document, child)?.into())?),
        }
    }
    Ok(element)
}
