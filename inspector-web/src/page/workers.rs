//! The workers of the page: how they are started, spoken to and heard.

use bitgauge_core::{Error, ErrorKind};
use js_sys::{Array, Function, Reflect};
use serde::Serialize;
use wasm_bindgen::prelude::*;
use web_sys::{MessageEvent, Worker};

/// Which WebAssembly module a worker runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Module {
    /// That which judges.
    Usual,
    /// The same for rarer formats.
    Formats,
    /// That which tokenizes.
    Tokenize,
    /// That which tokenizes with tokenizers of other kinds.
    Library,
    /// That which measures a perplexity.
    Evaluate,
}

impl Module {
    /// Its place in boot.js's list.
    fn number(self) -> u32 {
        match self {
            Self::Usual => 0,
            Self::Formats => 1,
            Self::Evaluate => 2,
            Self::Tokenize => 3,
            Self::Library => 4,
        }
    }
}

/// What a worker is sent: a request as JSON text, what travels beside it, and what of that leaves the page.
pub struct Message {
    /// All parts, the text first.
    parts: Array,
    transfer: Array,
}

impl Message {
    /// A request with these parts beside it.
    pub fn new(request: &impl Serialize, parts: &[Array]) -> Self {
        let text = serde_json::to_string(request).unwrap_or_default();
        let all = Array::of1(&text.into());
        for part in parts {
            all.push(part);
        }
        Self { parts: all, transfer: Array::new() }
    }

    /// The same with these ports, which leave the page, as last parts.
    pub fn with_ports(mut self, ports: Array) -> Self {
        self.parts = self.parts.concat(&ports);
        self.transfer = ports;
        self
    }

    /// Sends it. Text, files, bytes and ports can always be sent.
    pub fn post(self, worker: &Worker) {
        drop(worker.post_message_with_transfer(&self.parts, &self.transfer));
    }
}

/// An event of a worker as JSON text, with what came beside it; or what the browser said when the worker ended.
pub type Heard = Result<(String, Array), String>;

/// Starts a worker, sends it a first message when it is there, and hands on what it says. boot.js knows the modules.
pub fn start(
    module: Module,
    first: Message,
    mut hear: impl FnMut(Heard) + Clone + 'static,
) -> Result<Worker, Error> {
    let start = Reflect::get(&js_sys::global(), &"startInspectorWorker".into());
    let worker = start
        .and_then(|start| start.unchecked_into::<Function>().call1(&JsValue::NULL, &module.number().into()));
    let worker: Worker = worker.map_err(|error| broken(said(&error)))?.unchecked_into();
    let mut hear_end = hear.clone();
    let (to, mut first) = (worker.clone(), Some(first));
    let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
        if let Some(first) = first.take() {
            return first.post(&to);
        }
        let data = message.data();
        let parts = data.dyn_ref::<Array>();
        let text = parts.map_or_else(|| data.as_string(), |parts| parts.get(0).as_string());
        let beside: Array =
            parts.map(|parts| parts.get(1)).and_then(|part| part.dyn_into().ok()).unwrap_or_default();
        text.into_iter().for_each(|text| hear(Ok((text, beside.clone()))));
    });
    worker.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
    on_message.forget();
    let on_error = Closure::<dyn FnMut(JsValue)>::new(move |event: JsValue| hear_end(Err(said(&event))));
    worker.set_onerror(Some(on_error.as_ref().unchecked_ref()));
    on_error.forget();
    Ok(worker)
}

/// The error for a worker that did not answer as it should; the browser said so.
pub fn broken(said: String) -> Error {
    Error::new(ErrorKind::Io, "the inspection broke off")
        .expected_found("an answer of the page's worker", said)
        .hint("reload the page; if it happens again, please report the file's structure as a bug")
}

/// The words of a JavaScript error, or of the event of one.
fn said(error: &JsValue) -> String {
    let message = Reflect::get(error, &"message".into()).ok();
    message.and_then(|message| message.as_string()).unwrap_or_default()
}
