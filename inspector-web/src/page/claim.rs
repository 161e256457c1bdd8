//! A report that came in a link: what somebody says, and how a copy of the file bears it out.

use std::sync::Arc;

use bitgauge_core::Error;
use bitgauge_core::report::Report;
use bitgauge_core::report::compare::{self, Line};
use bitgauge_core::report::link;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use super::fault::Fault;
use super::markup::Static;
use super::session::{Session, Stage};
use super::verdict::Mark;
use crate::headline::Tone;
use crate::sections::comparison;

/// What the address carries, followed as it changes.
pub fn from_address() -> RwSignal<Option<Result<Arc<Report>, Error>>> {
    let claim = RwSignal::new(read());
    let changed = Closure::<dyn FnMut()>::new(move || claim.set(read()));
    window().set_onhashchange(Some(changed.as_ref().unchecked_ref()));
    changed.forget();
    claim
}

fn read() -> Option<Result<Arc<Report>, Error>> {
    let fragment = window().location().hash().unwrap_or_default();
    link::decode(&fragment).map(|report| report.map(Arc::new)).transpose()
}

/// Says that what follows is a claim, and what to do about it.
#[component]
pub fn Notice(claim: Result<Arc<Report>, Error>) -> impl IntoView {
    match claim {
        Ok(report) => {
            let name = report.artifact.name.clone();
            view! {
                <section class="claim" aria-labelledby="claim">
                    <h2 id="claim">"A claim, not a check"</h2>
                    <p>
                        "This link says what somebody found in " <b class="mono">{name}</b>
                        ". Nobody has checked it here, and the numbers may be made up. If you have the file, "
                        <a href="#pick-files" on:click=focus_picker>"check your copy"</a>
                        ": choose or drop it above, and each hash, gate and figure is compared."
                    </p>
                </section>
            }
            .into_any()
        }
        Err(error) => view! { <Fault error title="The link can’t be read" /> }.into_any(),
    }
}

/// Following the link would replace the claim in the address.
fn focus_picker(event: web_sys::MouseEvent) {
    event.prevent_default();
    let picker = document().get_element_by_id("pick-files");
    if let Some(picker) = picker.and_then(|picker| picker.dyn_into::<web_sys::HtmlElement>().ok()) {
        drop(picker.focus());
    }
}

/// How the file that was opened compares with the claim.
#[component]
pub fn Agreement(session: Session, claim: Arc<Report>, copy: Report) -> impl IntoView {
    let lines = compare::figures(&claim, &copy);
    let layers = compare::layers(&claim, &copy).len();
    let differ = lines.iter().filter(|line| line.agrees() == Some(false)).count();
    let same_file = lines.iter().find(|line| line.what == "SHA-256").and_then(Line::agrees);
    let verdict = move || {
        if session.stage.get().is_busy() {
            return (Tone::Pending, "Comparing…", "The file is still being read.");
        }
        match (same_file, differ + layers) {
            (Some(true), 0) => {
                (Tone::Good, "The claim holds", "Your copy is the same file, and every figure agrees.")
            }
            (Some(true), _) => (
                Tone::Bad,
                "The claim is wrong",
                "Your copy is the same file, but figures differ: see below.",
            ),
            (Some(false), _) => {
                (Tone::Bad, "Another file", "Your copy is not the file that the link speaks of.")
            }
            (None, 0) if session.stage.get() == Stage::Done => (
                Tone::Unsure,
                "No contradiction",
                "Every figure agrees, but there is no hash of the whole to compare.",
            ),
            (None, _) => {
                (Tone::Unsure, "Not the same", "Some figures differ, or the file was not read to the end.")
            }
        }
    };
    view! {
        <section aria-labelledby="agreement">
            <h2 id="agreement">"Your copy against the claim"</h2>
            {move || {
                let (tone, word, sentence) = verdict();
                view! {
                    <div class=format!("verdict verdict--{}", tone.class()) role="status">
                        <Mark tone />
                        <div>
                            <h3 class="verdict__word">{word}</h3>
                            <p class="verdict__sentence">{sentence}</p>
                        </div>
                    </div>
                }
            }}
            <Static markup=comparison::lines(&lines, ["claimed", "your copy"]) />
            <p class="small">
                {if layers == 0 {
                    "Layer by layer, nothing differs that both have.".to_owned()
                } else {
                    format!("{layers} layers differ.")
                }}
            </p>
        </section>
    }
}
