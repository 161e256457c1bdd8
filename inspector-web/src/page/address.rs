//! A file on another host: its address, and a button that names the host.

use leptos::prelude::*;
use web_sys::Url;

use super::markup::live;
use super::session::Session;
use crate::address::{direct_path, is_allowed};
use crate::markup::element;

/// Where a file is.
struct Target {
    url: String,
    host: String,
    name: String,
    /// Whether the address given was that of a page about the file.
    corrected: bool,
}

/// A field for the address. Nothing is sent before the click on the button.
#[component]
pub fn Address(session: Session) -> impl IntoView {
    let given = RwSignal::new(from_fragment().unwrap_or_default());
    let target = move || parse(given.get().trim());
    let host = move || target().ok().map(|target| target.host);
    let connect = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        if let Ok(Target { url, name, .. }) = untrack(target) {
            session.fetch(name, url);
        }
    };
    let words = move || {
        let words = match target() {
            Err(why) => why.to_owned(),
            Ok(target) if target.corrected => {
                format!("That is a page about the file; the file itself is at {}", target.url)
            }
            Ok(_) => return Vec::new(),
        };
        vec![element("p").class("open__hint").text(&words)]
    };
    view! {
        <form class="open" aria-label="Open an address" on:submit=connect>
            <label for="address">"Address of a .zip, .safetensors or .gguf file"</label>
            <div class="share__row">
                <input
                    id="address"
                    class="field mono"
                    type="url"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="https://huggingface.co/OWNER/MODEL/resolve/main/model.zip"
                    prop:value=given.get_untracked()
                    on:input=move |event| given.set(event_target_value(&event))
                />
                <button class="button" disabled=move || host().is_none()>
                    {move || host().map_or_else(|| "Connect".to_owned(), |host| format!("Connect to {host}"))}
                </button>
            </div>
            {live(words)}
        </form>
    }
}

/// `#u=ADDRESS`, which links to this page may carry.
fn from_fragment() -> Option<String> {
    let hash = window().location().hash().ok()?;
    let encoded = hash.strip_prefix("#u=")?.to_owned();
    js_sys::decode_uri_component(&encoded).ok().map(String::from)
}

fn parse(given: &str) -> Result<Target, &'static str> {
    if given.is_empty() {
        return Err("A resolve link of Hugging Face, or any host that allows other pages to read its files.");
    }
    let url = Url::new(given).map_err(|_| "That is not a complete address: start with https://")?;
    if !is_allowed(&url.protocol(), &url.hostname()) {
        return Err("Only https:// is opened.");
    }
    if !url.username().is_empty() || !url.password().is_empty() {
        return Err("An address with a password is not opened.");
    }
    let direct = direct_path(&url.host(), &url.pathname());
    if let Some(path) = &direct {
        url.set_pathname(path);
    }
    url.set_hash("");
    let path = url.pathname();
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("file");
    let name = js_sys::decode_uri_component(last).map_or_else(|_| last.to_owned(), String::from);
    Ok(Target { url: url.href(), host: url.host(), name, corrected: direct.is_some() })
}
