//! How a file gets in: two buttons, and a zone to drop it on.

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, HtmlInputElement};

use super::picked::Picked;
use super::session::Session;

/// The buttons and the drop zone.
#[component]
pub fn Open(session: Session) -> impl IntoView {
    let over = RwSignal::new(false);
    let dropped = move |event: DragEvent| {
        event.prevent_default();
        over.set(false);
        let Some(transfer) = event.data_transfer() else { return };
        wasm_bindgen_futures::spawn_local(async move {
            if let Ok(Some(picked)) = Picked::from_drop(transfer).await {
                session.open(picked);
            }
        });
    };
    let drag_over = move |event: DragEvent| {
        event.prevent_default();
        over.set(true);
    };
    view! {
        <section
            class="open"
            class:open--over=move || over.get()
            aria-label="Open an artifact"
            on:dragover=drag_over
            on:dragleave=move |_| over.set(false)
            on:drop=dropped
        >
            <div class="open__buttons">
                <Picker session id="pick-files" label="Choose files…" folder=false />
                <Picker session id="pick-folder" label="Choose a folder…" folder=true />
            </div>
            <p class="open__hint">
                "or drop it here: a " <code>".zip"</code> ", a " <code>".safetensors"</code>
                ", all shards with config.json, or the model’s folder. Nothing is uploaded."
            </p>
        </section>
    }
}

/// A button that opens the browser's file dialog. The input stays in the page, so that a label,
/// the keyboard and a screen reader all find it.
#[component]
fn Picker(session: Session, id: &'static str, label: &'static str, folder: bool) -> impl IntoView {
    let changed = move |event: web_sys::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else {
            return;
        };
        let picked = input.files().and_then(|list| Picked::from_list(&list));
        // So that the same file can be chosen again.
        input.set_value("");
        if let Some(picked) = picked {
            session.open(picked);
        }
    };
    view! {
        <span class="picker">
            <input
                id=id
                class="picker__input"
                type="file"
                multiple=true
                prop:webkitdirectory=folder
                on:change=changed
            />
            <label class="button" class:button--quiet=folder for=id>{label}</label>
        </span>
    }
}
