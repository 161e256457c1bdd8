//! What the page is told.

use inspector_web::protocol::measuring::Measuring;
use wasm_bindgen::prelude::*;
use web_sys::DedicatedWorkerGlobalScope;

/// The worker itself.
pub fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Sends an event to the page. It is made of text and numbers, so it can be sent.
pub fn send(event: &Measuring) {
    if let Ok(text) = serde_json::to_string(event) {
        drop(scope().post_message(&JsValue::from_str(&text)));
    }
}
