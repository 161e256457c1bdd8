//! What a hub lists of a repository.

use bitgauge_core::hub::{HubAddress, ListedFile, listing};
use bitgauge_core::{Error, ErrorKind, limits};
use js_sys::Uint8Array;
use leptos::prelude::window;
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;
use web_sys::{ReferrerPolicy, RequestCredentials, RequestInit, Response};

use crate::address::{next_page, refusal};

/// What a listing took.
#[derive(Debug, Clone, Copy, Default)]
pub struct Taken {
    /// Requests made.
    pub requests: u64,
    /// Bytes that came.
    pub bytes: u64,
}

/// The files in the address's folder and below it.
pub async fn list(address: &HubAddress) -> Result<(Vec<ListedFile>, Taken), Error> {
    let (mut files, mut taken) = (Vec::new(), Taken::default());
    let mut next = Some(address.listing_url());
    while let Some(url) = next {
        let response = get(&url).await?;
        let link = response.headers().get("link").ok().flatten();
        // Only the hub itself goes on.
        let more = link.as_deref().and_then(next_page).filter(|more| more.starts_with(&address.endpoint));
        next = more.map(str::to_owned).filter(|_| (files.len() as u64) < limits::MEMBERS_COUNT);
        let text = body(&response).await.map_err(|error| no_answer(&error))?;
        taken = Taken { requests: taken.requests + 1, bytes: taken.bytes + text.len() as u64 };
        files.extend(listing(&text)?);
    }
    Ok((files, taken))
}

async fn get(url: &str) -> Result<Response, Error> {
    let init = RequestInit::new();
    init.set_credentials(RequestCredentials::Omit);
    init.set_referrer_policy(ReferrerPolicy::NoReferrer);
    let response = JsFuture::from(window().fetch_with_str_and_init(url, &init)).await;
    let response: Response = response.map_err(|error| no_answer(&error))?.unchecked_into();
    if response.ok() { Ok(response) } else { Err(refusal(response.status(), &response.status_text())) }
}

async fn body(response: &Response) -> Result<Vec<u8>, JsValue> {
    Ok(Uint8Array::new(&JsFuture::from(response.array_buffer()?).await?).to_vec())
}

fn no_answer(error: &JsValue) -> Error {
    let said = error.dyn_ref::<js_sys::Error>().map(|error| String::from(error.to_string()));
    Error::new(ErrorKind::Io, "the browser got no answer from the hub")
        .expected_found("a list of the repository’s files", said.unwrap_or_default())
        .hint("check the address and the network; or download the files and open them here")
}
