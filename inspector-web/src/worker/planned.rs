//! How the worker that measures is to load what is open.

use bitgauge_core::inventory::Inventory;
use bitgauge_core::plan::Plan;
use bitgauge_core::{Error, ErrorKind, Result};

use super::{SUBJECT, send};
use crate::protocol::Event;

/// Tells the page.
pub fn tell() -> Result<()> {
    SUBJECT.with_borrow(|subject| {
        let subject = subject.as_ref().ok_or_else(|| {
            Error::new(ErrorKind::Missing, "nothing is open that could be measured")
                .hint("open the model again")
        })?;
        let place = |error: Error| error.within(&subject.name);
        let inventory = Inventory::of(&subject.artifact).map_err(place)?;
        let plan = Plan::of(&inventory).map_err(place)?.to_json();
        send(&Event::Plan { plan });
        Ok(())
    })
}
