//! The worker: reads files in a thread of its own, so that the page never waits.

#[cfg(not(feature = "formats"))]
mod planned;
mod rare;
mod read;
mod ring;
#[cfg(not(feature = "formats"))]
mod tokenizer;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use bitgauge_core::container::{Artifact, Compressor, Pause, Root, TarStream, Window, open};
use bitgauge_core::contract::Rules;
use bitgauge_core::format::layouts::Scheme;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::json::{self, FromJson};
use bitgauge_core::scan::{Findings, Left, Scan};
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::Array;
#[cfg(not(feature = "formats"))]
use js_sys::Uint8Array;
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent, MessagePort};

use self::read::Source;
use self::ring::Ring;
use crate::protocol::{Event, Request};
#[cfg(not(feature = "formats"))]
use crate::remote::{Remote, fetched};

/// Bytes read at once. One such buffer here, and one or a few in JavaScript, serve a whole file.
const PIECE_BYTES: u32 = 1 << 20;
/// Least time between two reports of progress, in milliseconds.
const PROGRESS_MS: f64 = 250.0;

/// What is being inspected.
#[derive(Clone)]
struct Subject {
    name: String,
    rules: Rules,
    source: Rc<Source>,
    artifact: Rc<Artifact>,
    findings: Option<Rc<Findings>>,
}

thread_local! {
    static SUBJECT: RefCell<Option<Subject>> = const { RefCell::new(None) };
    /// The workers that hash what this one reads first.
    static RING: RefCell<Option<Ring>> = const { RefCell::new(None) };
}

/// Takes requests from now on.
pub fn serve() {
    let handler = Closure::<dyn FnMut(MessageEvent)>::new(|message: MessageEvent| {
        // `[request, files, from, to]`; anything else is the start-up message.
        let Some(parts) = message.data().dyn_into::<Array>().ok() else { return };
        let request = parts.get(0).as_string().and_then(|text| json::parse(text.as_bytes()).ok());
        let request = request.and_then(|value| Request::from_json(value).ok());
        let files: Vec<File> =
            parts.get(1).unchecked_into::<Array>().iter().map(JsCast::unchecked_into).collect();
        let ring = match [parts.get(2), parts.get(3)].map(JsCast::dyn_into::<MessagePort>) {
            [Ok(from), Ok(to)] => Some(Ring::new(&from, to)),
            _ => None,
        };
        if let Some(request) = request {
            wasm_bindgen_futures::spawn_local(async move {
                if let Err(error) = answer(request, files, ring).await {
                    send(&Event::Failed(error));
                }
            });
        }
    });
    let listened = scope().add_event_listener_with_callback("message", handler.as_ref().unchecked_ref());
    if listened.is_ok() {
        handler.forget();
    }
}

fn scope() -> DedicatedWorkerGlobalScope {
    js_sys::global().unchecked_into()
}

/// Sends an event to the page. It is made of text and numbers, so it can be sent.
fn send(event: &Event) {
    if let Ok(text) = serde_json::to_string(event) {
        drop(scope().post_message(&JsValue::from_str(&text)));
    }
}

/// Sends an event with bytes beside it, which leave this worker without a copy.
#[cfg(not(feature = "formats"))]
fn send_with(event: &Event, parts: Vec<Uint8Array>) {
    if let Ok(text) = serde_json::to_string(event) {
        let buffers: Array = parts.iter().map(|part| JsValue::from(part.buffer())).collect();
        let parts: Array = parts.into_iter().map(JsValue::from).collect();
        drop(scope().post_message_with_transfer(&Array::of2(&text.into(), &parts), &buffers));
    }
}

async fn answer(request: Request, files: Vec<File>, ring: Option<Ring>) -> Result<()> {
    match request {
        Request::Open { name, folder, paths, layout, rules } => {
            let root = if folder { Root::Folder } else { Root::File };
            RING.set(ring);
            let lengths = files.iter().map(|file| file.size() as u64);
            let mut window = Window::new(paths.into_iter().zip(lengths).collect());
            let source = Source::Files(files);
            if root == Root::File && rare::open_json(&name, &source, rules).await? {
                return Ok(());
            }
            let Some(mut artifact) = read_structure(&mut window, &source, root).await? else {
                rare::pass_on();
                return Ok(());
            };
            if let Some(layout) = layout {
                artifact.layout = Some(given(&layout)?);
            }
            begin(name, rules, source, artifact);
            send_report()?;
            scan(false).await
        }
        Request::Hash => {
            if let Some(ring) = ring {
                ring.hash().await;
            }
            Ok(())
        }
        #[cfg(not(feature = "formats"))]
        Request::Fetch { name, folder, files, rules } => {
            let root = if folder { Root::Folder } else { Root::File };
            let (remote, mut window) = Remote::open(files).await?;
            let source = Source::Remote(remote);
            if let Some(artifact) = read_structure(&mut window, &source, root).await? {
                begin(name, rules, source, artifact);
                send_report()?;
                send(&fetched());
            }
            Ok(())
        }
        // The usual worker does that.
        #[cfg(feature = "formats")]
        Request::Fetch { .. } => Ok(()),
        Request::ReadAll { hash_tensors } => scan(hash_tensors).await,
        // It makes no plan either.
        #[cfg(feature = "formats")]
        Request::Tokenizer => Err(bitgauge_core::plan::compressed("another")),
        #[cfg(not(feature = "formats"))]
        Request::Tokenizer => {
            let subject = SUBJECT.with_borrow(Clone::clone).ok_or_else(no_model)?;
            let files = tokenizer::read(&subject.source, &subject.artifact).await;
            let (files, contents) = files.map_err(|error| error.within(&subject.name))?;
            send_with(&Event::Tokenizer(files), contents);
            Ok(())
        }
        Request::Judge(rules) => {
            if rare::judge_json(rules)? {
                return Ok(());
            }
            SUBJECT.with_borrow_mut(|subject| {
                if let Some(subject) = subject {
                    subject.rules = rules;
                }
            });
            send_report()
        }
        #[cfg(not(feature = "formats"))]
        Request::Plan => planned::tell().await,
        // What comes to this worker is compressed, or no model.
        #[cfg(feature = "formats")]
        Request::Plan => Err(bitgauge_core::plan::compressed("another")),
    }
}

#[cfg(not(feature = "formats"))]
fn no_model() -> Error {
    Error::new(ErrorKind::Unsupported, "a JSON artifact holds no model that can be evaluated")
}

/// A layout as the user describes it.
fn given(layout: &str) -> Result<Arc<Scheme>> {
    let description = json::parse(layout.as_bytes()).map_err(|found| {
        Error::new(ErrorKind::Malformed, "the layout can't be read").expected_found("a table", found)
    })?;
    Scheme::given(&description).map(Arc::new)
}

fn begin(name: String, rules: Rules, source: Source, artifact: Artifact) {
    let subject =
        Subject { name, rules, source: Rc::new(source), artifact: Rc::new(artifact), findings: None };
    SUBJECT.set(Some(subject));
}

/// Feeds the parser what it asks for until the structure is known; nothing when it is for another worker.
async fn read_structure(window: &mut Window, source: &Source, root: Root) -> Result<Option<Artifact>> {
    loop {
        let needs = match open(window, root) {
            Ok(artifact) => return Ok(Some(artifact)),
            Err(Pause::Failed(error)) => return Err(error),
            Err(Pause::Unpack(compressor)) => return read_tar(window.name(0), source, compressor).await,
            Err(Pause::Need(needs)) => needs,
        };
        #[cfg(not(feature = "formats"))]
        if let Source::Remote(remote) = source {
            remote.feed(window, needs).await?;
            continue;
        }
        for need in needs {
            let read = source.range(need).await;
            let (offset, bytes) = read.map_err(|error| error.within(window.name(need.file)))?;
            window.feed(need.file, offset, bytes)?;
        }
    }
}

/// The structure of a compressed tar, which takes a pass of its own.
async fn read_tar(name: &str, source: &Source, compressor: Compressor) -> Result<Option<Artifact>> {
    #[cfg(not(feature = "formats"))]
    if matches!(source, Source::Remote(_)) {
        return Err(Error::new(
            ErrorKind::Unsupported,
            "a compressed tar shows its files only from end to end",
        )
        .within(name)
        .expected_found("a zip, a safetensors file, a GGUF file or a plain tar", compressor.name())
        .hint("download the file and open it here"));
    }
    if !compressor.is_read_here() {
        return Ok(None);
    }
    let mut tar = TarStream::new(name, compressor)?;
    let mut progress = ProgressReports::of(source);
    let mut stream = source.stream(0).await?;
    while let Some(bytes) = stream.next().await? {
        tar.push(bytes)?;
        progress.add(bytes.len());
    }
    tar.finish().map(Some)
}

/// Reads every byte of what is open once.
async fn scan(hash_tensors: bool) -> Result<()> {
    let Some(subject) = SUBJECT.with_borrow(Clone::clone) else { return Ok(()) };
    let place = |error: Error| error.within(&subject.name);
    let inventory = Inventory::of(&subject.artifact).map_err(place)?;
    let findings = read_all(&subject.source, &inventory, hash_tensors).await.map_err(place)?;
    SUBJECT.with_borrow_mut(|subject| {
        if let Some(subject) = subject {
            subject.findings = Some(Rc::new(findings));
        }
    });
    send_report()
}

async fn read_all(source: &Source, inventory: &Inventory<'_>, hash_tensors: bool) -> Result<Findings> {
    let lengths = source.lengths();
    let mut scan = Scan::new(inventory);
    if hash_tensors {
        scan.hash_tensors();
    }
    let ring = RING.take().map(Rc::new);
    if let Some(ring) = &ring {
        let ranges = scan.leave_hashes(&lengths);
        ring.begin(&[ranges.members, ranges.file.into_iter().collect()]).await;
    }
    let mut progress = ProgressReports::of(source);
    for number in 0..lengths.len() {
        scan.begin_file(number)?;
        let mut stream = source.stream(number).await?.shared(ring.clone());
        while let Some(bytes) = stream.next().await? {
            scan.push(bytes)?;
            progress.add(bytes.len());
        }
    }
    let mut findings = scan.finish()?;
    if let Some(ring) = ring {
        let [members, file] = ring.finish().await?;
        findings.complete(Left { members, file: file.into_iter().next() })?;
    }
    Ok(findings)
}

/// Tells the page how far a pass is.
struct ProgressReports {
    done: u64,
    total: u64,
    last: f64,
}

impl ProgressReports {
    fn of(source: &Source) -> Self {
        Self { done: 0, total: source.lengths().iter().sum(), last: f64::NEG_INFINITY }
    }

    fn add(&mut self, bytes: usize) {
        self.done += bytes as u64;
        let now = js_sys::Date::now();
        if now - self.last >= PROGRESS_MS || self.done == self.total {
            send(&Event::Progress { done: self.done, total: self.total });
            self.last = now;
        }
    }
}

/// Judges what is known by the subject's rules.
fn send_report() -> Result<()> {
    SUBJECT.with_borrow(|subject| {
        let Some(subject) = subject else { return Ok(()) };
        let inventory = Inventory::of(&subject.artifact).map_err(|error| error.within(&subject.name))?;
        let report = inspect::report(&subject.name, &inventory, subject.rules, subject.findings.as_deref());
        let config =
            subject.artifact.config.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        send(&Event::Report { json: report.to_json(), complete: subject.findings.is_some(), config });
        Ok(())
    })
}
