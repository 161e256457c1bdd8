//! The page's side of an inspection: its worker, and what is known so far.

use std::sync::Arc;
use std::time::Duration;

use bitgauge_core::Error;
use bitgauge_core::contract::Rules;
use bitgauge_core::json::{self, FromJson};
use bitgauge_core::report::{Evaluation, Report};
use js_sys::Array;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{File, MessageChannel, Worker};

use super::hub::Taken;
use super::kept;
use super::picked::Picked;
use super::workers::{self, Heard, Message, Module, broken};
use crate::markup::Markup;
use crate::protocol::{Event, RemoteFile, Request};
use crate::sections::fault::fault;

/// Workers beside the one that inspects: one hashes the archive, the other its members.
const HASHERS: usize = 2;
/// How long they wait when the headers' verdict is known: it is drawn in that time, and needs a core for it.
const DRAWING: Duration = Duration::from_millis(50);

/// Where an inspection stands.
#[derive(Debug, Clone, PartialEq)]
pub enum Stage {
    /// Nothing has been chosen.
    Idle,
    /// The structure is being read.
    Opening,
    /// The headers are judged; the bytes are passing by.
    Reading,
    /// The headers of a file on another host are judged; its bytes wait there.
    Fetched {
        /// Range requests made.
        requests: u64,
        /// Bytes that came.
        bytes: u64,
    },
    /// Every byte was read.
    Done,
    /// The user ended it.
    Cancelled,
    /// The artifact can't be judged.
    Failed(Error),
    /// What an earlier inspection in this tab found is shown; nothing is open.
    Kept,
}

impl Stage {
    /// Whether the worker is at work.
    pub fn is_busy(&self) -> bool {
        matches!(self, Self::Opening | Self::Reading)
    }

    /// Whether every byte was read.
    pub fn is_whole(&self) -> bool {
        matches!(self, Self::Done | Self::Kept)
    }
}

/// A report and the texts that belong to it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What the page shows.
    pub report: Report,
    /// The same as JSON, to be saved.
    pub json: String,
    /// The text of config.json.
    pub config: Option<String>,
}

/// How far the pass over the bytes is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Bytes read.
    pub done: u64,
    /// Bytes that there are.
    pub total: u64,
    /// Seconds since the inspection began.
    pub seconds: f64,
}

/// What the worker that judged answers, with what came beside it.
pub type Answer = Result<(Event, Array), Error>;

/// Who waits for it.
type Asked = Box<dyn FnOnce(Answer)>;

/// A report that somebody made, or why it can't be read.
pub type Claim = Result<Arc<Report>, Error>;

/// One inspection at a time, and what is claimed of the artifact.
#[derive(Clone, Copy)]
pub struct Session {
    /// What was chosen.
    pub name: RwSignal<String>,
    /// Where it stands.
    pub stage: RwSignal<Stage>,
    /// What is known.
    pub shown: RwSignal<Option<Arc<Shown>>>,
    /// What a report that was opened or a link says.
    pub claim: RwSignal<Option<Claim>>,
    /// How far it is.
    pub progress: RwSignal<Option<Progress>>,
    /// Whose limits apply.
    pub rules: RwSignal<Rules>,
    workers: StoredValue<Vec<Worker>, LocalStorage>,
    /// For the workers that are still to be started.
    others: StoredValue<Vec<Sent>, LocalStorage>,
    /// What is open, for the worker for rarer formats.
    picked: StoredValue<Option<Picked>, LocalStorage>,
    /// What is open where it is on another host.
    away: StoredValue<Vec<RemoteFile>>,
    /// Who waits for an answer of the worker that judged.
    asked: StoredValue<Option<Asked>, LocalStorage>,
    /// The perplexity that was measured of what is open, and what is to be said of it.
    evaluated: StoredValue<Option<(Evaluation, Option<String>)>>,
    began: StoredValue<f64>,
    /// How many inspections have begun or ended.
    number: StoredValue<u32>,
    /// What listing the files took.
    taken: StoredValue<Taken>,
    /// Which inspection of the page this is, for what is kept of it.
    place: &'static str,
}

impl Session {
    /// Nothing chosen yet; what is found is kept under the name of this place.
    pub fn new(place: &'static str) -> Self {
        Self {
            claim: RwSignal::new(None),
            number: StoredValue::new(0),
            taken: StoredValue::new(Taken::default()),
            place,
            name: RwSignal::new(String::new()),
            stage: RwSignal::new(Stage::Idle),
            shown: RwSignal::new(None),
            progress: RwSignal::new(None),
            rules: RwSignal::new(Rules::Binary),
            workers: StoredValue::new_local(Vec::new()),
            others: StoredValue::new_local(Vec::new()),
            picked: StoredValue::new_local(None),
            away: StoredValue::new(Vec::new()),
            asked: StoredValue::new_local(None),
            evaluated: StoredValue::new(None),
            began: StoredValue::new(0.0),
        }
    }

    /// Inspects these files, or claims what the report that they are says. What is taken meanwhile comes instead.
    pub fn take_picked(self, picked: Picked) {
        let number = self.wait(picked.name.clone());
        wasm_bindgen_futures::spawn_local(async move {
            let report = picked.report().await.transpose();
            if !self.is_at(number) {
                return;
            }
            match report {
                Some(report) => {
                    self.close();
                    self.set_claim(report);
                }
                None => self.open(picked).await,
            }
        });
    }

    /// Claims what a report says that was opened here.
    pub fn set_claim(self, report: Result<Report, Error>) {
        if let Ok(report) = &report {
            kept::keep(&self.claim_place(), &report.to_json(), None);
        }
        self.claim.set(Some(report.map(Arc::new)));
    }

    /// Where the claim is kept.
    fn claim_place(self) -> String {
        format!("{}, claimed", self.place)
    }

    /// Forgets what was open and what was claimed.
    pub fn forget(self) {
        self.close();
        kept::forget(&self.claim_place());
        self.claim.set(None);
    }

    /// Inspects these files, and no longer what was open before; or says what they are instead of an artifact.
    pub async fn open(self, picked: Picked) {
        let number = self.wait(picked.name.clone());
        let accident = picked.accident().await;
        if !self.is_at(number) {
            return;
        }
        if let Some(error) = accident {
            return self.refuse(error);
        }
        self.picked.set_value(Some(picked.clone()));
        self.open_with(picked, Module::Usual);
    }

    /// Inspects what is open by another layout.
    pub async fn open_by(self, layout: String) {
        match self.picked.with_value(Clone::clone) {
            Some(picked) => self.open(Picked { layout: Some(layout), ..picked }).await,
            None => self.refuse(
                Error::new(bitgauge_core::ErrorKind::Missing, "this is a layout, and no artifact is open")
                    .hint("drop the layout together with the artifact, or open that first"),
            ),
        }
    }

    /// Shows why nothing can be inspected, and no longer what was open before.
    pub fn refuse(self, error: Error) {
        self.close();
        self.stage.set(Stage::Failed(error));
    }

    /// Shows what an earlier inspection in this tab found, and what was claimed; says whether there was one.
    pub fn restore(self) -> bool {
        let claimed = kept::kept(&self.claim_place()).and_then(|(json, _)| Report::from_json(&json).ok());
        if let Some(report) = claimed.filter(|_| self.claim.with_untracked(Option::is_none)) {
            self.claim.set(Some(Ok(Arc::new(report))));
        }
        let Some((json, config)) = kept::kept(self.place) else { return false };
        let Ok(report) = Report::from_json(&json) else { return false };
        self.rules.set(report.pack);
        self.shown.set(Some(Arc::new(Shown { report, json, config })));
        self.stage.set(Stage::Kept);
        true
    }

    fn open_with(self, picked: Picked, module: Module) {
        let Picked { name, folder, paths, files, layout } = picked;
        let files: Array = files.into_iter().map(JsValue::from).collect();
        let rules = self.rules.get_untracked();
        let open = Request::Open { name: name.clone(), folder, paths, layout, rules };
        let [ports, others @ ..] = ring::<{ 1 + HASHERS }>();
        let others = others.map(|ports| Sent { ports, module, ..Request::Hash.into() });
        self.begin(name, Sent { request: open, files, ports, module }, others.into());
    }

    /// Inspects files on another host, from their headers. Listing them took so much.
    pub fn fetch(self, name: String, folder: bool, files: Vec<RemoteFile>, taken: Taken) {
        let rules = self.rules.get_untracked();
        self.taken.set_value(taken);
        self.begin(
            name.clone(),
            Request::Fetch { name, folder, files: files.clone(), rules }.into(),
            Vec::new(),
        );
        self.away.set_value(files);
    }

    /// Begins an inspection whose files are still to be found; gives its number.
    pub fn wait(self, name: String) -> u32 {
        self.clear(name);
        self.stage.set(Stage::Opening);
        self.number.get_value()
    }

    /// The files of what is open here: chosen ones, or those on another host.
    pub fn opened(self) -> Option<(Vec<File>, Vec<RemoteFile>)> {
        let away = self.away.get_value();
        if !away.is_empty() {
            return Some((Vec::new(), away));
        }
        self.picked.with_value(|picked| picked.as_ref().map(|picked| (picked.files.clone(), Vec::new())))
    }

    /// Whether this inspection is still the one.
    pub fn is_at(self, number: u32) -> bool {
        self.number.get_value() == number
    }

    /// Reads every byte of what is open; `hash_tensors` as in [`Request::ReadAll`].
    pub fn read_all(self, hash_tensors: bool) {
        self.stage.set(Stage::Reading);
        self.began.set_value(now());
        self.request(Request::ReadAll { hash_tensors });
    }

    fn begin(self, name: String, message: Sent, others: Vec<Sent>) {
        self.clear(name);
        self.stage.set(Stage::Opening);
        self.others.set_value(others);
        self.start(message);
    }

    fn clear(self, name: String) {
        self.end_workers();
        self.evaluated.set_value(None);
        self.away.set_value(Vec::new());
        kept::forget(self.place);
        self.name.set(name);
        self.shown.set(None);
        self.progress.set(None);
        self.began.set_value(now());
    }

    /// Starts a worker with its first request.
    fn start(self, sent: Sent) {
        let module = sent.module;
        match workers::start(module, sent.message(), move |heard| self.hear(heard)) {
            Ok(worker) => self.workers.update_value(|workers| workers.push(worker)),
            Err(error) => self.fail(error),
        }
    }

    fn hear(self, heard: Heard) {
        match heard {
            Ok((text, beside)) => self.take(json::parse(text.as_bytes()).and_then(Event::from_json), beside),
            Err(said) => self.fail(broken(said)),
        }
    }

    /// Asks the worker that judged for something, of which `answer` is told once. Nothing else is asked meanwhile.
    pub fn ask(self, request: Request, answer: impl FnOnce(Answer) + 'static) {
        self.asked.set_value(Some(Box::new(answer)));
        self.request(request);
    }

    /// Takes a perplexity of what is open into its report, with what is to be said of it, until something else is opened.
    pub fn set_evaluation(self, evaluation: Evaluation, note: Option<String>) {
        let Some(shown) = self.shown.get_untracked() else { return };
        let mut report = shown.report.clone();
        let earlier = self.evaluated.try_update_value(|now| now.replace((evaluation, note))).flatten();
        let earlier = earlier.and_then(|(_, note)| note);
        report.notes.retain(|note| Some(note) != earlier.as_ref());
        self.show(report, shown.json.clone(), shown.config.clone(), self.stage.get_untracked().is_whole());
    }

    /// Shows a report, with the perplexity that was measured of the same artifact.
    fn show(self, mut report: Report, mut json: String, config: Option<String>, complete: bool) {
        if let Some((evaluation, note)) = self.evaluated.get_value() {
            report.evaluation = Some(evaluation);
            report.notes.extend(note);
            json = report.to_json();
        }
        if complete {
            kept::keep(self.place, &json, config.as_deref());
        }
        self.shown.set(Some(Arc::new(Shown { report, json, config })));
    }

    /// Forgets what was open.
    pub fn close(self) {
        self.clear(String::new());
        self.stage.set(Stage::Idle);
    }

    /// Ends the pass over the bytes; what the headers showed stays.
    pub fn cancel(self) {
        self.end_workers();
        self.stage.set(Stage::Cancelled);
    }

    /// Ends it with an error, and all workers with it: none can go on without the others.
    pub fn fail(self, error: Error) {
        self.end_workers();
        self.stage.set(Stage::Failed(error));
    }

    /// Judges by other rules.
    pub fn judge(self, rules: Rules) {
        self.rules.set(rules);
        self.request(Request::Judge(rules));
    }

    /// Why the artifact could not be judged.
    pub fn fault(self) -> Option<Markup> {
        match self.stage.get() {
            Stage::Failed(error) => Some(fault(&error, "Can’t be judged")),
            _ => None,
        }
    }

    fn request(self, request: Request) {
        self.workers.with_value(|workers| {
            if let Some(worker) = workers.first() {
                Sent::from(request).message().post(worker);
            }
        });
    }

    /// Starts the workers beside the one that inspects, soon.
    fn start_others(self) {
        let start = move || {
            // None is left when one could not be started.
            while let Some(other) = self.others.try_update_value(Vec::pop).flatten() {
                self.start(other);
            }
        };
        set_timeout(start, DRAWING);
    }

    fn end_workers(self) {
        self.number.update_value(|number| *number += 1);
        self.asked.set_value(None);
        self.others.update_value(Vec::clear);
        self.workers.update_value(|workers| workers.drain(..).for_each(|worker| worker.terminate()));
    }

    fn take(self, event: Result<Event, String>, beside: Array) {
        let is_answer = matches!(event, Ok(Event::Plan { .. } | Event::Tokenizer(_) | Event::Failed(_)));
        if let Some(asked) = is_answer.then(|| self.asked.try_update_value(Option::take).flatten()).flatten()
        {
            return asked(event.map_err(broken).and_then(|event| match event {
                Event::Failed(error) => Err(error),
                event => Ok((event, beside)),
            }));
        }
        match event {
            Ok(Event::Report { json, complete, config }) => match Report::from_json(&json) {
                Ok(report) => {
                    self.show(report, json, config, complete);
                    if !complete {
                        self.start_others();
                    }
                    match self.stage.get_untracked() {
                        _ if complete => self.stage.set(Stage::Done),
                        Stage::Fetched { .. } => {}
                        _ => self.stage.set(Stage::Reading),
                    }
                }
                Err(error) => self.fail(error),
            },
            Ok(Event::Progress { done, total }) => {
                let seconds = (now() - self.began.get_value()) / 1_000.0;
                self.progress.set(Some(Progress { done, total, seconds }));
            }
            Ok(Event::Fetched { requests, bytes }) => {
                let listed = self.taken.get_value();
                let (requests, bytes) = (requests + listed.requests, bytes + listed.bytes);
                self.stage.set(Stage::Fetched { requests, bytes });
            }
            Ok(Event::Rare) => {
                if let Some(picked) = self.picked.with_value(Clone::clone) {
                    self.open_with(picked, Module::Formats);
                }
            }
            Ok(Event::Failed(error)) => self.fail(error),
            // What was asked for is no longer wanted.
            Ok(Event::Plan { .. } | Event::Tokenizer(_)) => {}
            Err(error) => self.fail(broken(error)),
        }
    }
}

fn now() -> f64 {
    js_sys::Date::now()
}

/// A place for each of as many workers in a ring. Without channels between workers, places without ports: then the
/// first does it all.
fn ring<const N: usize>() -> [Array; N] {
    let channels: Option<Vec<_>> = (0..N).map(|_| MessageChannel::new().ok()).collect();
    std::array::from_fn(|i| match &channels {
        Some(channels) => Array::of2(&channels[(i + N - 1) % N].port2(), &channels[i].port1()),
        None => Array::new(),
    })
}

/// What a worker of an inspection is sent, and what it runs.
struct Sent {
    request: Request,
    files: Array,
    /// Its place in a ring: the port that it takes from, and the one that it sends to.
    ports: Array,
    module: Module,
}

impl From<Request> for Sent {
    fn from(request: Request) -> Self {
        Self { request, files: Array::new(), ports: Array::new(), module: Module::Usual }
    }
}

impl Sent {
    fn message(self) -> Message {
        Message::new(&self.request, &[self.files]).with_ports(self.ports)
    }
}
