//! Two artifacts, reports or links side by side.

use std::sync::Arc;

use bitgauge_core::Error;
use bitgauge_core::report::{Report, link};
use leptos::prelude::*;
use web_sys::Element;

use super::drop::{Dropped, anywhere};
use super::markup::live;
use super::open::Picker;
use super::picked::{Arranged, Picked};
use super::progress::Reading;
use super::session::{Session, Stage};
use super::titled;
use crate::headline;
use crate::markup::Markup;
use crate::sections::frame::{self, Page};
use crate::sections::{claim, comparison, fault, verdict};

/// One of the two: a file that is inspected here, or a report that somebody made.
#[derive(Clone, Copy)]
struct Side {
    /// What its elements' ids end in.
    id: &'static str,
    title: &'static str,
    session: Session,
}

impl Side {
    fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, session: Session::new(id) }
    }

    fn is_empty(self) -> bool {
        self.session.stage.get_untracked() == Stage::Idle
            && self.session.claim.with_untracked(Option::is_none)
    }

    /// The name of what stands there.
    fn name(self) -> Option<String> {
        self.read(|report| report.artifact.name.clone())
    }

    fn open(self, picked: Picked) {
        self.session.forget();
        self.session.take_picked(picked);
    }

    fn open_by(self, layout: String) {
        let session = self.session;
        wasm_bindgen_futures::spawn_local(async move { session.open_by(layout).await });
    }

    /// Takes a link, or only what follows its `#`; anything else but nothing is refused.
    fn paste(self, text: &str) {
        let text = text.trim();
        let fragment = text.find('#').map_or(text, |start| &text[start..]);
        self.session.forget();
        let decoded = link::decode(fragment).transpose();
        self.session
            .claim
            .set(decoded.or_else(|| (!text.is_empty()).then(|| Err(no_link(text)))).map(|r| r.map(Arc::new)));
    }

    /// What `read` makes of its report, where it has one.
    fn read<T>(self, read: impl FnOnce(&Report) -> T) -> Option<T> {
        match self.session.claim.get() {
            Some(claim) => claim.ok().map(|report| read(&report)),
            None => self.session.shown.get().map(|shown| read(&shown.report)),
        }
    }

    /// What is known of it so far.
    fn summary(self) -> Vec<Markup> {
        if let Some(Err(error)) = self.session.claim.get() {
            return vec![fault::fault(&error, "Can’t be read")];
        }
        let mut parts: Vec<Markup> = self.session.fault().into_iter().collect();
        let is_claim = self.session.claim.with(Option::is_some);
        let known = self.read(|report| {
            let headline = headline::of(report, self.session.stage.get().is_busy());
            let headline = if is_claim { verdict::claimed(headline) } else { verdict::verdict(&headline) };
            [verdict::fixed_subject(report), headline]
        });
        parts.extend(known.into_iter().flatten());
        parts
    }
}

fn no_link(text: &str) -> Error {
    let start: String = text.chars().take(40).collect();
    Error::new(bitgauge_core::ErrorKind::Malformed, "this is not a link to a report")
        .expected_found("an address with #r=… in it", start)
        .hint("copy the whole link")
}

/// The two, and their differences once both are known. `pair` are the first two, where they came before the page.
#[component]
pub fn Compare(pair: Option<[Picked; 2]>) -> impl IntoView {
    let sides = [Side::new("first", "First"), Side::new("second", "Second")];
    let [first, second] = sides;
    let fragment = window().location().hash().unwrap_or_default();
    match pair {
        Some(pair) => open_both(sides, pair),
        None if fragment.is_empty() => sides.iter().for_each(|side| _ = side.session.restore()),
        None => first.paste(&fragment),
    }
    titled(Page::Compare, move || Some(format!("{} and {}", first.name()?, second.name()?)));
    let over = RwSignal::new(false);
    anywhere(
        over,
        Callback::new(move |(arranged, on): Dropped| match arranged {
            Ok(Arranged::Two(pair)) => open_both(sides, pair),
            Ok(Arranged::Check { claim, copy }) => open_both(sides, [claim, copy]),
            Ok(Arranged::One(picked)) => chosen(sides, on.as_ref()).open(picked),
            Ok(Arranged::Layout(layout)) => chosen(sides, on.as_ref()).open_by(layout),
            Err(error) => chosen(sides, on.as_ref()).session.refuse(error),
        }),
    );
    let differences = move || {
        let both = first.read(|left| second.read(|right| compared([first, second], [left, right])));
        both.flatten().unwrap_or_else(|| {
            let is_idle = sides.iter().all(|side| side.session.stage.get() == Stage::Idle);
            is_idle.then(|| frame::privacy(Page::Compare)).into_iter().collect()
        })
    };
    view! {
        <div class="sides" class:sides--over=move || over.get()>
            {sides.map(|side| view! { <Choose side /> }).into_iter().collect_view()}
        </div>
        <p class="open__hint">"Drop one or two files or folders anywhere on this page."</p>
        {live(differences)}
    }
}

fn open_both(sides: [Side; 2], pair: [Picked; 2]) {
    sides.into_iter().zip(pair).for_each(|(side, picked)| side.open(picked));
}

/// The side that something was dropped on; otherwise the first that is empty, or the second.
fn chosen(sides: [Side; 2], on: Option<&Element>) -> Side {
    let label = on.and_then(|on| on.closest(".side").ok().flatten()?.get_attribute("aria-label"));
    let dropped = sides.into_iter().find(|side| label.as_deref() == Some(side.title));
    dropped.or_else(|| sides.into_iter().find(|side| side.is_empty())).unwrap_or(sides[1])
}

/// The comparison, behind what became of a claim where one of the two is a file that was inspected here.
fn compared(sides: [Side; 2], [left, right]: [&Report; 2]) -> Vec<Markup> {
    let is_busy = sides.iter().any(|side| side.session.stage.get().is_busy());
    let answers = match sides.map(|side| side.session.claim.with(Option::is_some)) {
        [true, false] if !is_busy => Some(claim::answered(left, right)),
        [false, true] if !is_busy => Some(claim::answered(right, left)),
        _ => None,
    };
    answers.into_iter().chain(comparison::comparison(left, right)).collect()
}

/// Chooses one of the two.
#[component]
fn Choose(side: Side) -> impl IntoView {
    let picked = Callback::new(move |(arranged, _): Dropped| match arranged {
        Ok(Arranged::One(picked)) => side.open(picked),
        Ok(Arranged::Layout(layout)) => side.open_by(layout),
        // One of several, since the other side has its own.
        Ok(Arranged::Two([picked, _]) | Arranged::Check { copy: picked, .. }) => side.open(picked),
        Err(error) => side.session.refuse(error),
    });
    let is_known =
        move || side.session.stage.get() != Stage::Idle || side.session.claim.with(Option::is_some);
    let field = format!("link-{}", side.id);
    view! {
        <section class="side" aria-label=side.title>
            <div class="open">
                <h2>{side.title}</h2>
                <div class="open__buttons">
                    <Picker id=format!("pick-{}", side.id) label="A file or report…" folder=false picked />
                    <Picker id=format!("pick-folder-{}", side.id) label="A folder…" folder=true picked />
                    {move || is_known().then(|| view! {
                        <button type="button" class="button button--quiet" on:click=move |_| side.session.forget()>"Clear"</button>
                    }.into_any())}
                </div>
                <label for=field.clone()>"or a link with a report inside"</label>
                <input
                    id=field
                    class="field mono"
                    autocomplete="off"
                    spellcheck="false"
                    on:input=move |event| side.paste(&event_target_value(&event))
                />
            </div>
            <Reading session=side.session />
            {live(move || side.summary())}
        </section>
    }
}
