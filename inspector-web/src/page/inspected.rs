//! Everything about the artifact that was opened.

use std::sync::Arc;

use bitgauge_core::contract::Rules;
use leptos::prelude::*;

use super::actions::Actions;
use super::hashes::Hashes;
use super::markup::live;
use super::measure::Measure;
use super::measurement::Measurement;
use super::sections_of;
use super::session::{Session, Shown, Stage};
use super::tensors::Tensors;
use crate::headline;
use crate::markup::element;
use crate::sections::{notes, verdict};

/// A report that was made here.
pub fn inspected(session: Session, measurement: Measurement, shown: Arc<Shown>) -> AnyView {
    let subject = verdict::subject(&shown.report);
    let judged = Arc::clone(&shown);
    let verdict = move || match session.stage.get() {
        Stage::Failed(_) => {
            let words = "This is what the headers alone say. It is not a verdict.";
            vec![element("p").class("notice").text(words)]
        }
        stage => vec![verdict::verdict(&headline::of(&judged.report, stage.is_busy()))],
    };
    let parts = sections_of(&shown.report);
    // A proxy's artifact has no files and so no model.
    let has_model = !shown.report.artifact.members.is_empty();
    let notes = notes::notes(&shown.report, shown.config.as_deref());
    view! {
        <article class="result" aria-label="Report">
            <div class="subject">{live(move || vec![subject.clone()])} <Packs session /></div>
            {live(verdict)}
            <Actions session shown=Arc::clone(&shown) />
            {has_model.then(|| view! { <Measure session measurement /> }.into_any())}
            {live(move || parts.clone())}
            <Tensors shown=Arc::clone(&shown) />
            <Hashes session shown=Arc::clone(&shown) />
            {live(move || vec![notes.clone()])}
        </article>
    }
    .into_any()
}

/// Chooses whose limits apply.
#[component]
fn Packs(session: Session) -> impl IntoView {
    let choice = move |rules: Rules| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="pack"
                    prop:checked=move || session.rules.get() == rules
                    disabled=move || matches!(session.stage.get(), Stage::Cancelled | Stage::Failed(_) | Stage::Kept)
                    on:change=move |_| session.judge(rules)
                />
                <span>{rules.name()}</span>
            </label>
        }
    };
    view! {
        <fieldset class="choices">
            <legend>"Limits"</legend>
            {choice(Rules::Binary)}
            {choice(Rules::Ternary)}
        </fieldset>
    }
}
