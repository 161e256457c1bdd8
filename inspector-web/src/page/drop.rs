//! Files dropped anywhere on the page. Without this the browser would leave the page for the file.

use bitgauge_core::Error;
use leptos::prelude::*;
use wasm_bindgen::prelude::*;
use web_sys::{DragEvent, Element};

use super::picked::{Arranged, Picked};

/// What was dropped, or why it can't be read, and the element that it was dropped on.
pub type Dropped = (Result<Arranged, Error>, Option<Element>);

/// Calls with what is dropped on the page from now on, until its caller is gone from it.
pub fn anywhere(over: RwSignal<bool>, dropped: Callback<Dropped>) {
    let files = |event: &DragEvent| {
        event.data_transfer().filter(|transfer| transfer.types().includes(&"Files".into(), 0))
    };
    let handles = [
        window_event_listener(leptos::ev::dragover, move |event: DragEvent| {
            if files(&event).is_some() {
                event.prevent_default();
                over.set(true);
            }
        }),
        window_event_listener(leptos::ev::dragleave, move |event: DragEvent| {
            // Into another element of the page otherwise.
            if event.related_target().is_none() {
                over.set(false);
            }
        }),
        window_event_listener(leptos::ev::drop, move |event: DragEvent| {
            over.set(false);
            let Some(transfer) = files(&event) else { return };
            event.prevent_default();
            let on = event.target().and_then(|target| target.dyn_into::<Element>().ok());
            wasm_bindgen_futures::spawn_local(async move {
                let arranged = match Picked::from_drop(transfer).await {
                    Ok(picked) => Picked::arranged(picked).await,
                    Err(error) => Err(error),
                };
                arranged.transpose().into_iter().for_each(|arranged| dropped.run((arranged, on.clone())));
            });
        }),
    ];
    on_cleanup(move || handles.into_iter().for_each(|handle| handle.remove()));
}
