//! The box in which a perplexity is measured: what to measure on, how far it is, and what came of it.

use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{File, HtmlInputElement};

use super::markup::live;
use super::measurement::{Measurement, Phase};
use super::session::{Session, Stage};
use super::share::copy_text;
use crate::markup::{Markup, element};
use crate::sections::fault::fault;
use crate::sections::measure::{self, MAX_TOKENS, Origin};
use bitgauge_core::report::words;

/// The box below the verdict.
#[component]
pub fn Measure(session: Session, measurement: Measurement) -> impl IntoView {
    let phase = measurement.phase;
    let is_open = Memo::new(move |_| can_be_measured(session));
    let is_busy = Memo::new(move |_| phase.get().is_busy());
    let shows_command = Memo::new(move |_| match phase.get() {
        Phase::NoGpu | Phase::Failed(_) => true,
        _ => !session.stage.get().is_busy() && !is_open.get(),
    });
    view! {
        <section class="measure" aria-labelledby="measure">
            <h2 id="measure">"Measure perplexity"</h2>
            {live(move || said(session, measurement))}
            {move || is_busy.get().then(|| view! { <Progress measurement /> }.into_any())}
            {move || (is_open.get() && !is_busy.get()).then(|| view! { <Form measurement /> }.into_any())}
            {move || shows_command.get().then(|| view! { <Command session measurement /> }.into_any())}
        </section>
    }
    .into_any()
}

/// Whether what is open is here whole, or on another host.
fn can_be_measured(session: Session) -> bool {
    let is_judged = matches!(session.stage.get(), Stage::Done | Stage::Fetched { .. });
    is_judged && session.opened().is_some()
}

/// What there is to say before the form.
fn said(session: Session, measurement: Measurement) -> Vec<Markup> {
    let notice = |words: &str| vec![element("p").class("small").text(words)];
    match session.stage.get() {
        Stage::Done | Stage::Fetched { .. } if session.opened().is_some() => {}
        Stage::Opening | Stage::Reading => {
            return notice("It can be measured here when every byte has been read.");
        }
        Stage::Kept => {
            return notice("To measure it here, open the file again. The command measures the same:");
        }
        Stage::Cancelled | Stage::Failed(_) => {
            return notice(
                "It is measured here only when every byte has been read. The command measures the same:",
            );
        }
        _ => return notice("What is shown is not open here. The command measures it:"),
    }
    let is_away = session.opened().is_some_and(|(_, away)| !away.is_empty());
    let (done, all) = (measurement.finished.read().len() as u64, measurement.documents.get() as u64);
    let kept = format!(
        "{} of {} finished; they stay, and measuring the same documents goes on with the others.",
        words::count(done),
        if done == 1 && all == 1 {
            "1 document is".to_owned()
        } else {
            format!("{} documents are", words::count(all))
        }
    );
    let kept = (done > 0).then(|| element("p").class("small").text(&kept));
    match measurement.phase.get() {
        Phase::Idle => vec![measure::about(is_away)],
        Phase::NoGpu => vec![measure::no_gpu()],
        Phase::Finished(evaluation) => vec![measure::measured(&evaluation)],
        Phase::Cancelled => {
            let words = element("p").class("notice").with("role", "status").text("Cancelled.");
            std::iter::once(words).chain(kept).collect()
        }
        Phase::Failed(error) => std::iter::once(fault(&error, "Can’t be measured")).chain(kept).collect(),
        _ => Vec::new(),
    }
}

/// What to measure on, and the button.
#[component]
fn Form(measurement: Measurement) -> impl IntoView {
    let Measurement { origin, text, tokens, files, phase, finished, .. } = measurement;
    let choice = move |which: Origin| {
        view! {
            <label class="choice">
                <input
                    type="radio"
                    name="documents"
                    prop:checked=move || origin.get() == which
                    on:change=move |_| origin.set(which)
                />
                <span>{which.name()}</span>
            </label>
        }
    };
    let choose = move |event: web_sys::Event| {
        let input = event.target().and_then(|target| target.dyn_into::<HtmlInputElement>().ok());
        let Some(list) = input.and_then(|input| input.files()) else { return };
        let chosen: Vec<File> = (0..list.length()).filter_map(|i| list.get(i)).collect();
        files.set(chosen);
    };
    let source = move || {
        match origin.get() {
        Origin::Demo => {
            let words = "24 documents about Rust’s library that the demo’s training never saw.";
            view! { <p class="small">{words}</p> }.into_any()
        }
        Origin::Files => view! {
            <div class="share__row">
                <span class="picker">
                    <input
                        id="measure-files"
                        class="picker__input"
                        type="file"
                        multiple=true
                        accept=".txt,.text,.md,.markdown,.json,.jsonl,.ndjson"
                        on:change=choose
                    />
                    <label class="button button--quiet button--small" for="measure-files">"Choose documents…"</label>
                </span>
                <p class="small measure__names">
                    {move || {
                        let names = measurement.names().join(", ");
                        if names.is_empty() { ".txt and .md hold one document, .json and .jsonl many.".to_owned() } else { names }
                    }}
                </p>
            </div>
        }.into_any(),
        Origin::Text => view! {
            <label for="measure-text">"One document, or a JSON list of texts"</label>
            <textarea
                id="measure-text"
                class="field"
                rows="5"
                spellcheck="false"
                prop:value=move || text.get()
                on:input=move |event| text.set(event_target_value(&event))
            ></textarea>
        }.into_any(),
    }
    };
    let wrong = move || measure::tokens(&tokens.read()).err();
    let label = move || match phase.get() {
        Phase::Idle | Phase::NoGpu => "Measure perplexity",
        Phase::Finished(_) => "Measure again",
        _ if finished.read().is_empty() => "Try again",
        _ => "Go on",
    };
    view! {
        <form
            class="measure__form"
            on:submit=move |event: web_sys::SubmitEvent| {
                event.prevent_default();
                measurement.start();
            }
        >
            <fieldset class="choices">
                <legend>"Documents"</legend>
                {Origin::ALL.map(choice)}
            </fieldset>
            <div class="measure__source">{source}</div>
            <div class="share__row">
                <label for="measure-tokens">"Longest document, in tokens"</label>
                <input
                    id="measure-tokens"
                    class="field measure__tokens"
                    inputmode="numeric"
                    autocomplete="off"
                    aria-describedby="measure-wrong"
                    prop:value=move || tokens.get()
                    on:input=move |event| tokens.set(event_target_value(&event))
                />
                <p id="measure-wrong" class="small">{wrong}</p>
            </div>
            <div><button class="button" disabled=move || !measurement.is_ready()>{label}</button></div>
        </form>
    }
}

/// How far it is, and the way out.
#[component]
fn Progress(measurement: Measurement) -> impl IntoView {
    let phase = measurement.phase;
    let adapter = move || {
        let adapter = measurement.adapter.get();
        adapter.map(|adapter| format!("{} · {} of weights", adapter.name, words::bytes(adapter.model_bytes)))
    };
    let so_far = move || measure::so_far(&measurement.finished.read(), measurement.documents.get());
    view! {
        <div class="reading">
            <label class="reading__label" for="measuring" aria-live="polite">{move || step(&phase.get())}</label>
            {move || match fraction(&phase.get()) {
                Some(fraction) => view! { <progress id="measuring" max="1" value=format!("{fraction:.4}")></progress> }.into_any(),
                None => view! { <progress id="measuring" max="1"></progress> }.into_any(),
            }}
            <button type="button" class="button button--quiet" on:click=move |_| measurement.cancel()>"Cancel"</button>
            <p class="reading__words">{move || particulars(&phase.get())}</p>
            <p class="reading__words">{adapter}</p>
            <p class="reading__words measure__so-far" aria-live="polite">{so_far}</p>
        </div>
    }
}

/// What is done now.
fn step(phase: &Phase) -> &'static str {
    match phase {
        Phase::Tokenizing { .. } => "Tokenizing the documents",
        Phase::Opening => "Opening the GPU",
        Phase::Unpacking { .. } => "Unpacking the weights",
        Phase::Loading { .. } => "Loading the weights",
        Phase::Checking { .. } => "Checking the kernels",
        Phase::Running { .. } => "Measuring",
        _ => "Preparing",
    }
}

/// How much of that is done, where it is known.
fn fraction(phase: &Phase) -> Option<f64> {
    let (Phase::Tokenizing { done, total }
    | Phase::Unpacking { done, total }
    | Phase::Loading { done, total }
    | Phase::Checking { done, total, .. }
    | Phase::Running { done, total, .. }) = phase
    else {
        return None;
    };
    (*total > 0).then(|| *done as f64 / *total as f64)
}

fn particulars(phase: &Phase) -> String {
    match phase {
        Phase::Tokenizing { done, total } if *total > 0 => {
            format!("{} of {}", words::count(*done), words::plural(*total, "document"))
        }
        Phase::Unpacking { done, total } | Phase::Loading { done, total } => {
            format!("{} of {}", words::bytes(*done), words::bytes(*total))
        }
        Phase::Checking { kernel, done, total } => {
            format!("{kernel} · {} of {}", words::count(*done), words::plural(*total, "kernel"))
        }
        Phase::Running { done, total, seconds } => measure::running(*done, *total, *seconds),
        Phase::Opening => "Its module is fetched first.".to_owned(),
        _ => String::new(),
    }
}

/// The command that measures the same, and a button that copies it.
#[component]
fn Command(session: Session, measurement: Measurement) -> impl IntoView {
    let copied = RwSignal::new(false);
    let command = move || {
        let shown = session.shown.get();
        let artifact = shown.map(|shown| {
            let artifact = &shown.report.artifact;
            artifact
                .source
                .as_ref()
                .map_or_else(|| artifact.name.clone(), |source| source.as_str().to_owned())
        });
        let tokens = measure::tokens(&measurement.tokens.read()).unwrap_or(MAX_TOKENS);
        measure::command(
            &artifact.unwrap_or_default(),
            measurement.origin.get(),
            &measurement.names(),
            tokens,
        )
    };
    let copy = move |_| {
        if let Some(field) = document().get_element_by_id("measure-command") {
            copy_text(field.unchecked_ref(), copied);
        }
    };
    view! {
        <div class="share__row measure__command">
            <input
                id="measure-command"
                class="field mono"
                aria-label="The command that measures the same"
                readonly=true
                prop:value=command
            />
            <button type="button" class="button button--quiet" on:click=copy>
                {move || if copied.get() { "Copied" } else { "Copy command" }}
            </button>
        </div>
    }
}
