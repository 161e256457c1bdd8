//! What can be done with a report: save it, share it.

use std::sync::Arc;

use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{Blob, BlobPropertyBag, HtmlAnchorElement, Url};

use super::session::{Session, Shown};
use super::share::Share;

/// The buttons below the verdict.
#[component]
pub fn Actions(session: Session, shown: Arc<Shown>) -> impl IntoView {
    let name = format!("{}.report.json", shown.report.artifact.name);
    let json = Arc::clone(&shown);
    let save = move |_| drop(download(&name, &json.json));
    let done = move || session.stage.get().is_whole();
    let sharing = RwSignal::new(false);
    view! {
        <div class="actions">
            <button
                type="button"
                class="button button--quiet button--small"
                aria-expanded=move || sharing.get().to_string()
                disabled=move || !done()
                on:click=move |_| sharing.update(|sharing| *sharing = !*sharing)
            >
                "Share as a link"
            </button>
            <button type="button" class="button button--quiet button--small" on:click=save>
                {move || format!("Save report{} (JSON)", if done() { "" } else { " so far" })}
            </button>
            <button type="button" class="button button--quiet button--small" on:click=move |_| session.forget()>"Clear"</button>
        </div>
        {move || (done() && sharing.get()).then(|| view! { <Share shown=Arc::clone(&shown) /> }.into_any())}
    }
}

/// Lets the browser save a text as a file.
fn download(name: &str, text: &str) -> Result<(), JsValue> {
    let kind = BlobPropertyBag::new();
    kind.set_type("application/json");
    let blob = Blob::new_with_str_sequence_and_options(&Array::of1(&text.into()), &kind)?;
    let url = Url::create_object_url_with_blob(&blob)?;
    let link: HtmlAnchorElement = document().create_element("a")?.unchecked_into();
    link.set_href(&url);
    link.set_download(name);
    link.click();
    Url::revoke_object_url(&url)
}
