//! The page's side of a measurement: what was chosen, the workers that tokenize and run, and what they said so far.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::{Poll, Waker};

use bitgauge_core::json::{self, FromJson};
use bitgauge_core::report::Evaluation;
use bitgauge_core::{Error, ErrorKind};
use js_sys::{Array, Function, Promise, Reflect};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{File, Response, Worker};

use super::session::{Answer, Session, Stage};
use super::workers::{self, Heard, Message, Module, broken};
use crate::protocol::measuring::{Finished, Measure, Measuring};
use crate::protocol::tokenizing::{Tokenize, Tokenized, Tokenizing};
use crate::protocol::{Event, Request};
use crate::sections::measure::{MAX_TOKENS, Origin, tokens};

/// What the page calls its example, and the documents that lie beside it.
const EXAMPLE: &str = "demo.zip";
const EXAMPLE_DOCUMENTS: &str = "./example-documents.json";

/// Where a measurement stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Phase {
    /// Nothing was begun.
    Idle,
    /// The browser has no WebGPU.
    NoGpu,
    /// What is open is asked how it is to be loaded.
    Preparing,
    /// The documents become token ids.
    Tokenizing {
        /// Documents done.
        done: u64,
        /// Documents in all; 0 while that is not known.
        total: u64,
    },
    /// The worker that measures opens the GPU.
    Opening,
    /// What the files hold compressed is unpacked.
    Unpacking {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The weights go to the GPU.
    Loading {
        /// Bytes done.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The kernels are compared with plain loops.
    Checking {
        /// The kernel at hand.
        kernel: String,
        /// Kernels done.
        done: u64,
        /// Kernels in all.
        total: u64,
    },
    /// The documents run through the model.
    Running {
        /// Token-layers done.
        done: u64,
        /// Token-layers in all.
        total: u64,
        /// Seconds since the first ran.
        seconds: f64,
    },
    /// All documents are measured.
    Finished(Box<Evaluation>),
    /// The user ended it.
    Cancelled,
    /// It can't be measured.
    Failed(Error),
}

impl Phase {
    /// Whether a worker is at work.
    pub fn is_busy(&self) -> bool {
        !matches!(self, Self::Idle | Self::NoGpu | Self::Finished(_) | Self::Cancelled | Self::Failed(_))
    }
}

/// The adapter that was opened.
#[derive(Debug, Clone, PartialEq)]
pub struct Adapter {
    /// What the browser calls it, and what it is.
    pub name: String,
    /// Bytes of the weights.
    pub model_bytes: u64,
    /// Largest buffer that it gives.
    pub buffer_bytes: u64,
}

/// Why a measurement goes no further.
enum Halt {
    /// Another one has begun, or the user ended it.
    Left,
    NoGpu,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

/// One measurement at a time, of what the session has open.
#[derive(Clone, Copy)]
pub struct Measurement {
    /// Where it stands.
    pub phase: RwSignal<Phase>,
    /// Where its documents come from.
    pub origin: RwSignal<Origin>,
    /// The files that were chosen.
    pub files: RwSignal<Vec<File>, LocalStorage>,
    /// The text that was typed.
    pub text: RwSignal<String>,
    /// What the field for the longest document holds.
    pub tokens: RwSignal<String>,
    /// The adapter, once it is open.
    pub adapter: RwSignal<Option<Adapter>>,
    /// The documents that are finished. They outlive a Cancel and a lost device.
    pub finished: RwSignal<Vec<Finished>>,
    /// How many documents there are.
    pub documents: RwSignal<usize>,
    /// Which documents those that are finished are of.
    of: StoredValue<(String, u64)>,
    session: Session,
    worker: StoredValue<Option<Worker>, LocalStorage>,
    /// When the first document began to run.
    began: StoredValue<Option<f64>>,
    /// How many measurements have begun or ended.
    number: StoredValue<u32>,
}

impl Measurement {
    /// None yet. It is forgotten when the session opens something else.
    pub fn new(session: Session) -> Self {
        let measurement = Self {
            phase: RwSignal::new(Phase::Idle),
            origin: RwSignal::new(Origin::Files),
            files: RwSignal::new_local(Vec::new()),
            text: RwSignal::new(String::new()),
            tokens: RwSignal::new(MAX_TOKENS.to_string()),
            adapter: RwSignal::new(None),
            finished: RwSignal::new(Vec::new()),
            documents: RwSignal::new(0),
            of: StoredValue::new(Default::default()),
            session,
            worker: StoredValue::new_local(None),
            began: StoredValue::new(None),
            number: StoredValue::new(0),
        };
        Effect::new(move |_| {
            if matches!(session.stage.get(), Stage::Idle | Stage::Opening) {
                measurement.end(Phase::Idle);
                measurement.finished.set(Vec::new());
                let is_example = session.name.get_untracked() == EXAMPLE;
                measurement.origin.set(if is_example { Origin::Demo } else { Origin::Files });
            }
        });
        measurement
    }

    /// Whether there are documents, and a number of tokens.
    pub fn is_ready(self) -> bool {
        let has_documents = match self.origin.get() {
            Origin::Demo => true,
            Origin::Files => !self.files.read().is_empty(),
            Origin::Text => !self.text.read().trim().is_empty(),
        };
        has_documents && tokens(&self.tokens.read()).is_ok()
    }

    /// The names of the chosen files.
    pub fn names(self) -> Vec<String> {
        self.files.read().iter().map(File::name).collect()
    }

    /// Measures what is open; goes on with the documents that are not finished.
    pub fn start(self) {
        self.end(Phase::Preparing);
        let number = self.number.get_value();
        wasm_bindgen_futures::spawn_local(async move {
            let phase = match self.measure(number).await {
                Ok(()) | Err(Halt::Left) => return,
                Err(Halt::NoGpu) => Phase::NoGpu,
                Err(Halt::Failed(error)) => Phase::Failed(error),
            };
            if self.is_at(number) {
                self.end(phase);
            }
        });
    }

    /// Ends it for the user.
    pub fn cancel(self) {
        self.end(Phase::Cancelled);
    }

    fn end(self, phase: Phase) {
        self.number.update_value(|number| *number += 1);
        self.worker
            .try_update_value(Option::take)
            .flatten()
            .into_iter()
            .for_each(|worker| worker.terminate());
        self.adapter.set(None);
        self.began.set_value(None);
        self.phase.set(phase);
    }

    fn is_at(self, number: u32) -> bool {
        self.number.get_value() == number
    }

    fn expect(self, number: u32) -> Result<(), Halt> {
        if self.is_at(number) { Ok(()) } else { Err(Halt::Left) }
    }

    async fn measure(self, number: u32) -> Result<(), Halt> {
        let left = || Error::new(ErrorKind::Missing, "the files are no longer open").hint("open them again");
        let max_tokens = tokens(&self.tokens.get_untracked()).unwrap_or(MAX_TOKENS);
        if !has_gpu().await {
            return Err(Halt::NoGpu);
        }
        self.expect(number)?;
        let (files_here, away) = self.session.opened().ok_or_else(left)?;
        let (Event::Plan { plan }, _) = ask(self.session, Request::Plan).await? else {
            return Err(Halt::Left);
        };
        self.expect(number)?;
        let (Event::Tokenizer(tokenizer), bytes) = ask(self.session, Request::Tokenizer).await? else {
            return Err(Halt::Left);
        };
        let (names, text, files) = self.documents().await?;
        self.expect(number)?;
        let request = Tokenize { tokenizer, names, text, max_tokens };
        let (said, ids) = self.tokenize(number, request, bytes, files).await?;
        self.expect(number)?;
        let of = (said.documents_sha256.clone(), max_tokens);
        if self.of.try_update_value(|before| std::mem::replace(before, of.clone())) != Some(of) {
            self.finished.set(Vec::new());
        }
        self.documents.set(ids.length() as usize);
        self.phase.set(Phase::Opening);
        let measure = Measure {
            plan,
            max_tokens,
            cut_tokens: Some(said.cut_tokens),
            documents_sha256: said.documents_sha256,
            finished: self.finished.get_untracked(),
            away,
        };
        let files = files_here.into_iter().map(JsValue::from).collect();
        let message = Message::new(&measure, &[files, ids]);
        let note = said.note;
        self.run(number, Module::Evaluate, message, move |heard| match self.hear(heard, &note) {
            Ok(()) => {}
            Err(error) => self.end(Phase::Failed(error)),
        })?;
        Ok(())
    }

    /// Names of files, a text that was typed, and the files: what to tokenize.
    async fn documents(self) -> Result<(Vec<String>, Option<String>, Array), Error> {
        let files = match self.origin.get_untracked() {
            Origin::Text => return Ok((Vec::new(), Some(self.text.get_untracked()), Array::new())),
            Origin::Files => self.files.get_untracked(),
            Origin::Demo => vec![example_documents().await.map_err(|_: JsValue| {
                Error::new(ErrorKind::Io, "the demo’s documents could not be fetched")
                    .within(EXAMPLE_DOCUMENTS)
                    .hint("they are not kept for use without a network: try again with one")
            })?],
        };
        let names = files.iter().map(File::name).collect();
        Ok((names, None, files.into_iter().map(JsValue::from).collect()))
    }

    /// Starts a worker of this measurement, which is told to `hear` while it is the one.
    fn run(
        self,
        number: u32,
        module: Module,
        message: Message,
        mut hear: impl FnMut(Heard) + Clone + 'static,
    ) -> Result<(), Error> {
        let hear = move |heard: Heard| {
            if self.is_at(number) {
                hear(heard);
            }
        };
        let worker = workers::start(module, message, hear)?;
        self.worker.set_value(Some(worker));
        Ok(())
    }

    async fn tokenize(
        self,
        number: u32,
        request: Tokenize,
        tokenizer: Array,
        files: Array,
    ) -> Result<(Tokenized, Array), Halt> {
        // The library is fetched for tokenizers of other kinds alone.
        for module in [Module::Tokenize, Module::Library] {
            let message = Message::new(&request, &[tokenizer.clone(), files.clone()]);
            if let Some(answer) = self.tokenize_with(number, module, message).await? {
                return Ok(answer);
            }
            self.expect(number)?;
        }
        Err(broken("another kind".to_owned()).into())
    }

    /// What a module made of the documents; none if the tokenizer is of another kind.
    async fn tokenize_with(
        self,
        number: u32,
        module: Module,
        message: Message,
    ) -> Result<Option<(Tokenized, Array)>, Error> {
        self.phase.set(Phase::Tokenizing { done: 0, total: 0 });
        let (answer, answered) = Once::new();
        let started = self.run(number, module, message, move |heard| {
            let heard = heard.and_then(|(text, ids)| {
                let value = json::parse(text.as_bytes())?;
                Tokenizing::from_json(value).map(|event| (event, ids))
            });
            match heard {
                Ok((Tokenizing::Progress { done, total }, _)) => {
                    self.phase.set(Phase::Tokenizing { done, total });
                }
                Ok((Tokenizing::Tokenized(said), ids)) => answer.give(Ok(Some((said, ids)))),
                Ok((Tokenizing::OtherKind, _)) => answer.give(Ok(None)),
                Ok((Tokenizing::Failed(error), _)) => answer.give(Err(error)),
                Err(said) => answer.give(Err(broken(said))),
            }
        });
        started?;
        let answer = answered.await;
        // Its memory goes before the model's comes.
        self.worker
            .try_update_value(Option::take)
            .flatten()
            .into_iter()
            .for_each(|worker| worker.terminate());
        answer
    }

    /// Takes an event of the worker that measures.
    fn hear(self, heard: Heard, note: &Option<String>) -> Result<(), Error> {
        let (text, _) = heard.map_err(broken)?;
        let event = json::parse(text.as_bytes()).and_then(Measuring::from_json).map_err(broken)?;
        match event {
            Measuring::Adapter { name, class, buffer_bytes, model_bytes } => {
                let name = format!("{name} ({class})");
                self.adapter.set(Some(Adapter { name, model_bytes, buffer_bytes }));
            }
            Measuring::Unpacking { done, total } => self.phase.set(Phase::Unpacking { done, total }),
            Measuring::Loading { done, total } => self.phase.set(Phase::Loading { done, total }),
            Measuring::Checking { kernel, done, total } => {
                self.phase.set(Phase::Checking { kernel, done, total });
            }
            Measuring::Running { done, total } => {
                let now = js_sys::Date::now();
                let began = self.began.get_value().unwrap_or(now);
                self.began.set_value(Some(began));
                self.phase.set(Phase::Running { done, total, seconds: (now - began) / 1_000.0 });
            }
            Measuring::Document(finished) => self.finished.update(|all| all.push(finished)),
            Measuring::Measured { evaluation } => {
                self.end(Phase::Finished(Box::new(evaluation.clone())));
                self.finished.set(Vec::new());
                self.session.set_evaluation(evaluation, note.clone());
            }
            Measuring::Failed(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether the browser gives an adapter.
async fn has_gpu() -> bool {
    let adapter = || -> Result<Promise, JsValue> {
        let gpu = Reflect::get(&window().navigator(), &"gpu".into())?;
        let request: Function = Reflect::get(&gpu, &"requestAdapter".into())?.dyn_into()?;
        request.call0(&gpu)?.dyn_into()
    };
    let Ok(adapter) = adapter() else { return false };
    JsFuture::from(adapter).await.is_ok_and(|adapter| adapter.is_object())
}

async fn example_documents() -> Result<File, JsValue> {
    let response: Response =
        JsFuture::from(window().fetch_with_str(EXAMPLE_DOCUMENTS)).await?.unchecked_into();
    if !response.ok() {
        return Err(response.status_text().into());
    }
    let blob = JsFuture::from(response.blob()?).await?;
    File::new_with_blob_sequence(&Array::of1(&blob), "documents.json")
}

/// Asks the worker that judged.
async fn ask(session: Session, request: Request) -> Answer {
    let (answer, answered) = Once::new();
    session.ask(request, move |said| answer.give(said));
    answered.await
}

/// Where an answer is put that comes once.
struct Once<T>(Rc<RefCell<(Option<T>, Option<Waker>)>>);

impl<T> Clone for Once<T> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

impl<T> Once<T> {
    /// Where it is put, and what waits for it.
    fn new() -> (Self, impl Future<Output = T>) {
        let once = Self(Rc::default());
        let waited = once.clone();
        let future = poll_fn(move |context| {
            let (value, waker) = &mut *waited.0.borrow_mut();
            *waker = Some(context.waker().clone());
            value.take().map_or(Poll::Pending, Poll::Ready)
        });
        (once, future)
    }

    fn give(&self, given: T) {
        let (value, waker) = &mut *self.0.borrow_mut();
        *value = Some(given);
        waker.take().into_iter().for_each(Waker::wake);
    }
}
