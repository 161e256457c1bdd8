//! What the browser shows.

mod actions;
mod claim;
mod fault;
mod hashes;
mod markup;
mod open;
mod picked;
mod progress;
mod session;
mod share;
mod tensors;
mod verdict;

use std::sync::Arc;

use bitgauge_core::report::Report;
use leptos::prelude::*;

use self::actions::Actions;
use self::claim::{Agreement, Notice};
use self::fault::Fault;
use self::hashes::Hashes;
use self::markup::Static;
use self::open::Open;
use self::progress::Reading;
use self::session::{Session, Shown, Stage};
use self::tensors::Tensors;
use self::verdict::{Packs, Subject, Verdict};
use crate::markup::Markup;
use crate::sections::{accounting, budget, gates, layers, manifest};
use crate::{caps, headline};

/// The whole page.
#[component]
pub fn Page() -> impl IntoView {
    let session = Session::new();
    let claim = claim::from_address();
    let claimed = move || claim.get().and_then(Result::ok);
    let failed = move || match session.stage.get() {
        Stage::Failed(error) => Some(view! { <Fault error /> }),
        _ => None,
    };
    view! {
        <header class="top">
            <p class="eyebrow">"bitgauge"</p>
            <h1>"Inspector"</h1>
            <p class="lead">
                "Is a packed 1-bit language model eligible, with how many bytes to spare, and where did each byte go?"
            </p>
        </header>
        <main>
            <Open session />
            <Reading session />
            {failed}
            {move || claim.get().map(|claim| view! { <Notice claim /> })}
            {move || {
                let (claim, shown) = claimed().zip(session.shown.get())?;
                Some(view! { <Agreement session claim copy=shown.report.clone() /> })
            }}
            {move || session.shown.get().map(|shown| view! { <Inspected session shown /> })}
            {move || {
                let claim = claimed().filter(|_| session.shown.get().is_none())?;
                Some(view! { <Claimed report=Report::clone(&claim) /> })
            }}
            {move || {
                (session.stage.get() == Stage::Idle && claim.get().is_none()).then(|| view! { <Privacy /><Caps /> })
            }}
        </main>
        <footer>
            <p>{concat!("Version ", env!("CARGO_PKG_VERSION"))}</p>
            <p>"MIT or Apache-2.0"</p>
        </footer>
    }
}

/// Everything that a link claims.
#[component]
fn Claimed(report: Report) -> impl IntoView {
    view! {
        <article class="result result--claimed" aria-label="Claimed report">
            <Subject report=report.clone() />
            <Verdict headline=headline::of(&report, false) claimed=true />
            <Parts parts=parts(&report) />
        </article>
    }
}

/// What a report says, in sections; those that it says nothing of are left out.
fn parts(report: &Report) -> Vec<Markup> {
    [
        Some(gates::gates(report)),
        Some(budget::budget(report)),
        Some(accounting::accounting(report)),
        layers::layers(report),
        manifest::manifest(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[component]
fn Parts(parts: Vec<Markup>) -> impl IntoView {
    parts.into_iter().map(|markup| view! { <Static markup /> }).collect_view()
}

/// Everything about the artifact that was opened.
#[component]
fn Inspected(session: Session, shown: Arc<Shown>) -> impl IntoView {
    let report = shown.report.clone();
    let judged = report.clone();
    let verdict = move || match session.stage.get() {
        Stage::Failed(_) => {
            view! { <p class="notice">"The headers alone say the following. It is no verdict."</p> }
                .into_any()
        }
        stage => view! { <Verdict headline=headline::of(&judged, stage.is_busy()) /> }.into_any(),
    };
    view! {
        <article class="result" aria-label="Report">
            <Subject report=report.clone()><Packs session /></Subject>
            {verdict}
            <Actions session shown=Arc::clone(&shown) />
            <Parts parts=parts(&report) />
            <Tensors shown=Arc::clone(&shown) />
            <Hashes session shown=Arc::clone(&shown) />
            <Config shown />
        </article>
    }
}

/// config.json as it is, what else there is to know.
#[component]
fn Config(shown: Arc<Shown>) -> impl IntoView {
    let notes = shown.report.notes.iter().map(|note| view! { <li>{note.clone()}</li> }).collect_view();
    let config = shown.config.clone().map(|config| {
        view! {
            <details>
                <summary>"config.json"</summary>
                <pre class="config" tabindex="0">{config}</pre>
            </details>
        }
    });
    view! {
        <section aria-labelledby="notes">
            <h2 id="notes">"Notes and configuration"</h2>
            <ul class="notes">{notes}</ul>
            {config}
        </section>
    }
}

/// Why a model can be opened here without leaving the machine.
#[component]
fn Privacy() -> impl IntoView {
    view! {
        <section aria-labelledby="privacy">
            <h2 id="privacy">"Nothing is uploaded"</h2>
            <p>
                "The page is static and does its work here, in your browser. Its security policy forbids every "
                "connection except to the address that it came from, and it only ever fetches itself from there."
            </p>
        </section>
    }
}

/// The caps that core enforces, as a table.
#[component]
fn Caps() -> impl IntoView {
    let row = |cap: caps::Cap| {
        view! {
            <tr>
                <th scope="row">{cap.subject}</th>
                <td>{cap.most}</td>
            </tr>
        }
    };
    view! {
        <section aria-labelledby="caps">
            <h2 id="caps">"The most it will read"</h2>
            <p>"A file that claims more than this is refused before any memory is set aside for it."</p>
            <table class="numbers">
                <thead>
                    <tr>
                        <th scope="col">"What"</th>
                        <th scope="col">"At most"</th>
                    </tr>
                </thead>
                <tbody>{caps::all().into_iter().map(row).collect_view()}</tbody>
            </table>
        </section>
    }
}
