//! Held-out documents from datasets on the hub: handles, pinned revisions, and rows.

use num_traits::ToPrimitive;

use super::files::{Files, HubSource};
use super::sampling::seed;
use crate::contract::python::{Object, Raised, Value, lower, to_int, trim};
use crate::contract::{Environment, Halt};

const HANDLE: &str = "hf://";
/// Rows that the hub gives at once.
const PAGE_ROWS: u64 = 100;

/// The hub source of a dataset: its own handle, else the environment's repository, if any.
pub(super) fn hub_manifest(
    dataset: &str,
    selector: &str,
    environment: &Environment,
) -> Result<Option<HubSource>, Raised> {
    let variable = |name: &str| environment.trimmed(&format!("AUTORESEARCH_PRIVATE_HELDOUT_{name}"));
    let set = |value: &str| Some(value.to_owned()).filter(|value| !value.is_empty());
    let handle = [dataset, selector].into_iter().map(trim).find(|name| lower(name).starts_with(HANDLE));
    let (repo, path, query) = match handle {
        Some(handle) => parse_handle(handle)?,
        None if variable("HF_REPO").is_empty() => return Ok(None),
        None => (variable("HF_REPO").to_owned(), None, Vec::new()),
    };
    let query = |name: &str| query.iter().find(|(key, _)| key == name).and_then(|(_, value)| set(value));
    let revision = query("revision").or_else(|| set(variable("HF_REVISION"))).unwrap_or_default();
    let manifest = query("manifest")
        .or(path)
        .or_else(|| set(variable("HF_MANIFEST")))
        .unwrap_or_else(|| "manifest.json".into());
    let is_moving = matches!(lower(&revision).as_str(), "" | "main" | "master" | "latest");
    if is_moving && !environment.allows_unpinned_hub() {
        return Err(Raised::runtime(
            "HF private heldout requires a pinned revision; set AUTORESEARCH_PRIVATE_HELDOUT_HF_REVISION or use \
             hf://...?...revision=<commit>",
        ));
    }
    let revision = if revision.is_empty() { "main".to_owned() } else { revision };
    let manifest_sha256 = set(variable("HF_MANIFEST_SHA256"));
    Ok(Some(HubSource { repo, revision, manifest: safe_path(&manifest)?, manifest_sha256 }))
}

/// Repository, path of the manifest, and query of a handle.
type Handle = (String, Option<String>, Vec<(String, String)>);

/// `hf://owner/name[/manifest/path]?key=value&...`
fn parse_handle(handle: &str) -> Result<Handle, Raised> {
    let rest = &handle[HANDLE.len()..];
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    let mut parts = path.splitn(3, '/').map(trim);
    let (owner, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    if owner.is_empty() || name.is_empty() {
        return Err(Raised::runtime("HF heldout handle must look like hf://owner/dataset?revision=<commit>"));
    }
    let manifest = parts.next().filter(|path| !path.is_empty()).map(str::to_owned);
    let pair = |pair: &str| pair.split_once('=').map(|(key, value)| (key.to_owned(), value.to_owned()));
    Ok((format!("{owner}/{name}"), manifest, query.split('&').filter_map(pair).collect()))
}

/// A path inside a dataset repository, without leading slashes.
pub(super) fn safe_path(path: &str) -> Result<String, Raised> {
    let path = trim(path).trim_start_matches('/');
    if path.is_empty() || path == ".." || path.starts_with("../") || path.contains("/../") {
        return Err(Raised::runtime(
            "private heldout HF document path must be relative and stay inside the dataset repo",
        ));
    }
    Ok(path.to_owned())
}

/// The text of a member that is not blank.
fn text(entry: &Object, key: &str) -> Option<String> {
    let value = entry.get(key).filter(|value| value.is_truthy())?;
    Some(trim(&value.to_text()).to_owned()).filter(|text| !text.is_empty())
}

fn dataset_id(entry: &Object) -> Option<String> {
    text(entry, "hf_dataset").or_else(|| text(entry, "dataset"))
}

fn text_columns(entry: &Object) -> Vec<String> {
    let value = entry.get("text_columns").or_else(|| entry.get("text_column"));
    let columns = match value {
        Some(Value::Array(columns)) => columns.iter().map(Value::to_text).collect(),
        Some(value) if value.is_truthy() => vec![value.to_text()],
        _ => Vec::new(),
    };
    columns.iter().map(|column| trim(column).to_owned()).filter(|column| !column.is_empty()).collect()
}

/// Whether an entry asks for rows of a dataset.
pub(super) fn is_rows(entry: &Object) -> bool {
    let source = text(entry, "source").map(|source| lower(&source));
    if matches!(source.as_deref(), Some("hf_rows" | "huggingface_rows" | "dataset_rows")) {
        return true;
    }
    let has = |key: &str| entry.get(key).is_some_and(Value::is_truthy);
    dataset_id(entry).is_some_and(|id| id.contains('/'))
        && text(entry, "split").is_some()
        && !text_columns(entry).is_empty()
        && !(has("path") || has("file") || has("text"))
}

/// The texts of the rows that an entry asks for.
pub(super) fn rows(
    entry: &Object,
    environment: &Environment,
    files: &dyn Files,
) -> Result<Vec<String>, Halt> {
    let require = |what: &str| Raised::runtime(format!("HF rows manifest entry requires {what}"));
    let dataset = dataset_id(entry).ok_or_else(|| require("dataset or hf_dataset"))?;
    let split = text(entry, "split").ok_or_else(|| require("split"))?;
    let columns = text_columns(entry);
    if columns.is_empty() {
        return Err(require("text_column or text_columns").into());
    }
    let config = text(entry, "config").unwrap_or_else(|| "default".into());
    let limit = number(entry, "limit")?.or(number(entry, "page_size")?).unwrap_or(PAGE_ROWS);
    let page = number(entry, "page_size")?.unwrap_or(limit).clamp(1, PAGE_ROWS);
    let first = first_row(entry, [&dataset, &config, &split], limit, environment)?;

    let mut texts = Vec::new();
    let mut read = 0;
    while read < limit {
        let wanted = page.min(limit - read);
        let answer = files.fetch_rows(&dataset, &config, &split, first + read, wanted)?;
        let Some(Value::Array(rows)) = answer.get("rows") else { break };
        for row in rows {
            texts.extend(row_text(entry, &columns, row.get("row").unwrap_or(row))?);
        }
        read += rows.len() as u64;
        if (rows.len() as u64) < wanted {
            break;
        }
    }
    Ok(texts)
}

/// A member that is a positive number; nothing when it is absent, falsy or not positive.
fn number(entry: &Object, key: &str) -> Result<Option<u64>, Raised> {
    let Some(value) = entry.get(key).filter(|value| value.is_truthy()) else { return Ok(None) };
    Ok(to_int(value)?.to_u64().filter(|&number| number > 0))
}

/// The first row to read: `offset`, or one that follows from the synchronisation values.
fn first_row(
    entry: &Object,
    [dataset, config, split]: [&str; 3],
    limit: u64,
    environment: &Environment,
) -> Result<u64, Raised> {
    let offset = number(entry, "offset")?.unwrap_or(0);
    let rows = number(entry, "row_count")?.or(number(entry, "num_rows_total")?).unwrap_or(0);
    let is_on = |key: &str| entry.get(key).is_some_and(Value::is_truthy);
    let (slot, sync) = (environment.sync_slot(), environment.sync_number());
    let rotates = is_on("rotate") || is_on("offset_from_sync");
    if !rotates || rows <= limit || (slot.is_empty() && sync.is_empty()) {
        return Ok(offset);
    }
    let key = format!("{dataset}:{config}:{split}:{offset}:{limit}:{slot}:{sync}");
    Ok(seed(&key) % (rows - limit + 1))
}

/// The text of one row, or nothing when it is too short.
fn row_text(entry: &Object, columns: &[String], row: &Value) -> Result<Option<String>, Raised> {
    let parts = columns.iter().filter_map(|column| row.get(column)).map(flatten);
    let parts: Vec<String> =
        parts.map(|part| trim(&part).to_owned()).filter(|part| !part.is_empty()).collect();
    let separator = entry.get("field_separator").and_then(Value::as_str).unwrap_or("\n\n");
    let joined = parts.join(separator);
    let text = trim(&joined);
    let min = number(entry, "min_chars")?.unwrap_or(1);
    let max = number(entry, "max_chars")?.unwrap_or(6_000);
    if (text.chars().count() as u64) < min {
        return Ok(None);
    }
    Ok(Some(text.chars().take(usize::try_from(max).unwrap_or(usize::MAX)).collect()))
}

/// A cell as text: lists and objects line by line.
fn flatten(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(flatten).collect::<Vec<_>>().join("\n"),
        Value::Object(object) => {
            let mut members: Vec<_> = object.iter().collect();
            members.sort_by(|a, b| a.0.cmp(b.0));
            members.into_iter().map(|(_, value)| flatten(value)).collect::<Vec<_>>().join("\n")
        }
        value => value.to_text(),
    }
}
