//! What transformers checks of generation_config.json. Loading a model reads its settings of text generation, too, though
//! nothing that is judged or evaluated here depends on them.
//!
//! [docs/loading.md](../../../docs/loading.md) lists all of it; `tests/differential/settings.py` asked transformers.

use serde_json::Value;

use super::checks::{Loading, OBJECT, begins, hides_attribute, kinds_of};
use crate::json;

/// The file, which stands beside config.json.
pub(crate) const GENERATION: &str = "generation_config.json";
/// Longest text that is looked at; real ones have some 250 bytes.
pub(crate) const GENERATION_BYTES: u64 = 1 << 16;

/// How settings begin that are checked in ways that are not modelled, unless they are null.
const WHERE_NULL: &str = "assistant_ens cache_imp compile_ continuous_ dtype suppress_ watermarking_";

/// How settings begin that are checked even where they are null, or may not be set in the file.
const CHECKED: &str =
    "assistant_model early_ logits_ negative_ num_return_ prefix_ stopping_ streamer synced_ use_model";

/// Checks the file, and adds to `loading` the first that is not known of it. Mostly transformers raises there.
pub(crate) fn check(text: &[u8], loading: &mut Loading) {
    let value = json::parse_python(text).unwrap_or_default();
    let refused = match &value {
        Value::Object(settings) => {
            settings.iter().find(|(name, value)| !is_taken(name, value)).map(|found| found.0.as_str())
        }
        _ => Some("no object"),
    };
    if let Some(name) = refused {
        loading.doubts.push(["transformers may refuse ", GENERATION, ": ", name].concat());
    }
}

/// Whether both versions of transformers are known to take this setting.
fn is_taken(name: &str, value: &Value) -> bool {
    match name {
        "max_new_tokens" => value.as_f64().is_some_and(|count| count > 0.0),
        "pad_token_id" => value.is_null() || value.is_number(),
        "_commit_hash" | "_from_model_config" => true,
        _ if begins(name, WHERE_NULL) => value.is_null(),
        // Others become attributes, and are not looked at before text is generated.
        _ => {
            let is_hidden = name.starts_with('_') || hides_attribute(name) || begins(name, CHECKED);
            !is_hidden && !matches!(kinds_of(value), 0 | OBJECT)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn is_open(text: &str) -> bool {
        let mut loading = Loading::default();
        check(text.as_bytes(), &mut loading);
        assert!(loading.faults.is_empty());
        !loading.doubts.is_empty()
    }

    #[test]
    fn what_writers_save_is_taken() {
        for text in [
            // Qwen3-8B, as published and as transformers 5 saves it again.
            r#"{"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643], "pad_token_id": 151643,
                "temperature": 0.6, "top_k": 20, "top_p": 0.95, "transformers_version": "4.51.0"}"#,
            r#"{"_from_model_config": true, "output_attentions": false, "output_hidden_states": false,
                "transformers_version": "5.24.0", "use_cache": true}"#,
            r#"{"chat_format": "chatml", "repetition_penalty": 1.05, "max_new_tokens": 512, "pad_token_id": null}"#,
            r#"{"temperature": "x", "top_k": [1], "top_p": [], "pad_token_id": -1}"#,
            r#"{"cache_implementation": null, "compile_config": null, "watermarking_config": null}"#,
            r#"{"max_new_tokens": 0, "max_new_tokens": 9}"#,
            "{}",
        ] {
            assert!(!is_open(text), "{text}");
        }
    }

    /// Attributes and methods of the class, and arguments, in either version.
    #[test]
    fn names_that_hide_others_are_open() {
        for name in "self __class__ __dict__ _original_object_hash _mask_length _create_repo dict_dtype_to_str dtype \
            extra_output_flags from_dict from_model_config from_pretrained get_generation_mode push_to_hub \
            save_pretrained to_dict to_diff_dict to_json_file to_json_string update validate assistant_model \
            logits_processor negative_prompt_attention_mask negative_prompt_ids prefix_allowed_tokens_fn \
            stopping_criteria streamer synced_gpus use_model_defaults assistant_ensemble_weight cache_implementation \
            compile_config continuous_batching_config suppress_tokens watermarking_config early_stopping \
            num_return_sequences"
            .split(' ')
        {
            assert!(is_open(&format!(r#"{{"{name}": 2}}"#)), "{name}");
        }
    }

    /// `tests/differential/settings.py` asked transformers for many more.
    #[test]
    fn values_that_may_raise_are_open() {
        for text in [
            "[]",
            "NaN",
            "",
            "{",
            "\u{feff}{}",
            r#"{"temperature": {"dtype": 5}}"#,
            r#"{"temperature": NaN}"#,
            r#"{"early_stopping": null}"#,
            r#"{"num_return_sequences": null}"#,
            r#"{"streamer": null}"#,
            r#"{"max_new_tokens": 0}"#,
            r#"{"max_new_tokens": 9, "max_new_tokens": 0}"#,
            r#"{"max_new_tokens": -Infinity}"#,
            r#"{"max_new_tokens": "9"}"#,
            r#"{"pad_token_id": "0"}"#,
            r#"{"pad_token_id": [0]}"#,
        ] {
            assert!(is_open(text), "{text}");
        }
    }
}
