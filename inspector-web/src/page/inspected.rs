//! Everything about the artifact that was opened.

use std::sync::Arc;

use bitgauge_core::contract::Pack;
use leptos::prelude::*;

use super::actions::Actions;
use super::hashes::Hashes;
use super::markup::live;
use super::sections_of;
use super::session::{Session, Shown, Stage};
use super::tensors::Tensors;
use crate::headline;
use crate::markup::{Markup, details, element, section};
use crate::sections::verdict;

/// A report that was made here.
pub fn inspected(session: Session, shown: Arc<Shown>) -> AnyView {
    let subject = verdict::subject(&shown.report);
    let judged = Arc::clone(&shown);
    let verdict = move || match session.stage.get() {
        Stage::Failed(_) => {
            let words = "The headers alone say the following. It is no verdict.";
            vec![element("p").class("notice").text(words)]
        }
        stage => vec![verdict::verdict(&headline::of(&judged.report, stage.is_busy()))],
    };
    let parts = sections_of(&shown.report);
    let notes = notes(&shown);
    view! {
        <article class="result" aria-label="Report">
            <div class="subject">{live(move || vec![subject.clone()])} <Packs session /></div>
            {live(verdict)}
            <Actions session shown=Arc::clone(&shown) />
            {live(move || parts.clone())}
            <Tensors shown=Arc::clone(&shown) />
            <Hashes session shown=Arc::clone(&shown) />
            {live(move || vec![notes.clone()])}
        </article>
    }
    .into_any()
}

/// config.json as it is, what else there is to know.
fn notes(shown: &Shown) -> Markup {
    let notes = shown.report.notes.iter().map(|note| element("li").text(note));
    let config = shown.config.as_ref().map(|config| {
        details("config.json", element("pre").class("config").with("tabindex", 0).text(config))
    });
    section("notes", "Notes and configuration")
        .child(element("ul").class("notes").children(notes))
        .children(config)
}

/// Chooses whose limits apply.
#[component]
fn Packs(session: Session) -> impl IntoView {
    let choice = move |pack: Pack| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="pack"
                    prop:checked=move || session.pack.get() == pack
                    disabled=move || matches!(session.stage.get(), Stage::Cancelled | Stage::Failed(_))
                    on:change=move |_| session.judge(pack)
                />
                <span>{pack.name()}</span>
            </label>
        }
    };
    view! {
        <fieldset class="choices">
            <legend>"Limits"</legend>
            {choice(Pack::Binary)}
            {choice(Pack::Ternary)}
        </fieldset>
    }
}
