//! Two artifacts, reports or links side by side.

use std::sync::Arc;

use bitgauge_core::Error;
use bitgauge_core::report::{Report, link};
use leptos::prelude::*;

use super::markup::live;
use super::open::Picker;
use super::picked::Picked;
use super::progress::Reading;
use super::session::{Session, Stage};
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
    claim: RwSignal<Option<Result<Arc<Report>, Error>>>,
}

impl Side {
    fn new(id: &'static str, title: &'static str) -> Self {
        Self { id, title, session: Session::new(), claim: RwSignal::new(None) }
    }

    fn open(self, picked: Picked) {
        self.claim.set(None);
        self.session.take_picked(picked, self.claim);
    }

    /// Takes a link, or only what follows its `#`; anything else but nothing is refused.
    fn paste(self, text: &str) {
        let text = text.trim();
        let fragment = text.find('#').map_or(text, |start| &text[start..]);
        self.session.close();
        let decoded = link::decode(fragment).transpose();
        self.claim
            .set(decoded.or_else(|| (!text.is_empty()).then(|| Err(no_link(text)))).map(|r| r.map(Arc::new)));
    }

    /// What `read` makes of its report, where it has one.
    fn read<T>(self, read: impl FnOnce(&Report) -> T) -> Option<T> {
        match self.claim.get() {
            Some(claim) => claim.ok().map(|report| read(&report)),
            None => self.session.shown.get().map(|shown| read(&shown.report)),
        }
    }

    /// What is known of it so far.
    fn summary(self) -> Vec<Markup> {
        if let Some(Err(error)) = self.claim.get() {
            return vec![fault::fault(&error, "Can’t be read")];
        }
        let mut parts: Vec<Markup> = self.session.fault().into_iter().collect();
        let is_claim = self.claim.with(Option::is_some);
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

/// The two, and their differences once both are known.
#[component]
pub fn Compare() -> impl IntoView {
    let sides = [Side::new("first", "First"), Side::new("second", "Second")];
    sides[0].paste(&window().location().hash().unwrap_or_default());
    let [first, second] = sides;
    let differences = move || {
        let both = first.read(|left| second.read(|right| compared([first, second], [left, right])));
        both.flatten().unwrap_or_else(|| {
            let is_idle = sides.iter().all(|side| side.session.stage.get() == Stage::Idle);
            is_idle.then(|| frame::privacy(Page::Compare)).into_iter().collect()
        })
    };
    view! {
        <div class="sides">{sides.map(|side| view! { <Choose side /> }).into_iter().collect_view()}</div>
        {live(differences)}
    }
}

/// The comparison, behind what became of a claim where one of the two is a file that was inspected here.
fn compared(sides: [Side; 2], [left, right]: [&Report; 2]) -> Vec<Markup> {
    let is_busy = sides.iter().any(|side| side.session.stage.get().is_busy());
    let answers = match sides.map(|side| side.claim.with(Option::is_some)) {
        [true, false] if !is_busy => Some(claim::answered(left, right)),
        [false, true] if !is_busy => Some(claim::answered(right, left)),
        _ => None,
    };
    answers.into_iter().chain(comparison::comparison(left, right)).collect()
}

/// Chooses one of the two.
#[component]
fn Choose(side: Side) -> impl IntoView {
    let field = format!("link-{}", side.id);
    view! {
        <section class="side" aria-label=side.title>
            <div class="open">
                <h2>{side.title}</h2>
                <div class="open__buttons">
                    <Picker id=format!("pick-{}", side.id) label="A file or report…" folder=false picked=Callback::new(move |p| side.open(p)) />
                    <Picker id=format!("pick-folder-{}", side.id) label="A folder…" folder=true picked=Callback::new(move |p| side.open(p)) />
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
