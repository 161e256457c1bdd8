//! The table of weights: searched, sorted, and smooth at any length.

use bitgauge_core::report::words;
use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::markup;
use super::session::Shown;
use crate::sections::tensors::{self, Column};

/// Every weight of the artifact.
#[component]
pub fn Tensors(shown: Arc<Shown>) -> impl IntoView {
    let search = RwSignal::new(String::new());
    let sorted = RwSignal::new((Column::Order, false));
    let top = RwSignal::new(0_u32);
    let view_port = NodeRef::<leptos::html::Div>::new();
    let total = shown.report.weights.len();
    let weights = Arc::clone(&shown);
    let order = Memo::new(move |_| {
        let (column, descending) = sorted.get();
        tensors::order(&weights.report.weights, &search.get(), column, descending)
    });
    let draw = move || -> Option<()> {
        let view_port = view_port.get()?;
        let body = view_port.query_selector("tbody").ok()??;
        order.with(|order| {
            let range = tensors::in_view(order.len(), top.get(), view_port.client_height().unsigned_abs());
            markup::replace(&body, &tensors::rows(&shown.report.weights, order, range));
        });
        Some(())
    };
    Effect::new(move |_| {
        draw();
    });
    // What is searched or sorted anew begins at the top.
    Effect::new(move |_| {
        search.track();
        sorted.track();
        if let Some(view_port) = view_port.get() {
            view_port.set_scroll_top(0);
        }
    });
    let scrolled = move |event: web_sys::Event| {
        let target = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok());
        top.set(target.map_or(0, |target| target.scroll_top().unsigned_abs()));
    };
    let head = move |(column, title): (Column, &'static str)| view! { <Head sorted column title /> };
    view! {
        <section aria-labelledby="weights">
            <h2 id="weights">"Weights"</h2>
            <div class="search">
                <label for="search">"Search"</label>
                <input
                    id="search"
                    class="field"
                    type="search"
                    autocomplete="off"
                    on:input=move |event| search.set(event_target_value(&event))
                />
                <p class="small" role="status">
                    {move || format!("{} of {}", words::count(order.with(Vec::len) as u64), words::plural(total as u64, "weight"))}
                </p>
            </div>
            <div node_ref=view_port class="weights" tabindex="0" role="region" aria-label="Weights, table" on:scroll=scrolled>
                <table class="numbers" aria-rowcount=(total + 1).to_string()>
                    <thead>
                        <tr>{Column::SHOWN.map(head).into_iter().collect_view()}</tr>
                    </thead>
                    <tbody></tbody>
                </table>
            </div>
        </section>
    }
}

/// A heading that sorts: first one way, then the other, then as stored.
#[component]
fn Head(sorted: RwSignal<(Column, bool)>, column: Column, title: &'static str) -> impl IntoView {
    let state = move || match sorted.get() {
        (sorted, false) if sorted == column => ["ascending", "▲"],
        (sorted, true) if sorted == column => ["descending", "▼"],
        _ => ["none", ""],
    };
    let click = move |_| {
        sorted.update(|sorted| {
            *sorted = match *sorted {
                (now, false) if now == column => (column, true),
                (now, true) if now == column => (Column::Order, false),
                _ => (column, false),
            }
        });
    };
    view! {
        <th scope="col" aria-sort=move || state()[0].to_owned()>
            <button type="button" class="sort" on:click=click>
                {title}
                <span aria-hidden="true">{move || state()[1].to_owned()}</span>
            </button>
        </th>
    }
}
