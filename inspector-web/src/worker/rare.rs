//! Files that only the worker for rarer formats reads: tars compressed with bzip2, xz or its elder, zips with such
//! members, and JSON artifacts. It is a module of its own (`src/bin/formats.rs`), fetched when one of them is opened, so
//! that the page stays small.

use bitgauge_core::Result;
use bitgauge_core::container::Need;
use bitgauge_core::contract::{Rules, proxy};

use super::read::Source;
use super::send;
use crate::protocol::Event;

/// White space and the first character of a JSON text.
const BEGINNING_BYTES: u64 = 512;

/// Opens a JSON artifact; says whether the file is one.
pub async fn open_json(name: &str, source: &Source, rules: Rules) -> Result<bool> {
    let [len] = source.lengths()[..] else { return Ok(false) };
    let (_, first) = source.range(Need { file: 0, offset: 0, len: len.min(BEGINNING_BYTES) }).await?;
    if !proxy::looks_like_json(&first) {
        return Ok(false);
    }
    #[cfg(feature = "formats")]
    json::open(name, source, rules).await?;
    #[cfg(not(feature = "formats"))]
    {
        _ = (name, rules);
        pass_on();
    }
    Ok(true)
}

/// Judges an open JSON artifact by other rules; says whether one is open.
pub fn judge_json(rules: Rules) -> Result<bool> {
    #[cfg(feature = "formats")]
    return json::judge(rules);
    #[cfg(not(feature = "formats"))]
    {
        _ = rules;
        Ok(false)
    }
}

/// Has the page start the worker for rarer formats.
pub fn pass_on() {
    send(&Event::Rare);
}

#[cfg(feature = "formats")]
mod json {
    use std::cell::RefCell;

    use super::*;
    use bitgauge_core::limits;

    thread_local! {
        /// Name and bytes.
        static OPEN: RefCell<Option<(String, Vec<u8>)>> = const { RefCell::new(None) };
    }

    pub async fn open(name: &str, source: &Source, rules: Rules) -> Result<()> {
        let len = source.lengths()[0];
        if len > limits::PROXY_BYTES {
            return Err(proxy::too_long(len).within(name));
        }
        let (_, bytes) = source.range(Need { file: 0, offset: 0, len }).await?;
        OPEN.set(Some((name.to_owned(), bytes)));
        judge(rules).map(drop)
    }

    pub fn judge(rules: Rules) -> Result<bool> {
        OPEN.with_borrow(|open| {
            let Some((name, bytes)) = open else { return Ok(false) };
            let json = proxy::inspect(name, bytes, rules)?.to_json();
            send(&Event::Report { json, complete: true, config: None });
            Ok(true)
        })
    }
}
