//! The hashes, a button that copies each, and a field to hold a published one against.

use std::iter;
use std::sync::Arc;

use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::markup::live;
use super::session::{Session, Shown, Stage};
use crate::markup::{element, section};
use crate::sections::hashes;

/// SHA-256 of the artifact and of each file in it, once every byte was read; of each tensor, when asked for.
#[component]
pub fn Hashes(session: Session, shown: Arc<Shown>) -> impl IntoView {
    if hashes::known(&shown.report).is_empty() {
        return live(move || {
            let words = match session.stage.get().is_busy() {
                true => "They follow when every byte has been read.",
                false => "Not every byte was read.",
            };
            vec![section("hashes", "Hashes").child(element("p").text(words))]
        });
    }
    let list = hashes::list(&shown.report);
    let tensors = hashes::tensors(&shown.report);
    // A proxy's artifact has no files and so no tensors.
    let can_hash = tensors.is_none() && !shown.report.artifact.members.is_empty();
    let published = RwSignal::new(String::new());
    let outcome = move || {
        let (class, words) = match hashes::compare(&shown.report, &published.get()) {
            None => ("outcome", String::new()),
            Some(Ok(words)) => ("outcome outcome--good", format!("✓ {words}")),
            Some(Err(words)) => ("outcome outcome--bad", format!("✗ {words}")),
        };
        vec![element("p").class(class).text(&words)]
    };
    view! {
        <section aria-labelledby="hashes">
            <h2 id="hashes">"Hashes"</h2>
            <label for="published">"Compare with a published SHA-256"</label>
            <input
                id="published"
                class="field mono"
                autocomplete="off"
                spellcheck="false"
                on:input=move |event| published.set(event_target_value(&event))
            />
            <div role="status">{live(outcome)}</div>
            <div on:click=copy>{live(move || iter::once(&list).chain(&tensors).cloned().collect())}</div>
            {can_hash.then(|| view! {
                <button
                    type="button"
                    class="button button--quiet button--small"
                    disabled=move || session.stage.get() != Stage::Done
                    on:click=move |_| session.read_all(true)
                >
                    "Hash each tensor"
                </button>
            }.into_any())}
        </section>
    }
    .into_any()
}

/// One listener for all buttons: each carries what it copies.
fn copy(event: web_sys::MouseEvent) {
    let Some(button) = event.target().and_then(|target| target.dyn_into::<web_sys::Element>().ok()) else {
        return;
    };
    let Some(hash) = button.get_attribute("data-copy") else { return };
    if !window().is_secure_context() {
        return;
    }
    let write = window().navigator().clipboard().write_text(&hash);
    wasm_bindgen_futures::spawn_local(async move {
        let copied = wasm_bindgen_futures::JsFuture::from(write).await.is_ok();
        button.set_text_content(Some(if copied { "Copied" } else { "Select it by hand" }));
    });
}
