//! What transformers looks at of large tokenizers alone: which version of it wrote config.json.
//!
//! It looks for tokenizers of Mistral's models that have a wrong pattern, by their size and by that version. A version that
//! is none ends the loading with `InvalidVersion`, in 5.24.0 and in 4.57.6, whatever the family of the model.

use bitgauge_core::Result;
use serde_json::Value;

use super::auto::{Beside, refused};
use crate::subject::Subject;

/// Up to so many tokens transformers does not look.
const SMALL_TOKENS: usize = 100_000;
/// What may stand once before the last number of a version that is not a plain release.
const SUFFIXES: [&str; 5] = ["a", "b", "rc", "dev", "post"];

impl Beside {
    /// Refuses a large tokenizer beside a config.json whose `transformers_version` is no version.
    pub(super) fn check_large(&self, tokenizer: &impl Subject) -> Result<()> {
        let written_by = self.model.as_ref().and_then(|model| model.get("transformers_version"));
        match written_by {
            Some(version) if tokenizer.size() > SMALL_TOKENS && !is_taken(version) => {
                let name = "config.json's transformers_version";
                Err(refused(name, "a version, beside more than 100,000 tokens", version))
            }
            _ => Ok(()),
        }
    }
}

fn is_taken(version: &Value) -> bool {
    version.is_null() || version.as_str().is_some_and(|text| text.is_empty() || is_version(text))
}

/// Whether a text is a version of the usual forms: `5.24.0`, `v5.0`, `4.57.0.dev0`, `5.0.0rc1`, `5.0.0-rc1`.
fn is_version(text: &str) -> bool {
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_release = |text: &str| text.split('.').all(is_number);
    let text = text.strip_prefix('v').unwrap_or(text);
    let is_suffixed = |suffix: &&str| {
        let Some((release, number)) = text.split_once(*suffix) else { return false };
        is_release(release.strip_suffix(['.', '-']).unwrap_or(release)) && is_number(number)
    };
    is_release(text) || SUFFIXES.iter().any(is_suffixed)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::is_taken;

    #[test]
    fn versions_of_the_usual_forms_are_taken() {
        for version in
            ["5.24.0", "v5.0", "4.57.0.dev0", "5.0.0rc1", "5.0.0-rc1", "5.0.post1", "5", ""].map(Value::from)
        {
            assert!(is_taken(&version), "{version}");
        }
        let others =
            ["x", "5.x", "5..0", "5.0 x", "5.0.", "5.rc", "5.dev1.0", "5.0..rc1", "rc1"].map(Value::from);
        for version in others.into_iter().chain([true.into(), 1.into()]) {
            assert!(!is_taken(&version), "{version}");
        }
    }
}
