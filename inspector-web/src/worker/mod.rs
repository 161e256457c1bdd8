//! The worker: reads files in a thread of its own, so that the page never waits.

mod read;

use std::cell::RefCell;
use std::rc::Rc;

use bitgauge_core::container::{Artifact, Pause, Root, Window, open};
use bitgauge_core::contract::Pack;
use bitgauge_core::inspect;
use bitgauge_core::inventory::Inventory;
use bitgauge_core::scan::{Findings, Scan};
use bitgauge_core::{Error, ErrorKind, Result};
use js_sys::{Array, JSON};
use wasm_bindgen::prelude::*;
use web_sys::{DedicatedWorkerGlobalScope, File, MessageEvent};

use crate::protocol::{Event, Request};

/// Least time between two reports of progress, in milliseconds.
const PROGRESS_MS: f64 = 100.0;

/// What is being inspected.
struct Session {
    name: String,
    pack: Pack,
    artifact: Rc<Artifact>,
    findings: Option<Findings>,
}

thread_local! {
    static SESSION: RefCell<Option<Session>> = const { RefCell::new(None) };
}

/// Takes requests from now on.
pub fn serve() {
    let handler = Closure::<dyn FnMut(MessageEvent)>::new(|message: MessageEvent| {
        // `[request, files]`; anything else is the start-up message of worker.js.
        let Some(parts) = message.data().dyn_into::<Array>().ok() else { return };
        let request = parts.get(0).as_string().and_then(|text| serde_json::from_str(&text).ok());
        let files: Vec<File> =
            parts.get(1).unchecked_into::<Array>().iter().map(JsCast::unchecked_into).collect();
        match request {
            Some(Request::Open { name, folder, paths, pack }) => {
                wasm_bindgen_futures::spawn_local(async move {
                    let inspected = inspect_files(name.clone(), folder, paths, files, pack).await;
                    if let Err(error) = inspected {
                        send(&Event::Failed(error));
                    }
                })
            }
            Some(Request::Judge(pack)) => judge(pack),
            None => {}
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

/// The verdict of the headers, then that of every byte.
async fn inspect_files(
    name: String,
    folder: bool,
    paths: Vec<String>,
    files: Vec<File>,
    pack: Pack,
) -> Result<()> {
    let root = if folder { Root::Folder } else { Root::File };
    let artifact = Rc::new(read_structure(paths, &files, root).await?);
    let inventory = Inventory::of(&artifact).map_err(|error| error.within(&name))?;
    SESSION.set(Some(Session { name: name.clone(), pack, artifact: Rc::clone(&artifact), findings: None }));
    send_report()?;
    let findings = scan(&files, &inventory).await.map_err(|error| error.within(&name))?;
    SESSION.with_borrow_mut(|session| {
        if let Some(session) = session {
            session.findings = Some(findings);
        }
    });
    send_report()
}

/// Feeds the parser what it asks for until the structure is known.
async fn read_structure(paths: Vec<String>, files: &[File], root: Root) -> Result<Artifact> {
    let lengths = files.iter().map(|file| file.size() as u64);
    let mut window = Window::new(paths.into_iter().zip(lengths).collect());
    loop {
        let needs = match open(&window, root) {
            Ok(artifact) => return Ok(artifact),
            Err(Pause::Failed(error)) => return Err(error),
            Err(Pause::Need(needs)) => needs,
        };
        for need in needs {
            let bytes = read::range(&files[need.file], need.offset, need.len).await;
            let bytes = bytes.map_err(|error| error.within(window.name(need.file)))?;
            window.feed(need.file, need.offset, bytes);
        }
    }
}

/// Reads every byte once.
async fn scan(files: &[File], inventory: &Inventory<'_>) -> Result<Findings> {
    let total: u64 = files.iter().map(|file| file.size() as u64).sum();
    let (mut done, mut last) = (0, f64::NEG_INFINITY);
    let mut scan = Scan::new(inventory);
    for (number, file) in files.iter().enumerate() {
        scan.begin_file(number)?;
        let mut stream = read::Stream::open(file)?;
        while let Some(bytes) = stream.next().await? {
            scan.push(bytes)?;
            done += bytes.len() as u64;
            let now = js_sys::Date::now();
            if now - last >= PROGRESS_MS {
                send(&Event::Progress { done, total });
                last = now;
            }
        }
    }
    send(&Event::Progress { done, total });
    scan.finish()
}

/// Judges again, by the limits of another pack.
fn judge(pack: Pack) {
    SESSION.with_borrow_mut(|session| {
        if let Some(session) = session {
            session.pack = pack;
        }
    });
    if let Err(error) = send_report() {
        send(&Event::Failed(error));
    }
}

fn send_report() -> Result<()> {
    SESSION.with_borrow(|session| {
        let Some(session) = session else { return Ok(()) };
        let inventory = Inventory::of(&session.artifact).map_err(|error| error.within(&session.name))?;
        let report = inspect::report(&session.name, &inventory, session.pack, session.findings.as_ref());
        let config =
            session.artifact.config.as_ref().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        send(&Event::Report { json: report.to_json(), complete: session.findings.is_some(), config });
        Ok(())
    })
}

/// What the browser said, as an error.
fn browser_error(what: &str, error: &JsValue) -> Error {
    let said = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.to_string()));
    let said = said.or_else(|| JSON::stringify(error).ok().map(String::from)).unwrap_or_default();
    Error::new(ErrorKind::Io, what)
        .expected("a readable file", said)
        .hint("the file may have been changed or moved since it was chosen: choose it again")
}
