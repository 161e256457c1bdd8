//! A JSON file that stands for an artifact and its result, for dry runs of the validator.

use num_traits::ToPrimitive;

use super::report::Measured;
use super::{Revision, Runtime};
use crate::contract::python::{Exception, Raised, Value, to_float, to_int};

/// `artifact_type` of a stub.
pub const STUB: &str = "autoresearch-direct-eval-stub";

/// The result that a stub claims; `None` when the text is not a stub.
///
/// # Errors
/// A stub with missing or unusable numbers.
pub fn stub(
    text: &str,
    documents: u64,
    max_tokens: u64,
    tokenizer_id: &str,
) -> Result<Option<Measured>, Raised> {
    let Ok(json @ Value::Object(_)) = Value::parse(text) else { return Ok(None) };
    if json.get("artifact_type").and_then(Value::as_str) != Some(STUB) {
        return Ok(None);
    }
    let required =
        |key: &str| json.get(key).ok_or_else(|| Raised::new(Exception::KeyError, format!("'{key}'")));
    let heldout_ppl = to_float(required("heldout_ppl")?)?;
    // Evaluated even where the stub brings its own.
    if heldout_ppl <= 0.0 {
        return Err(Raised::value("math domain error"));
    }
    let cross_entropy_nats = json.get("heldout_cross_entropy_nats").map_or(Ok(heldout_ppl.ln()), to_float)?;
    let token_count = json.get("token_count").map_or(Ok(documents.into()), to_int)?;
    let parameter_count = to_int(required("parameter_count")?)?;
    let saturated = |int: num_bigint::BigInt| {
        int.to_i128().unwrap_or(if int.sign() == num_bigint::Sign::Minus { i128::MIN } else { i128::MAX })
    };
    Ok(Some(Measured {
        heldout_ppl,
        cross_entropy_nats,
        parameter_count: saturated(parameter_count),
        scored_documents: documents,
        token_count: saturated(token_count),
        runtime: Runtime {
            revision: Revision::default(),
            device: "stub".into(),
            dtype: "stub",
            max_tokens,
            batch_size: None,
            tokenizer_id: tokenizer_id.to_owned(),
            window_tokens: None,
            passes: 0,
        },
    }))
}
