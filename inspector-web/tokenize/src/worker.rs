//! What speaks with the page.

use bitgauge_core::json::{self, FromJson};
use bitgauge_core::{Error, ErrorKind, Result};
use inspector_web::protocol::tokenizing::{Tokenize, Tokenized, Tokenizing};
use js_sys::{Array, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{Blob, DedicatedWorkerGlobalScope, File, MessageEvent};

use crate::{check_bytes, tokenize};

/// Least time between two reports of progress, in milliseconds.
const PROGRESS_MS: f64 = 250.0;

/// Takes a request from now on.
pub fn serve() {
    let handler = Closure::<dyn FnMut(MessageEvent)>::new(|message: MessageEvent| {
        // `[request, tokenizer, files]`; anything else is the start-up message.
        let Some(parts) = message.data().dyn_into::<Array>().ok() else { return };
        let request = parts.get(0).as_string().and_then(|text| json::parse(text.as_bytes()).ok());
        let Some(request) = request.and_then(|value| Tokenize::from_json(value).ok()) else { return };
        let [tokenizer, files] = [1, 2].map(|part| parts.get(part).unchecked_into::<Array>());
        wasm_bindgen_futures::spawn_local(async move {
            match answer(request, &tokenizer, &files).await {
                Ok(Some((said, ids))) => send(&Tokenizing::Tokenized(said), &ids),
                Ok(None) => send(&Tokenizing::OtherKind, &Array::new()),
                Err(error) => send(&Tokenizing::Failed(error), &Array::new()),
            }
        });
    });
    let listened = scope().add_event_listener_with_callback("message", handler.as_ref().unchecked_ref());
    if listened.is_ok() {
        handler.forget();
    }
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Sends an event to the page, and the ids beside it without a copy.
fn send(event: &Tokenizing, ids: &Array) {
    if let Ok(text) = serde_json::to_string(event) {
        let buffers: Array = ids.iter().map(|ids| ids.unchecked_into::<Uint32Array>().buffer()).collect();
        drop(scope().post_message_with_transfer(&Array::of2(&text.into(), ids), &buffers));
    }
}

async fn answer(request: Tokenize, tokenizer: &Array, files: &Array) -> Result<Option<(Tokenized, Array)>> {
    let files: Vec<File> = files.iter().map(JsCast::unchecked_into).collect();
    // Before any of them is read.
    check_bytes(files.iter().map(|file| file.size() as u64).sum())?;
    let mut contents = Vec::new();
    for file in &files {
        contents.push(bytes(file).await.map_err(|_| unreadable().within(file.name()))?);
    }
    let tokenizer = tokenizer.iter().map(|bytes| bytes.unchecked_into::<Uint8Array>().to_vec()).collect();
    let mut last = js_sys::Date::now();
    let progress = &mut |done, total| {
        let now = js_sys::Date::now();
        if now - last >= PROGRESS_MS {
            send(&Tokenizing::Progress { done, total }, &Array::new());
            last = now;
        }
    };
    let Some(tokens) = tokenize(request, tokenizer, contents, progress)? else { return Ok(None) };
    let ids = tokens.ids.iter().map(|ids| JsValue::from(Uint32Array::from(&ids[..]))).collect();
    Ok(Some((tokens.said, ids)))
}

async fn bytes(file: &Blob) -> std::result::Result<Vec<u8>, JsValue> {
    let buffer = JsFuture::from(file.array_buffer()).await?;
    Ok(Uint8Array::new(&buffer).to_vec())
}

fn unreadable() -> Error {
    Error::new(ErrorKind::Io, "the documents can't be read")
        .expected_found("a readable file", "none")
        .hint("it may have been changed or moved: choose it again")
}
