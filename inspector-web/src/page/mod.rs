//! What the browser shows.

mod actions;
mod address;
mod compare;
mod drop;
mod hashes;
mod hub;
mod inspected;
mod kept;
mod markup;
mod measure;
mod measurement;
mod open;
mod picked;
mod progress;
mod session;
mod share;
mod tensors;
mod workers;

use std::sync::Arc;

use bitgauge_core::report::{Report, link};
use leptos::prelude::*;
use wasm_bindgen::prelude::*;

use self::address::Address;
use self::compare::Compare;
use self::drop::Dropped;
use self::inspected::inspected;
use self::markup::live;
use self::measurement::Measurement;
use self::open::Open;
use self::picked::{Arranged, Picked};
use self::progress::Reading;
use self::session::{Session, Stage};
use crate::headline;
use crate::markup::Markup;
use crate::sections::claim::Copy;
use crate::sections::frame::{self, Page};
use crate::sections::{accounting, budget, claim, estimate, fault, gates, layers, manifest, verdict};

/// The whole page: heading, one of three bodies, footer.
#[component]
pub fn Whole() -> impl IntoView {
    let root = document().document_element();
    let named = Page::named(root.and_then(|root| root.get_attribute("data-page")).as_deref());
    let page = RwSignal::new(named);
    // Two artifacts that were dropped on the other page.
    let pair = StoredValue::new_local(None);
    let compare = Callback::new(move |two: [Picked; 2]| {
        pair.set_value(Some(two));
        // So that a reload and a copied address lead to the comparison. Both pages have the same policy.
        let history = window().history();
        drop(history.and_then(|h| h.replace_state_with_url(&JsValue::NULL, "", Some("./compare.html"))));
        page.set(Page::Compare);
    });
    let body = move || match page.get() {
        Page::Inspect => view! { <Inspect compare /> }.into_any(),
        Page::Url => view! { <Remote /> }.into_any(),
        Page::Compare => view! { <Compare pair=pair.try_update_value(Option::take).flatten() /> }.into_any(),
    };
    // boot.js leaves it there.
    let script = document().query_selector("script[data-sha256]").ok().flatten();
    let hash = script.and_then(|script| script.get_attribute("data-sha256"));
    view! {
        {live(move || vec![frame::header(page.get())])}
        <main>{body}</main>
        {live(move || vec![frame::footer(hash.as_deref())])}
    }
}

/// Keeps the title of the browser's tab: the page, and what is shown on it.
fn titled(page: Page, shown: impl Fn() -> Option<String> + 'static) {
    Effect::new(move |_| document().set_title(&frame::title(page, shown().as_deref())));
}

/// Local files, and what a link claims of them.
#[component]
fn Inspect(compare: Callback<[Picked; 2]>) -> impl IntoView {
    let session = Session::new("inspect");
    let measurement = Measurement::new(session);
    follow_claims(session);
    session.restore();
    let claimed = move || session.claim.get().and_then(Result::ok);
    titled(Page::Inspect, move || {
        let shown = session.shown.get().map(|shown| shown.report.artifact.name.clone());
        shown.or_else(|| claimed().map(|claim| claim.artifact.name.clone()))
    });
    let picked = Callback::new(move |(arranged, _): Dropped| match arranged {
        Err(error) => session.refuse(error),
        Ok(Arranged::One(picked)) => session.take_picked(picked),
        Ok(Arranged::Two(pair)) => {
            session.cancel();
            compare.run(pair);
        }
        Ok(Arranged::Layout(layout)) => {
            wasm_bindgen_futures::spawn_local(async move { session.open_by(layout).await });
        }
        Ok(Arranged::Check { claim: report, copy }) => wasm_bindgen_futures::spawn_local(async move {
            report.report().await.transpose().into_iter().for_each(|report| session.set_claim(report));
            session.open(copy).await;
        }),
    });
    let before = move || {
        let mut parts: Vec<Markup> = session.fault().into_iter().collect();
        match session.claim.get() {
            Some(Ok(report)) => parts.push(claim::notice(&report)),
            Some(Err(error)) => parts.push(fault::fault(&error, "The report can’t be read")),
            None => {}
        }
        if let Some((claim, shown)) = claimed().zip(session.shown.get()) {
            let state = match session.stage.get() {
                stage if stage.is_whole() => Copy::Whole,
                stage if stage.is_busy() => Copy::Reading,
                _ => Copy::Part,
            };
            parts.push(claim::agreement(&claim, &shown.report, state));
        }
        parts
    };
    let after = move || match (session.shown.get(), claimed(), session.claim.get()) {
        (None, Some(claim), _) => claimed_report(&claim),
        (None, None, None) if session.stage.get() == Stage::Idle => {
            vec![frame::privacy(Page::Inspect), frame::caps()]
        }
        _ => Vec::new(),
    };
    view! {
        <Open picked />
        <Reading session />
        {live(before)}
        {move || session.shown.get().map(|shown| inspected(session, measurement, shown))}
        {live(after)}
    }
}

/// Files on another host.
#[component]
fn Remote() -> impl IntoView {
    let session = Session::new("url");
    let measurement = Measurement::new(session);
    titled(Page::Url, move || session.shown.get().map(|shown| shown.report.artifact.name.clone()));
    let over = RwSignal::new(false);
    let local = RwSignal::new(false);
    // This page's policy would let them leave the machine.
    drop::anywhere(over, Callback::new(move |_: Dropped| local.set(true)));
    let notice = move || local.get().then(frame::local_files).into_iter().collect();
    let after = move || {
        let idle = session.stage.get() == Stage::Idle;
        if idle { vec![frame::privacy(Page::Url), frame::caps()] } else { Vec::new() }
    };
    view! {
        <Address session />
        {live(notice)}
        <Reading session />
        {live(move || session.fault().into_iter().collect())}
        {move || session.shown.get().map(|shown| inspected(session, measurement, shown))}
        {live(after)}
    }
}

/// Claims what the address carries, also when that changes.
fn follow_claims(session: Session) {
    let follow = move || {
        let fragment = window().location().hash().unwrap_or_default();
        session.claim.set(link::decode(&fragment).map(|report| report.map(Arc::new)).transpose());
    };
    follow();
    let changed = Closure::<dyn FnMut()>::new(follow);
    window().set_onhashchange(Some(changed.as_ref().unchecked_ref()));
    changed.forget();
}

/// Everything that a link claims.
fn claimed_report(report: &Report) -> Vec<Markup> {
    let mut parts = vec![verdict::fixed_subject(report), verdict::claimed(headline::of(report, false))];
    parts.extend(sections_of(report));
    parts
}

/// What a report says, in sections; those that it says nothing of are left out.
fn sections_of(report: &Report) -> Vec<Markup> {
    [
        Some(gates::gates(report)),
        estimate::estimate(report),
        budget::budget(report),
        accounting::accounting(report),
        layers::layers(report),
        manifest::manifest(report),
    ]
    .into_iter()
    .flatten()
    .collect()
}
