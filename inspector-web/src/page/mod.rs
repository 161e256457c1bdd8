//! What the browser shows.

mod accounting;
mod actions;
mod fault;
mod open;
mod picked;
mod progress;
mod session;
mod verdict;

use std::sync::Arc;

use leptos::prelude::*;

use self::accounting::Accounting;
use self::actions::Actions;
use self::fault::Fault;
use self::open::Open;
use self::progress::Reading;
use self::session::{Session, Shown, Stage};
use self::verdict::{Gates, Subject, Verdict};
use crate::caps;

/// The whole page.
#[component]
pub fn Page() -> impl IntoView {
    let session = Session::new();
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
            {move || session.shown.get().map(|shown| view! { <Result session shown /> })}
            {move || (session.stage.get() == Stage::Idle).then(|| view! { <Privacy /><Caps /> })}
        </main>
        <footer>
            <p>{concat!("Version ", env!("CARGO_PKG_VERSION"))}</p>
            <p>"MIT or Apache-2.0"</p>
        </footer>
    }
}

/// Everything about one report.
#[component]
fn Result(session: Session, shown: Arc<Shown>) -> impl IntoView {
    let report = shown.report.clone();
    view! {
        <article class="result" aria-label="Report">
            <Subject session shown=Arc::clone(&shown) />
            <Verdict session shown=Arc::clone(&shown) />
            <Actions session shown=Arc::clone(&shown) />
            <Gates report=report.clone() />
            <Accounting report />
        </article>
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
