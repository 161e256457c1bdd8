//! Workers in a ring that share one reading of a file, each in a thread of its own.
//!
//! The worker that inspects sends what it reads once round: first an array with what each of the others is to
//! hash, then the bytes, a `Uint8Array` at a time, then an array into which each puts what it found. Every other
//! worker takes from the one before it and passes on to the one behind. So the buffers come back to the first,
//! few of them serve a whole file, and no worker runs ahead of the others by more than those.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use bitgauge_core::scan::RangeHashes;
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{Array, ArrayBuffer, Function, Promise, Uint8Array};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{MessageEvent, MessagePort};

use super::PIECE_BYTES;

/// Buffers that go round: one for each worker, and as many that wait.
const BUFFERS: usize = 6;

/// One worker's place in the ring.
pub struct Ring {
    arrived: Rc<RefCell<Arrived>>,
    /// To the worker behind.
    to: MessagePort,
}

/// What came from the worker before, and has not been taken.
#[derive(Default)]
struct Arrived {
    messages: VecDeque<JsValue>,
    /// Hands the next message to who waits for it.
    waiting: Option<Function>,
}

impl Arrived {
    fn put(&mut self, message: JsValue) {
        match self.waiting.take() {
            Some(resolve) => drop(resolve.call1(&JsValue::NULL, &message)),
            None => self.messages.push_back(message),
        }
    }
}

impl Ring {
    /// Takes what comes through `from` from now on.
    pub fn new(from: &MessagePort, to: MessagePort) -> Self {
        let arrived = Rc::new(RefCell::new(Arrived::default()));
        let inbox = arrived.clone();
        let on_message = Closure::<dyn FnMut(MessageEvent)>::new(move |message: MessageEvent| {
            inbox.borrow_mut().put(message.data());
        });
        from.set_onmessage(Some(on_message.as_ref().unchecked_ref()));
        on_message.forget();
        Self { arrived, to }
    }

    /// The next message, when it has come.
    async fn take(&self) -> JsValue {
        let next = self.arrived.borrow_mut().messages.pop_front();
        if let Some(message) = next {
            return message;
        }
        let promise = Promise::new(&mut |resolve, _| self.arrived.borrow_mut().waiting = Some(resolve));
        // It never rejects.
        JsFuture::from(promise).await.unwrap_or_default()
    }

    /// For the worker that inspects: a buffer that has come round, when there is one.
    pub async fn buffer(&self) -> ArrayBuffer {
        self.take().await.unchecked_into::<Uint8Array>().buffer().unchecked_into()
    }

    /// Passes bytes on, and their buffer with them.
    pub fn pass(&self, bytes: &Uint8Array) {
        // Bytes and buffers can always be sent.
        drop(self.to.post_message_with_transferable(bytes, &Array::of1(&bytes.buffer())));
    }

    fn pass_list(&self, list: &Array) {
        // So can lists of numbers and texts.
        drop(self.to.post_message(list));
    }

    /// For the worker that inspects: has the others hash these ranges, a list for each of them, and makes the buffers.
    pub async fn begin(&self, jobs: &[Vec<(u64, u64)>]) {
        let number = |offset: u64| JsValue::from_f64(offset as f64);
        let list = |job: &Vec<(u64, u64)>| -> Array {
            job.iter().flat_map(|&(start, end)| [start, end]).map(number).collect()
        };
        self.pass_list(&jobs.iter().map(list).collect());
        self.take().await;
        self.stock(BUFFERS);
    }

    /// Makes buffers, as if they had come round.
    pub fn stock(&self, buffers: usize) {
        let mut arrived = self.arrived.borrow_mut();
        (0..buffers).for_each(|_| arrived.put(Uint8Array::new_with_length(PIECE_BYTES).into()));
    }

    /// For the worker that inspects: there are no more bytes. Gives what the others found, a list each.
    pub async fn finish<const N: usize>(&self) -> Result<[Vec<String>; N]> {
        self.pass_list(&Array::new());
        let lists = loop {
            // The buffers come first.
            if let Ok(lists) = self.take().await.dyn_into::<Array>() {
                break lists;
            }
        };
        let texts = |list: JsValue| {
            list.unchecked_into::<Array>().iter().filter_map(|text| text.as_string()).collect()
        };
        let lists: Vec<Vec<String>> = lists.iter().map(texts).collect();
        let found = lists.len();
        lists.try_into().map_err(|_| {
            Error::new(ErrorKind::Io, "not every worker hashed")
                .expected_found(N, found)
                .hint("reload the page")
        })
    }

    /// For the other workers: hashes what the first message asks for.
    pub async fn hash(self) {
        let jobs: Array = self.take().await.unchecked_into();
        let job: Vec<f64> =
            jobs.shift().unchecked_into::<Array>().iter().filter_map(|offset| offset.as_f64()).collect();
        // Whole numbers, as they were sent.
        let mut hashes =
            RangeHashes::new(job.chunks_exact(2).map(|range| (range[0] as u64, range[1] as u64)));
        self.pass_list(&jobs);
        let mut piece = vec![0; PIECE_BYTES as usize];
        loop {
            match self.take().await.dyn_into::<Uint8Array>() {
                Ok(bytes) => {
                    piece.resize(bytes.length() as usize, 0);
                    bytes.copy_to(&mut piece);
                    self.pass(&bytes);
                    hashes.push(&piece);
                }
                Err(found) => {
                    let found: Array = found.unchecked_into();
                    let texts: Array = hashes.finish().into_iter().map(JsValue::from).collect();
                    found.push(&texts);
                    return self.pass_list(&found);
                }
            }
        }
    }
}
