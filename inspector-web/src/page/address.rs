//! Files on another host: their address, and a button that names the host.

use bitgauge_core::hub::{HUB, HubAddress, ListedFile};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::Url;

use super::hub;
use super::markup::live;
use super::session::Session;
use crate::address::{Look, is_allowed};
use crate::markup::element;
use crate::protocol::RemoteFile;

/// What an address names.
enum Target {
    /// A file by its own address.
    File { url: String, host: String, name: String },
    /// A place in a repository.
    Hub { place: HubAddress, host: String },
}

impl Target {
    fn host(&self) -> &str {
        match self {
            Self::File { host, .. } | Self::Hub { host, .. } => host,
        }
    }

    /// What else there is to say of it.
    fn words(&self) -> Option<String> {
        match self {
            Self::Hub { place, .. } if place.stands_alone() => {
                Some(format!("One file of {}: {}", place.repository, place.file_url(&place.path)))
            }
            Self::Hub { place, .. } => {
                let folder = place.folder();
                let inside = if folder.is_empty() { String::new() } else { format!(", folder {folder}") };
                Some(format!(
                    "The model in {}{inside}, revision {}: its files are listed, then their headers are read.",
                    place.repository, place.revision
                ))
            }
            Self::File { .. } => None,
        }
    }
}

/// A field for the address. Nothing is sent before the click on the button, or before a link to a look is opened.
#[component]
pub fn Address(session: Session) -> impl IntoView {
    let look = in_address();
    let given = RwSignal::new(look.as_ref().map(|look| look.address.clone()).unwrap_or_default());
    let target = move || parse(given.get().trim());
    let host = move || target().ok().map(|target| target.host().to_owned());
    let connect = move || {
        if let Ok(target) = untrack(target) {
            remember(given.get_untracked().trim());
            fetch(session, target);
        }
    };
    if look.is_some_and(|look| look.at_once) && !session.restore() {
        connect();
    }
    follow(move |look| {
        // The page's own doing otherwise.
        if given.get_untracked().trim() != look.address {
            given.set(look.address);
            session.close();
            if look.at_once {
                connect();
            }
        }
    });
    let submit = move |event: web_sys::SubmitEvent| {
        event.prevent_default();
        connect();
    };
    let words = move || {
        let words = match target() {
            Err(why) => Some(why.to_owned()),
            Ok(target) => target.words(),
        };
        words.map(|words| element("p").class("open__hint").text(&words)).into_iter().collect()
    };
    view! {
        <form class="open" aria-label="Open an address" on:submit=submit>
            <label for="address">"Address of a model repository or a file"</label>
            <div class="share__row">
                <input
                    id="address"
                    class="field mono"
                    type="text"
                    inputmode="url"
                    autocomplete="off"
                    spellcheck="false"
                    placeholder="https://huggingface.co/OWNER/MODEL"
                    prop:value=move || given.get()
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

/// The look that this page's own address asks for.
fn in_address() -> Option<Look> {
    let location = window().location();
    let mut look = Look::parse(&location.hash().ok()?)?;
    // This machine's own servers are not asked because of a link from elsewhere.
    let is_far = |address: &str| Url::new(address).map_or(true, |url| url.protocol() != "http:");
    let is_here = location.protocol().is_ok_and(|protocol| protocol == "http:");
    look.at_once &= is_far(&look.address) || is_here;
    Some(look)
}

/// Calls when the fragment changes to another look, as by the button that leads back.
fn follow(changed: impl Fn(Look) + 'static) {
    let listener = Closure::<dyn FnMut()>::new(move || in_address().into_iter().for_each(&changed));
    window().set_onhashchange(Some(listener.as_ref().unchecked_ref()));
    listener.forget();
}

/// Puts the look into this page's address, so that it can be shared and come back to.
fn remember(address: &str) {
    drop(window().location().set_hash(&Look::fragment(address)));
}

fn parse(given: &str) -> Result<Target, &'static str> {
    if given.is_empty() {
        return Err(
            "A repository of Hugging Face (also hf://OWNER/MODEL), a folder, shard or file in it, or a .zip, \
                    .safetensors or .gguf file on any host that allows other pages to read it.",
        );
    }
    let checked = |text: &str| -> Result<Url, &'static str> {
        let url = Url::new(text).map_err(|_| "That is not a complete address: start with https://")?;
        if !is_allowed(&url.protocol(), &url.hostname()) {
            return Err("Only https:// is opened.");
        }
        if !url.username().is_empty() || !url.password().is_empty() {
            return Err("An address with a password is not opened.");
        }
        Ok(url)
    };
    match HubAddress::parse(given, HUB) {
        Err(_) => return Err("The address names no repository: hf://OWNER/MODEL, or copy that of its page."),
        Ok(Some(place)) => {
            let host = checked(&place.endpoint)?.host();
            return Ok(Target::Hub { place, host });
        }
        Ok(None) => {}
    }
    let url = checked(given)?;
    url.set_hash("");
    let path = url.pathname();
    let last = path.rsplit('/').find(|part| !part.is_empty()).unwrap_or("file");
    let name = js_sys::decode_uri_component(last).map_or_else(|_| last.to_owned(), String::from);
    Ok(Target::File { url: url.href(), host: url.host(), name })
}

/// Looks at it. What is only a part of a model is looked at with its neighbours, where the host lists them.
fn fetch(session: Session, target: Target) {
    let alone = move |name: String, url: String| {
        let file = RemoteFile { path: name.clone(), url, bytes: None };
        session.fetch(name, false, vec![file], hub::Taken::default());
    };
    let place = match target {
        Target::File { url, name, .. } => return alone(name, url),
        Target::Hub { place, .. } if place.stands_alone() => {
            return alone(place.name().to_owned(), place.file_url(&place.path));
        }
        Target::Hub { place, .. } => place,
    };
    let inspection = session.wait(place.name().to_owned());
    wasm_bindgen_futures::spawn_local(async move {
        let listed = hub::list(&place).await;
        // Another look has begun meanwhile.
        if !session.is_at(inspection) {
            return;
        }
        match listed.and_then(|(files, taken)| Ok((place.choose(files)?, taken))) {
            Ok((chosen, taken)) => {
                let file = |file: &ListedFile| {
                    // The hub leads from a text's address to another of its own.
                    let path = &file.path;
                    let url = if file.is_short_text() { place.text_url(path) } else { place.file_url(path) };
                    RemoteFile { path: chosen.inner(file).to_owned(), url, bytes: Some(file.bytes) }
                };
                let files = chosen.files.iter().map(file).collect();
                session.fetch(chosen.name.clone(), chosen.is_folder, files, taken);
            }
            // A host that only looks like a hub.
            Err(_) if place.is_file && place.endpoint != HUB => {
                alone(place.name().to_owned(), place.file_url(&place.path));
            }
            Err(error) => session.fail(error.within(&place.repository)),
        }
    });
}
