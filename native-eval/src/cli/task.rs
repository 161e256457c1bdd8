//! `bitgauge task`: a task of the competition, as its coordinator describes it.

use bitgauge_core::report::words;
use native_eval::CoordinatorTask;
use serde_json::Value;

use super::args::{Format, TaskOptions};
use super::print::println;
use super::{Exit, Failure, text};

/// Fields that people read, in this order.
const SHOWN: [(&str, &str); 11] = [
    ("title", "title"),
    ("id", "id"),
    ("task_state", "state"),
    ("metric_name", "metric"),
    ("metric_direction", "direction"),
    ("competition_mode", "mode"),
    ("time_budget_seconds", "seconds"),
    ("max_patch_bytes", "patch bytes"),
    ("allowed_patch_paths", "patch paths"),
    ("repository", "repository"),
    ("base_ref", "base"),
];

/// Prints the task and the best submission.
pub fn run(options: &TaskOptions, format: Format) -> Result<Exit, Failure> {
    let task = CoordinatorTask::read(&options.url, options.slug.as_deref())?;
    match format {
        Format::Json => {
            let document = serde_json::json!({ "task": task.fields, "best": task.best });
            println!("{document:#}");
        }
        Format::Quiet => match task.best() {
            Some(best) => println!("{:.6}", best.heldout_ppl),
            None => println!("none"),
        },
        Format::Human => print_for_people(&task),
    }
    Ok(Exit::Done)
}

fn print_for_people(task: &CoordinatorTask) {
    println!("{}", text::heading(&text::plain(task.text("slug").unwrap_or("task"))));
    for (field, name) in SHOWN {
        let Some(value) = task.fields.get(field).filter(|value| !value.is_null()) else { continue };
        println!("  {name:12} {}", text::plain(&words_of(value)));
    }
    match (task.best(), &task.best) {
        (Some(best), _) => {
            let size = best.size_bytes.map(|bytes| format!(", {}", words::plural(bytes, "byte")));
            println!("  best         {:.4}{}", best.heldout_ppl, size.unwrap_or_default());
        }
        (None, Some(_)) => println!("  best         its perplexity is not published"),
        (None, None) => println!("  best         none yet"),
    }
}

fn words_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => values.iter().map(words_of).collect::<Vec<_>>().join(", "),
        value => value.to_string(),
    }
}
