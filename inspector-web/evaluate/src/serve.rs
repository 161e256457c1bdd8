//! The worker's side of the messages.

use bitgauge_core::json::{self, FromJson};
use bitgauge_core::{Error, ErrorKind, Result};
use inspector_web::protocol::measuring::{Measure, Measuring};
use js_sys::{Array, Uint32Array};
use wasm_bindgen::prelude::*;
use web_sys::{File, MessageEvent};

use crate::events::{scope, send};
use crate::measure::measure;

/// Takes what is to be measured from now on.
pub fn serve() {
    let handler = Closure::<dyn FnMut(MessageEvent)>::new(|message: MessageEvent| {
        // `[measure, files, documents]`; anything else is the start-up message.
        let Some(parts) = message.data().dyn_into::<Array>().ok() else { return };
        wasm_bindgen_futures::spawn_local(async move {
            if let Err(error) = answer(&parts).await {
                send(&Measuring::Failed(error));
            }
        });
    });
    let listened = scope().add_event_listener_with_callback("message", handler.as_ref().unchecked_ref());
    if listened.is_ok() {
        handler.forget();
    }
}

async fn answer(parts: &Array) -> Result<()> {
    let text = parts.get(0).as_string().unwrap_or_default();
    let request = json::parse(text.as_bytes()).and_then(Measure::from_json).map_err(|found| {
        Error::new(ErrorKind::Malformed, "the page asks for something else than a measurement")
            .expected_found("a message of this version of the page", found)
            .hint("reload the page")
    })?;
    let files: Vec<File> = items(parts, 1).map(JsCast::unchecked_into).collect();
    let documents: Vec<Vec<u32>> =
        items(parts, 2).map(|ids| ids.unchecked_into::<Uint32Array>().to_vec()).collect();
    measure(&request, files, &documents).await
}

/// The items of an array in the message.
fn items(parts: &Array, index: u32) -> impl Iterator<Item = JsValue> + use<> {
    let list = parts.get(index).dyn_into::<Array>().unwrap_or_default();
    list.to_vec().into_iter()
}
