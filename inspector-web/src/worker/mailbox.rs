//! One end of a line between two workers that share one reading of a file.
//!
//! The worker that reads sends what it read, a `Uint8Array` at a time and `null` at the end. The other
//! sends each buffer back once it has copied the bytes, so that a few buffers serve a whole file and
//! neither worker runs ahead of the other by more than those.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use js_sys::{Array, ArrayBuffer, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, MessagePort};

/// What came through a port and has not been taken.
pub struct Mailbox {
    port: MessagePort,
    arrived: Rc<RefCell<Arrived>>,
}

#[derive(Default)]
struct Arrived {
    messages: VecDeque<JsValue>,
    /// Hands the next message to who waits for it.
    waiting: Option<Function>,
}

impl Mailbox {
    /// Takes what comes through `port` from now on.
    pub fn new(port: MessagePort) -> Self {
        let arrived = Rc::new(RefCell::new(Arrived::default()));
        let inbox = arrived.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            inbox.borrow_mut().put(message.data());
        });
        port.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        on_message.forget();
        Self { port, arrived }
    }

    /// Puts buffers into this end, as if the other had sent them back.
    pub fn stock(&self, buffers: impl IntoIterator<Item = ArrayBuffer>) {
        let mut arrived = self.arrived.borrow_mut();
        buffers.into_iter().for_each(|buffer| arrived.put(buffer.into()));
    }

    /// The next message, when it has come.
    pub async fn take(&self) -> JsValue {
        let next = self.arrived.borrow_mut().messages.pop_front();
        if let Some(message) = next {
            return message;
        }
        let promise = Promise::new(&mut |resolve, _| self.arrived.borrow_mut().waiting = Some(resolve));
        // It never rejects.
        JsFuture::from(promise).await.unwrap_or_default()
    }

    /// Sends bytes to the other end, and their buffer with them.
    pub fn send(&self, bytes: &Uint8Array) {
        self.post(bytes, &bytes.buffer());
    }

    /// Sends a buffer back to where it came from.
    pub fn send_back(&self, buffer: &JsValue) {
        self.post(buffer, buffer);
    }

    /// Tells the other end that there are no more bytes.
    pub fn end(&self) {
        drop(self.port.post_message(&JsValue::NULL));
    }

    fn post(&self, message: &JsValue, buffer: &JsValue) {
        // Bytes and buffers can always be sent.
        drop(self.port.post_message_with_transferable(message, &Array::of1(buffer)));
    }
}

impl Arrived {
    fn put(&mut self, message: JsValue) {
        match self.waiting.take() {
            Some(resolve) => drop(resolve.call1(&JsValue::NULL, &message)),
            None => self.messages.push_back(message),
        }
    }
}
