//! The verdict, and what it is about.

use bitgauge_core::contract::Pack;
use bitgauge_core::report::Report;
use leptos::prelude::*;

use super::session::{Session, Stage};
use crate::headline::{Headline, Tone};
use crate::text;

/// The verdict in a word, a sign and a colour, and what it rests on.
#[component]
pub fn Verdict(headline: Headline, #[prop(optional)] claimed: bool) -> impl IntoView {
    let Headline { tone, word, sentence } = headline;
    view! {
        <div class=format!("verdict verdict--{}", tone.class()) class:verdict--claimed=claimed role="status">
            <Mark tone />
            <div>
                <h2 class="verdict__word">{if claimed { format!("Claimed: {}", word.to_ascii_lowercase()) } else { word }}</h2>
                <p class="verdict__sentence">{sentence}</p>
            </div>
        </div>
    }
}

/// The sign of a verdict or a gate; the word beside it says the same.
#[component]
pub fn Mark(tone: Tone) -> impl IntoView {
    view! { <span class=format!("mark mark--{}", tone.class()) aria-hidden="true">{tone.sign()}</span> }
}

/// What was inspected, in one line, and whose limits apply.
#[component]
pub fn Subject(report: Report, #[prop(optional)] children: Option<Children>) -> impl IntoView {
    let mut facts = vec![text::bytes(report.artifact.size_bytes)];
    if let Some(model) = &report.model {
        facts.push(model.model_type.clone());
        facts.extend(model.parameters.map(|p| format!("{} parameters", text::count(p))));
    }
    facts.extend(report.accounting.bits_per_parameter.map(|bits| format!("{bits:.4} bits per parameter")));
    view! {
        <div class="subject">
            <div>
                <p class="subject__name">{report.artifact.name.clone()}</p>
                <p class="subject__facts">{facts.join(" · ")}</p>
            </div>
            {match children {
                Some(children) => children().into_any(),
                None => view! { <p class="subject__facts">{report.pack.name()} " limits"</p> }.into_any(),
            }}
        </div>
    }
}

/// Chooses whose limits apply.
#[component]
pub fn Packs(session: Session) -> impl IntoView {
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
