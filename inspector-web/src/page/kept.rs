//! Results that survive a reload and the way back: they stay in the tab's own storage until it is closed or they are
//! cleared. No other page and no server sees them.

use bitgauge_core::json::{self, FromJson};
use leptos::prelude::window;
use web_sys::Storage;

fn storage() -> Option<Storage> {
    window().session_storage().ok().flatten()
}

/// What a result belongs to: a place on the page, and what the page's address carries.
fn fragment() -> String {
    window().location().hash().unwrap_or_default()
}

/// Keeps a result. What is too large for the browser's limit is not kept.
pub fn keep(place: &str, json: &str, config: Option<&str>) {
    if let (Some(storage), Ok(text)) = (storage(), serde_json::to_string(&(fragment(), json, config))) {
        drop(storage.set_item(place, &text));
    }
}

/// The report's JSON and the text of config.json that were kept for this place and this address of the page.
pub fn kept(place: &str) -> Option<(String, Option<String>)> {
    let text = storage()?.get_item(place).ok()??;
    let parts = json::parse(text.as_bytes()).ok()?;
    let [of, json, config] = parts.as_array()?.as_slice() else { return None };
    if of.as_str() != Some(&fragment()) {
        return None;
    }
    Some((json.as_str()?.to_owned(), Option::from_json(config.clone()).ok()?))
}

/// Clears what was kept for a place.
pub fn forget(place: &str) {
    storage().into_iter().for_each(|storage| drop(storage.remove_item(place)));
}
