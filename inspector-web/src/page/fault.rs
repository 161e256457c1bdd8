//! Why an artifact could not be judged.

use bitgauge_core::Error;
use leptos::prelude::*;

use super::verdict::Mark;
use crate::headline::Tone;

/// What is wrong, where, what was expected and found, and what to do.
#[component]
pub fn Fault(error: Error, #[prop(default = "Can’t be judged")] title: &'static str) -> impl IntoView {
    let place = match (error.place.is_empty(), error.offset) {
        (false, Some(offset)) => format!("{}, byte {offset}", error.place),
        (false, None) => error.place.clone(),
        (true, Some(offset)) => format!("byte {offset}"),
        (true, None) => String::new(),
    };
    let row = |label: &'static str, value: String| {
        (!value.is_empty()).then(|| view! { <div><dt>{label}</dt><dd>{value}</dd></div> })
    };
    view! {
        <div class="verdict verdict--bad" role="alert">
            <Mark tone=Tone::Bad />
            <div>
                <h2 class="verdict__word">{title}</h2>
                <p class="verdict__sentence">{error.what.clone()}</p>
                <dl class="fault">
                    {row("where", place)}
                    {row("expected", error.expected.clone())}
                    {row("found", error.found.clone())}
                    {row("what to do", error.hint.clone().unwrap_or_default())}
                </dl>
            </div>
        </div>
    }
}
