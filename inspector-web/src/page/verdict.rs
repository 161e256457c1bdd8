//! The verdict, and every gate with its figures.

use std::sync::Arc;

use bitgauge_core::contract::Pack;
use bitgauge_core::report::{Gate, Report};
use leptos::prelude::*;

use super::session::{Session, Shown, Stage};
use crate::headline::{self, Tone};
use crate::text;

/// The verdict in a word, a sign and a colour, and what it rests on.
#[component]
pub fn Verdict(session: Session, shown: Arc<Shown>) -> impl IntoView {
    let headline = move || {
        let reading = session.stage.get().is_busy();
        headline::of(&shown.report, reading)
    };
    view! {
        {move || {
            if matches!(session.stage.get(), Stage::Failed(_)) {
                return view! { <p class="notice">"The headers alone say the following. It is no verdict."</p> }.into_any();
            }
            let headline = headline();
            view! {
                <div class=format!("verdict verdict--{}", headline.tone.class()) role="status">
                    <Mark tone=headline.tone />
                    <div>
                        <h2 class="verdict__word">{headline.word}</h2>
                        <p class="verdict__sentence">{headline.sentence}</p>
                    </div>
                </div>
            }
                .into_any()
        }}
    }
}

/// The sign of a verdict or a gate; the word beside it says the same.
#[component]
pub fn Mark(tone: Tone) -> impl IntoView {
    view! { <span class=format!("mark mark--{}", tone.class()) aria-hidden="true">{tone.sign()}</span> }
}

/// What was inspected, in one line, and whose limits apply.
#[component]
pub fn Subject(session: Session, shown: Arc<Shown>) -> impl IntoView {
    let report = &shown.report;
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
            <Packs session />
        </div>
    }
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

/// Every gate, in the validator's order.
#[component]
pub fn Gates(report: Report) -> impl IntoView {
    view! {
        <section aria-labelledby="gates">
            <h2 id="gates">"Gates"</h2>
            <ol class="gates">{report.gates.into_iter().map(|gate| view! { <GateRow gate /> }).collect_view()}</ol>
        </section>
    }
}

#[component]
fn GateRow(gate: Gate) -> impl IntoView {
    let tone = headline::tone(gate.outcome);
    let figure = |label: &'static str, value: Option<String>| {
        value.map(|value| view! { <div><dt>{label}</dt><dd>{value}</dd></div> })
    };
    let unit = gate.unit.name();
    // A gate that wants none of something counts what is wrong.
    let faults = gate.wanted == Some(0);
    view! {
        <li class=format!("gate gate--{}", tone.class()) id=format!("gate-{}", gate.id)>
            <p class="gate__outcome"><Mark tone />{headline::word(gate.outcome)}</p>
            <div class="gate__what">
                <h3>{headline::capitalised(&gate.title)}</h3>
                {(!gate.details.is_empty())
                    .then(|| {
                        let details = gate.details.iter().map(|detail| view! { <li>{detail.clone()}</li> });
                        view! { <ul class="gate__details">{details.collect_view()}</ul> }
                    })}
                {gate.hint.as_ref().map(|hint| view! { <p class="gate__fix"><b>"How to fix: "</b>{hint.clone()}</p> })}
                {(!gate.rule.is_empty()).then(|| view! { <p class="gate__rule">"Rule: " {gate.rule.clone()}</p> })}
            </div>
            <dl class="gate__figures">
                {figure(if faults { "at fault" } else { "has" }, gate.got.map(|got| format!("{} {unit}", text::count(got))))}
                {(!faults).then(|| figure("limit", gate.wanted.map(text::count)))}
                {(!faults).then(|| figure("margin", headline::margin(&gate)))}
            </dl>
        </li>
    }
}
