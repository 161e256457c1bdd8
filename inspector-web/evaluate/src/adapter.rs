//! What the browser says of its GPU; wgpu does not pass that on.

use js_sys::{Function, Object, Promise, Reflect};
use wasm_bindgen::prelude::*;
use wasm_bindgen_futures::JsFuture;

/// The name of the adapter that the browser takes for the fastest: its own words, as far as it says any.
pub async fn name() -> String {
    let name = described().await.unwrap_or_default();
    if name.is_empty() { "an adapter that the browser does not name".to_owned() } else { name }
}

/// Nothing where there is no adapter.
async fn described() -> Option<String> {
    let navigator = get(&js_sys::global(), "navigator")?;
    let gpu = get(&navigator, "gpu")?;
    let options = Object::new();
    Reflect::set(&options, &"powerPreference".into(), &"high-performance".into()).ok()?;
    let request: Function = get(&gpu, "requestAdapter")?.dyn_into().ok()?;
    let asked: Promise = request.call1(&gpu, &options).ok()?.dyn_into().ok()?;
    let info = get(&JsFuture::from(asked).await.ok()?, "info")?;
    let words = ["vendor", "architecture", "device", "description"].map(|field| text(&info, field));
    let [vendor, architecture, device, description] = words;
    let known = if description.is_empty() { device } else { description };
    let words = [vendor, architecture, known].into_iter().filter(|word| !word.is_empty());
    Some(words.collect::<Vec<_>>().join(" "))
}

fn get(of: &JsValue, field: &str) -> Option<JsValue> {
    Reflect::get(of, &field.into()).ok().filter(JsValue::is_truthy)
}

/// A field's text without control characters, which no name needs.
fn text(info: &JsValue, field: &str) -> String {
    let text = get(info, field).and_then(|text| text.as_string()).unwrap_or_default();
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
