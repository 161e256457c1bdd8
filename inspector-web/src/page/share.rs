//! A link that carries the report.

use bitgauge_core::report::words;
use std::sync::Arc;

use bitgauge_core::report::link::{Detail, encode};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::HtmlInputElement;

use super::session::Shown;

/// Longest message that a Discord chat takes.
const MESSAGE_CHARACTERS: usize = 2_000;

/// The link in a field, and a button that copies it.
#[component]
pub fn Share(shown: Arc<Shown>) -> impl IntoView {
    let copied = RwSignal::new(false);
    let is_full = RwSignal::new(true);
    let link = Arc::new(move || {
        let detail = if is_full.get() { Detail::Full } else { Detail::Summary };
        format!("{}#{}", address(), encode(&shown.report, detail))
    });
    let length = Arc::clone(&link);
    let copy = move |_| {
        if let Some(field) = document().get_element_by_id("share") {
            copy_text(field.unchecked_ref(), copied);
        }
    };
    let choice = move |full: bool, label: &'static str| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="detail"
                    prop:checked=move || is_full.get() == full
                    on:change=move |_| {
                        copied.set(false);
                        is_full.set(full);
                    }
                />
                <span>{label}</span>
            </label>
        }
    };
    view! {
        <div class="share">
            <label for="share">"Link with the report inside"</label>
            <div class="share__row">
                <input id="share" class="field mono" readonly=true prop:value=move || link() />
                <button type="button" class="button" on:click=copy>"Copy link"</button>
            </div>
            <div class="share__row">
                <fieldset class="choices">
                    <legend class="hidden">"How much the link carries"</legend>
                    {choice(true, "with figures by layer")}
                    {choice(false, "short")}
                </fieldset>
                <p class="share__words" role="status">
                    {move || {
                        let length = length().chars().count();
                        let fits = if length > MESSAGE_CHARACTERS { ", more than one Discord message holds" } else { "" };
                        let copied = if copied.get() { "Copied. " } else { "" };
                        format!("{copied}{} characters{fits}.", words::count(length as u64))
                    }}
                </p>
            </div>
            <p class="share__words">
                "The report is in the link itself, after #. Browsers do not send that part to any server."
            </p>
        </div>
    }
}

/// The address of the page that shows links: this one without its fragment, or its neighbour.
fn address() -> String {
    let href = window().location().href().unwrap_or_default();
    let page = href.split('#').next().unwrap_or_default();
    page.strip_suffix("url.html").unwrap_or(page).to_owned()
}

/// Copies what the field holds. Where the page may not, the text is left selected for the user to.
pub fn copy_text(field: &HtmlInputElement, copied: RwSignal<bool>) {
    field.select();
    if !window().is_secure_context() {
        return;
    }
    let write = window().navigator().clipboard().write_text(&field.value());
    wasm_bindgen_futures::spawn_local(async move {
        copied.set(JsFuture::from(write).await.is_ok());
    });
}
