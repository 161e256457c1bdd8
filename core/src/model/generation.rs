//! What transformers checks of generation_config.json. Loading a model reads its settings of text generation, too, though
//! nothing that is judged or evaluated here depends on them.
//!
//! [docs/loading.md](../../../docs/loading.md) lists all of it; `tests/differential/settings.py` asked transformers.

use serde_json::{Map, Value};

use super::checks::{Loading, OBJECT, is_off, kinds_of};
use super::transformers::Transformers;
use crate::{Result, json, memory};

/// The file, which stands beside config.json.
pub(crate) const GENERATION: &str = "generation_config.json";

/// Settings that are not looked at before text is generated: any value but an object, or a list of anything but whole
/// numbers or texts.
const UNCHECKED: &str = "_commit_hash _from_model_config assistant_confidence_threshold assistant_early_exit assistant_lookbehind \
    bad_words_ids begin_suppress_tokens bos_token_id cache_config constraints decoder_start_token_id disable_compile \
    diversity_penalty do_sample dola_layers encoder_no_repeat_ngram_size encoder_repetition_penalty eos_token_id \
    epsilon_cutoff eta_cutoff exponential_decay_length_penalty force_words_ids forced_bos_token_id \
    forced_eos_token_id guidance_scale is_assistant length_penalty low_memory max_cache_len max_length \
    max_matching_ngram_size max_time min_length min_new_tokens min_p no_repeat_ngram_size num_assistant_tokens \
    num_assistant_tokens_schedule num_beam_groups num_beams output_attentions output_hidden_states output_logits \
    output_scores penalty_alpha prefill_chunk_size prompt_lookup_num_tokens remove_invalid_values renormalize_logits \
    repetition_penalty return_dict_in_generate return_legacy_cache sequence_bias speculation_type stop_strings \
    target_lookbehind temperature token_healing top_h top_k top_p transformers_version typical_p use_cache use_mtp";

/// Settings that are checked in ways that are not modelled, unless they are null.
const WHERE_NULL: &str =
    "assistant_ensemble_weight continuous_batching_config suppress_tokens watermarking_config";

/// Kinds of caches; either version has one more.
const CACHES: &str = "dynamic hybrid hybrid_chunked offloaded offloaded_hybrid offloaded_hybrid_chunked offloaded_static \
    quantized sliding_window static";

/// Arguments for the generation of text, which may not be set in the file.
const ARGUMENTS: &str = "assistant_model logits_processor negative_prompt_attention_mask negative_prompt_ids \
    prefix_allowed_tokens_fn stopping_criteria streamer synced_gpus";

/// Checks the file.
///
/// # Errors
/// Too little memory for it.
pub(crate) fn check(text: &[u8], transformers: Transformers) -> Result<Loading> {
    memory::require_tree(text, GENERATION)?;
    let mut loading = Loading::default();
    let settings = match json::parse_python(text) {
        Ok(Value::Object(settings)) => settings,
        Ok(_) => {
            loading.faults.push([GENERATION, " is no object, which transformers refuses"].concat());
            return Ok(loading);
        }
        // Mostly it is passed over; too many digits or levels raise.
        Err(error) => {
            loading.doubts.push([GENERATION, " can't be read here: ", &error].concat());
            return Ok(loading);
        }
    };
    for (name, value) in &settings {
        match is_taken(name, value, &settings, transformers == Transformers::V4) {
            Some(true) => {}
            Some(false) => {
                loading.faults.push(format!("transformers refuses {value:.40} for `{name}` in {GENERATION}"));
            }
            None => loading.doubts.push(format!(
                "{GENERATION} sets `{name:.60}`, and whether transformers takes {value:.40} is not known here"
            )),
        }
    }
    Ok(loading)
}

/// Whether transformers takes this setting; none where that is not modelled.
fn is_taken(name: &str, value: &Value, settings: &Map<String, Value>, is_earlier: bool) -> Option<bool> {
    let other = |name| settings.get(name).unwrap_or(&Value::Null);
    match name {
        "cache_implementation" => {
            let one_more = if is_earlier { "dynamic_full" } else { "paged" };
            let is_cache = |text| is_listed(CACHES, text) || text == one_more;
            Some(value.is_null() || value.as_str().is_some_and(is_cache))
        }
        "compile_config" => Some(value.is_null()),
        "early_stopping" => Some(match value {
            Value::Null => !is_earlier,
            Value::Bool(_) => true,
            // Equal to a flag, to Python.
            Value::Number(number) => matches!(number.as_f64(), Some(0.0 | 1.0)),
            other => other == "never",
        }),
        "max_new_tokens" | "pad_token_id" => match value {
            Value::Null => Some(true),
            Value::Bool(is_one) => Some(*is_one || name == "pad_token_id"),
            Value::Number(number) => Some(name == "pad_token_id" || number.as_f64().is_some_and(|n| n > 0.0)),
            // Or a number that is not read here.
            Value::Array(_) => None,
            Value::String(_) | Value::Object(_) => Some(false),
        },
        "num_return_sequences" if is_earlier => (*value == 1).then_some(true),
        "num_return_sequences" if value.is_null() => Some(true),
        "num_return_sequences" => {
            let beams = other("num_beams");
            let beams = if beams.is_null() { 1 } else { beams.as_i64()? };
            match value.as_i64()? {
                ..=1 => Some(true),
                _ if beams == 1 => Some(!is_off(other("do_sample"))),
                count => Some(count <= beams),
            }
        }
        _ if is_listed(ARGUMENTS, name) || (is_earlier && name == "use_model_defaults") => {
            is_off(other("_from_model_config")).then_some(false)
        }
        _ if is_listed(WHERE_NULL, name) => value.is_null().then_some(true),
        _ => (is_listed(UNCHECKED, name) && !matches!(kinds_of(value), 0 | OBJECT)).then_some(true),
    }
}

fn is_listed(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn outcome(text: &str) -> [[usize; 2]; 2] {
        [Transformers::V5, Transformers::V4].map(|version| {
            let loading = check(text.as_bytes(), version).unwrap();
            [loading.faults.len(), loading.doubts.len()]
        })
    }

    const TAKEN: [usize; 2] = [0, 0];
    const REFUSED: [usize; 2] = [1, 0];
    const OPEN: [usize; 2] = [0, 1];

    #[test]
    fn what_writers_save_is_taken() {
        for text in [
            // Qwen3-8B, as published and as transformers 5 saves it again.
            r#"{"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "pad_token_id": 151643,
                "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"}"#,
            r#"{"_from_model_config": true, "output_attentions": false, "output_hidden_states": false,
                "transformers_version": "5.24.0", "use_cache": true}"#,
            r#"{"repetition_penalty": 1.05, "num_return_sequences": 2, "num_beams": 1, "early_stopping": true}"#,
            "{}",
        ] {
            let [later, earlier] = outcome(text);
            assert_eq!(later[1], 0, "{text}");
            assert!(earlier[0] == 0, "{text}");
        }
        let of = |name: &str| format!(r#"{{"{name}": 1}}"#);
        for name in UNCHECKED.split(' ') {
            assert_eq!(outcome(&of(name)), [TAKEN; 2], "{name}");
        }
    }

    /// As both versions answered (`tests/differential/settings.py` asks them for many more).
    #[test]
    fn values_are_told_apart_as_transformers_does() {
        for (text, wanted) in [
            ("[]", [REFUSED; 2]),
            ("NaN", [REFUSED; 2]),
            ("{", [OPEN; 2]),
            ("\u{feff}{}", [OPEN; 2]),
            (r#"{"note": 1}"#, [OPEN; 2]),
            (r#"{"self": null}"#, [OPEN; 2]),
            (r#"{"temperature": {"dtype": 5}}"#, [OPEN; 2]),
            (r#"{"temperature": NaN}"#, [OPEN; 2]),
            (r#"{"temperature": "x", "top_k": [1], "top_p": []}"#, [TAKEN; 2]),
            (r#"{"early_stopping": 1}"#, [TAKEN; 2]),
            (r#"{"early_stopping": 2}"#, [REFUSED; 2]),
            (r#"{"early_stopping": "x"}"#, [REFUSED; 2]),
            (r#"{"early_stopping": null}"#, [TAKEN, REFUSED]),
            (r#"{"max_new_tokens": 0}"#, [REFUSED; 2]),
            (r#"{"max_new_tokens": 0, "max_new_tokens": 9}"#, [TAKEN; 2]),
            (r#"{"max_new_tokens": -Infinity}"#, [REFUSED; 2]),
            (r#"{"max_new_tokens": "9"}"#, [REFUSED; 2]),
            (r#"{"max_new_tokens": NaN}"#, [OPEN; 2]),
            (r#"{"pad_token_id": -1}"#, [TAKEN; 2]),
            (r#"{"pad_token_id": "0"}"#, [REFUSED; 2]),
            (r#"{"cache_implementation": "static"}"#, [TAKEN; 2]),
            (r#"{"cache_implementation": "paged"}"#, [TAKEN, REFUSED]),
            (r#"{"cache_implementation": "dynamic_full"}"#, [REFUSED, TAKEN]),
            (r#"{"cache_implementation": ["static"]}"#, [REFUSED; 2]),
            (r#"{"compile_config": {}}"#, [REFUSED; 2]),
            (r#"{"watermarking_config": {}}"#, [OPEN; 2]),
            (r#"{"watermarking_config": null, "compile_config": null}"#, [TAKEN; 2]),
            (r#"{"streamer": null}"#, [REFUSED; 2]),
            (r#"{"streamer": null, "_from_model_config": true}"#, [OPEN; 2]),
            (r#"{"use_model_defaults": true}"#, [OPEN, REFUSED]),
            (r#"{"num_return_sequences": 0}"#, [TAKEN, OPEN]),
            (r#"{"num_return_sequences": 2}"#, [REFUSED, OPEN]),
            (r#"{"num_return_sequences": 2, "do_sample": true}"#, [TAKEN, OPEN]),
            (r#"{"num_return_sequences": 3, "num_beams": 2, "do_sample": true}"#, [REFUSED, OPEN]),
            (r#"{"num_return_sequences": 3, "num_beams": 3}"#, [TAKEN, OPEN]),
            (r#"{"num_return_sequences": 3, "num_beams": "x"}"#, [OPEN, OPEN]),
        ] {
            assert_eq!(outcome(text), wanted, "{text}");
        }
    }
}
