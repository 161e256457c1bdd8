//! How a file gets in: two buttons, and a zone to drop it on.

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, HtmlInputElement};

use super::picked::Picked;

/// The buttons and the drop zone.
#[component]
pub fn Open(#[prop(into)] picked: Callback<Picked>) -> impl IntoView {
    let over = RwSignal::new(false);
    let dropped = move |event: DragEvent| {
        event.prevent_default();
        over.set(false);
        let Some(transfer) = event.data_transfer() else { return };
        wasm_bindgen_futures::spawn_local(async move {
            if let Ok(Some(files)) = Picked::from_drop(transfer).await {
                picked.run(files);
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
                <Picker id="pick-files" label="Choose files…" folder=false picked />
                <Picker id="pick-folder" label="Choose a folder…" folder=true picked />
            </div>
            <p class="open__hint">
                "or drop it here: a .zip, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.lzma, .safetensors or .gguf file, all shards "
                "with config.json, the model’s folder, a proxy’s JSON artifact, or a saved report. Nothing is uploaded."
            </p>
        </section>
    }
}

/// A button that opens the browser's file dialog. The input stays in the page, so that a label,
/// the keyboard and a screen reader all find it.
#[component]
pub fn Picker(
    #[prop(into)] id: String,
    label: &'static str,
    folder: bool,
    picked: Callback<Picked>,
) -> impl IntoView {
    let changed = move |event: web_sys::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else {
            return;
        };
        let files = input.files().and_then(|list| Picked::from_list(&list));
        // So that the same file can be chosen again.
        input.set_value("");
        if let Some(files) = files {
            picked.run(files);
        }
    };
    view! {
        <span class="picker">
            <input
                id=id.clone()
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
