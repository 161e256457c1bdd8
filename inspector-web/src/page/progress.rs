//! The pass over the bytes: how far, how fast, how long, and its end.

use bitgauge_core::report::words;
use leptos::prelude::*;

use super::markup::live;
use super::session::{Progress, Session, Stage};
use crate::markup::{Markup, element};
use crate::sections::hashes;
use crate::text;

/// Shown while the worker is at work, and after a Cancel.
#[component]
pub fn Reading(session: Session) -> impl IntoView {
    let busy = Memo::new(move |_| session.stage.get().is_busy());
    let fetched = Memo::new(move |_| matches!(session.stage.get(), Stage::Fetched { .. }));
    view! {
        {move || busy.get().then(|| view! { <Bar session /> }.into_any())}
        {live(move || {
            let is_whole = session.shown.get().is_some_and(|shown| !hashes::known(&shown.report).is_empty());
            notice(&session.stage.get(), is_whole).into_iter().collect()
        })}
        {move || {
            let bytes = fetched.get().then(|| session.shown.get()).flatten()?.report.artifact.size_bytes;
            Some(view! {
                <button type="button" class="button button--quiet fetch" on:click=move |_| session.read_all(false)>
                    {format!("Fetch and check all {}", words::bytes(bytes))}
                </button>
            }.into_any())
        }}
    }
}

/// What ended the reading before the end; `is_whole` when every byte had been read before.
fn notice(stage: &Stage, is_whole: bool) -> Option<Markup> {
    let words = match stage {
        Stage::Cancelled if is_whole => "Cancelled. The tensors have no hashes of their own.".to_owned(),
        Stage::Cancelled => {
            "Cancelled. What the headers show stays below; the weights were not read to the end.".to_owned()
        }
        Stage::Fetched { requests, bytes } => format!(
            "The headers took {} and {}. The weights were not read.",
            words::plural(*requests, "request"),
            words::bytes(*bytes)
        ),
        Stage::Kept => {
            "This was found earlier in this tab. To read the file again, open it again.".to_owned()
        }
        _ => return None,
    };
    Some(element("p").class("notice").with("role", "status").text(&words))
}

#[component]
fn Bar(session: Session) -> impl IntoView {
    let fraction = move || session.progress.get().map_or(0.0, |p| p.done as f64 / (p.total as f64).max(1.0));
    let words = move || session.progress.get().map_or_else(|| "Reading the headers…".into(), words);
    // The live region changes only at tenths, or it would never stop talking.
    let tenths = move || format!("{} % read", 10 * (fraction() * 10.0) as u32);
    view! {
        <div class="reading">
            <label class="reading__label" for="reading">"Hashing and checking " {move || session.name.get()}</label>
            <progress id="reading" max="1" value=move || format!("{:.4}", fraction())></progress>
            <button type="button" class="button button--quiet" on:click=move |_| session.cancel()>"Cancel"</button>
            <p class="reading__words">{words}</p>
            <p class="hidden" aria-live="polite">{tenths}</p>
        </div>
    }
}

fn words(progress: Progress) -> String {
    let Progress { done, total, seconds } = progress;
    let rate = done as f64 / seconds.max(0.001);
    let left = (total.saturating_sub(done)) as f64 / rate.max(1.0);
    format!(
        "{} of {} · {}/s · {} left",
        words::bytes(done),
        words::bytes(total),
        words::bytes(rate as u64),
        text::duration(left)
    )
}
