//! The pass over the bytes: how far, how fast, how long, and its end.

use leptos::prelude::*;

use super::session::{Progress, Session, Stage};
use crate::text;

/// Shown while the worker is at work, and after a Cancel.
#[component]
pub fn Reading(session: Session) -> impl IntoView {
    let busy = Memo::new(move |_| session.stage.get().is_busy());
    view! {
        {move || busy.get().then(|| view! { <Bar session /> })}
        {move || {
            (session.stage.get() == Stage::Cancelled)
                .then(|| {
                    view! {
                        <p class="notice" role="status">
                            "Cancelled. What the headers show stays below; the weights were not read to the end."
                        </p>
                    }
                })
        }}
    }
}

#[component]
fn Bar(session: Session) -> impl IntoView {
    let fraction = move || session.progress.get().map_or(0.0, |p| p.done as f64 / (p.total as f64).max(1.0));
    let words = move || session.progress.get().map_or_else(|| "Reading the headers…".into(), words);
    // The live region changes only at tenths, or it would never stop talking.
    let tenth = Memo::new(move |_| (fraction() * 10.0) as u32);
    view! {
        <div class="reading">
            <label class="reading__label" for="reading">"Hashing and checking " {move || session.name.get()}</label>
            <progress id="reading" max="1" value=move || format!("{:.4}", fraction())></progress>
            <button type="button" class="button button--quiet" on:click=move |_| session.cancel()>"Cancel"</button>
            <p class="reading__words">{words}</p>
            <p class="hidden" aria-live="polite">{move || format!("{} % read", tenth.get() * 10)}</p>
        </div>
    }
}

fn words(progress: Progress) -> String {
    let Progress { done, total, seconds } = progress;
    let rate = done as f64 / seconds.max(0.001);
    let left = (total.saturating_sub(done)) as f64 / rate.max(1.0);
    format!(
        "{} of {} · {}/s · {} left",
        text::bytes(done),
        text::bytes(total),
        text::bytes(rate as u64),
        text::duration(left)
    )
}
