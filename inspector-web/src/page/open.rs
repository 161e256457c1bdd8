//! How a file gets in: two buttons, an example, or a drop anywhere on the page.

use bitgauge_core::{Error, ErrorKind};
use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, HtmlInputElement, Response};

use super::drop::{Dropped, anywhere};
use super::picked::{Arranged, Picked};
use crate::accident;

/// The example that lies beside the page, and what it is called here.
const EXAMPLE: (&str, &str) = ("./example.zip", "demo.zip");

/// The buttons and the drop zone; the whole page is one.
#[component]
pub fn Open(picked: Callback<Dropped>) -> impl IntoView {
    let over = RwSignal::new(false);
    anywhere(over, picked);
    let example = move |_| {
        wasm_bindgen_futures::spawn_local(async move {
            let file = example().await.map(|file| Arranged::One(Picked::of_file(file)));
            picked.run((file, None));
        });
    };
    view! {
        <section class="open" class:open--over=move || over.get() aria-label="Open an artifact">
            <div class="open__buttons">
                <Picker id="pick-files" label="Choose files…" folder=false picked />
                <Picker id="pick-folder" label="Choose a folder…" folder=true picked />
                <button type="button" class="button button--quiet" on:click=example>"Try the demo (2.5 MB)"</button>
            </div>
            <p class="open__hint">
                "or drop it anywhere on this page: a .zip, .tar, .tar.gz, .tar.bz2, .tar.xz, .tar.lzma, .safetensors or .gguf "
                "file, all shards with config.json, the model’s folder, a proxy’s JSON artifact, or a saved report. Two "
                "artifacts are compared, an artifact is checked against its report, a layout (.toml) says how an artifact’s own "
                "packing is read. Nothing is uploaded."
            </p>
        </section>
    }
}

async fn example() -> Result<File, Error> {
    let fetched = async {
        let response: Response = JsFuture::from(window().fetch_with_str(EXAMPLE.0)).await?.unchecked_into();
        if !response.ok() {
            return Err(response.status_text().into());
        }
        let blob = JsFuture::from(response.blob()?).await?;
        File::new_with_blob_sequence(&Array::of1(&blob), EXAMPLE.1)
    };
    fetched.await.map_err(|_: JsValue| {
        Error::new(ErrorKind::Io, "the demo could not be fetched")
            .within(EXAMPLE.0)
            .hint("it is not kept for use without a network: try again with one")
    })
}

/// A button that opens the browser's file dialog. The input stays in the page, so that a label,
/// the keyboard and a screen reader all find it.
#[component]
pub fn Picker(
    #[prop(into)] id: String,
    label: &'static str,
    folder: bool,
    picked: Callback<Dropped>,
) -> impl IntoView {
    let changed = move |event: web_sys::Event| {
        let Some(input) = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok()) else {
            return;
        };
        let files = input.files().map_or_else(Vec::new, |list| Picked::from_list(&list));
        // So that the same file can be chosen again.
        input.set_value("");
        if folder && files.is_empty() {
            return picked.run((Err(accident::no_files("the folder that you chose")), None));
        }
        wasm_bindgen_futures::spawn_local(async move {
            let arranged = Picked::arranged(files).await.transpose();
            arranged.into_iter().for_each(|arranged| picked.run((arranged, None)));
        });
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
