//! What a coordinator of the competition says of a task, and of the best submission so far. It is only read.

use bitgauge_core::{Error, ErrorKind, Result};
use serde_json::Value;

use crate::http;

/// Longest answer.
const ANSWER_BYTES: u64 = 16 << 20;
/// Where tasks are listed.
const TASKS: &str = "/api/v1/tasks";
/// The task that is meant where an address names none.
const SLUG: &str = "qwen3-27b-binary-frontier";
/// Where a figure of the best submission may stand, what the validator observed before what was claimed.
const METRICS: [&str; 6] = ["observed_metrics", "metrics", "result", "submission", "best", "claimed_metrics"];

/// A task, as its coordinator describes it.
#[derive(Debug, Clone)]
pub struct CoordinatorTask {
    /// All of its fields.
    pub fields: Value,
    /// What the coordinator says of the best submission, if there is one.
    pub best: Option<Value>,
}

/// The best submission's figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Its perplexity on the validator's documents.
    pub heldout_ppl: f64,
    /// Bytes of its artifact, if they are told.
    pub size_bytes: Option<u64>,
}

impl CoordinatorTask {
    /// Reads a task: from the coordinator's own address, that of a task below it (`/api/v1/tasks/ID`,
    /// `/dashboard/tasks/ID`) or of the list. Without an ID it is the binary frontier's, or `slug`'s.
    ///
    /// # Errors
    /// A server that does not answer or answers something else; no such task.
    pub fn read(url: &str, slug: Option<&str>) -> Result<Self> {
        let (base, id) = parts(url);
        let list = json(&format!("{base}{TASKS}"))?.unwrap_or(Value::Null);
        let tasks = match &list {
            Value::Array(tasks) => tasks,
            Value::Object(fields) => match fields.get("tasks").and_then(Value::as_array) {
                Some(tasks) => tasks,
                None => return Err(other_answer(&base)),
            },
            _ => return Err(other_answer(&base)),
        };
        let wanted = slug.unwrap_or(SLUG);
        let is_wanted = |task: &&Value| match id {
            Some(id) => [Some(id)].contains(&text(task, "id")) || text(task, "slug") == Some(id),
            None => text(task, "slug") == Some(wanted),
        };
        let fields = tasks.iter().find(is_wanted).cloned().ok_or_else(|| {
            let known: Vec<&str> = tasks.iter().filter_map(|task| text(task, "slug")).collect();
            Error::new(ErrorKind::Missing, "the coordinator has no such task")
                .within(&base)
                .expected_found(id.unwrap_or(wanted), known.join(", "))
        })?;
        let id = text(&fields, "id").filter(|id| id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        let id = id.ok_or_else(|| other_answer(&base))?;
        let best = json(&format!("{base}{TASKS}/{id}/best"))?.filter(|best| !best.is_null());
        Ok(Self { best, fields })
    }

    /// A text field.
    pub fn text(&self, name: &str) -> Option<&str> {
        text(&self.fields, name)
    }

    /// The best submission's figures, if there is one that tells its perplexity.
    pub fn best(&self) -> Option<Best> {
        let best = self.best.as_ref()?;
        let metric = self.text("metric_name").unwrap_or("heldout_ppl");
        let places = || {
            let below = METRICS.iter().filter_map(|name| best.get(name));
            let deeper = below.clone().flat_map(|value| METRICS.iter().filter_map(|name| value.get(name)));
            std::iter::once(best).chain(below).chain(deeper).collect::<Vec<_>>()
        };
        let number = |names: &[&str]| {
            let found =
                |place: &&Value| names.iter().find_map(|name| place.get(name).and_then(Value::as_f64));
            places().iter().find_map(found)
        };
        let heldout_ppl = number(&[metric, "observed_metric", "metric_value"])?;
        let size = number(&["artifact_size_bytes", "compressed_size_bytes"]);
        let size_bytes = size.filter(|size| *size >= 0.0 && size.fract() == 0.0).map(|size| size as u64);
        (heldout_ppl.is_finite() && heldout_ppl > 0.0).then_some(Best { heldout_ppl, size_bytes })
    }
}

/// The coordinator's own address, and the task that is named behind it.
fn parts(url: &str) -> (String, Option<&str>) {
    let url = url.trim_end_matches('/');
    let named = ["/api/v1/tasks", "/dashboard/tasks"].iter().find_map(|path| url.split_once(path));
    match named {
        Some((base, id)) => {
            let id = id.trim_start_matches('/').split('/').next().filter(|id| !id.is_empty());
            (base.to_owned(), id)
        }
        None => (url.trim_end_matches("/dashboard").to_owned(), None),
    }
}

fn text<'v>(value: &'v Value, name: &str) -> Option<&'v str> {
    value.get(name)?.as_str()
}

/// The JSON at an address; nothing where the server has none (404).
fn json(url: &str) -> Result<Option<Value>> {
    let answer = http::get(url, ANSWER_BYTES)?;
    match answer.status {
        200 => serde_json::from_slice(&answer.body).map(Some).map_err(|error| {
            Error::new(ErrorKind::Malformed, "the coordinator's answer can't be read")
                .within(url)
                .expected_found("JSON", error)
        }),
        204 | 404 => Ok(None),
        status => Err(Error::new(ErrorKind::Io, "the coordinator gives no answer")
            .within(url)
            .expected_found("status 200", status)),
    }
}

fn other_answer(base: &str) -> Error {
    Error::new(ErrorKind::Malformed, "this is not a coordinator of the competition")
        .within(base)
        .expected_found(format!("a list of tasks at {TASKS}"), "another answer")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn addresses_name_a_coordinator_and_maybe_a_task() {
        let base = "https://c.example";
        for (url, id) in [
            (base.to_owned(), None),
            (format!("{base}/"), None),
            (format!("{base}/dashboard"), None),
            (format!("{base}/api/v1/tasks"), None),
            (format!("{base}/api/v1/tasks/abc-1/best"), Some("abc-1")),
            (format!("{base}/dashboard/tasks/abc-1/"), Some("abc-1")),
        ] {
            assert_eq!(parts(&url), (base.to_owned(), id), "{url}");
        }
    }

    #[test]
    fn what_was_observed_goes_before_what_was_claimed() {
        let task = |best| CoordinatorTask { fields: json!({"metric_name": "heldout_ppl"}), best: Some(best) };
        let both = json!({"claimed_metrics": {"heldout_ppl": 1.0}, "observed_metrics": {"heldout_ppl": 12.5}, "artifact_size_bytes": 9});
        assert_eq!(task(both).best(), Some(Best { heldout_ppl: 12.5, size_bytes: Some(9) }));
        let nested =
            json!({"submission": {"claimed_metrics": {"heldout_ppl": 3, "compressed_size_bytes": 7.0}}});
        assert_eq!(task(nested).best(), Some(Best { heldout_ppl: 3.0, size_bytes: Some(7) }));
        for none in [json!({}), json!({"heldout_ppl": "3"}), json!({"heldout_ppl": -1}), json!([])] {
            assert_eq!(task(none.clone()).best(), None, "{none}");
        }
    }
}
