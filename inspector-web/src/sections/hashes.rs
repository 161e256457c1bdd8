//! SHA-256 of the artifact, of each file in it and of each tensor.

use bitgauge_core::report::Report;
use bitgauge_core::report::words;

use crate::markup::{Markup, details, element};

/// Every hash with its file, the artifact's first; a single file is an artifact and its own member, and stands once.
pub fn known(report: &Report) -> Vec<(&str, &str)> {
    let artifact = &report.artifact;
    let whole = artifact.sha256.iter().map(|hash| (artifact.name.as_str(), hash.as_str()));
    let members = artifact.members.iter().filter(|member| member.sha256 != artifact.sha256);
    whole.chain(members.filter_map(|m| Some((m.name.as_str(), m.sha256.as_deref()?)))).collect()
}

/// The files with their hashes.
pub fn list(report: &Report) -> Markup {
    let size = |name: &str| report.artifact.members.iter().find(|m| m.name == name).map(|m| m.bytes);
    let lines = known(report).into_iter().map(|(name, hash)| {
        line(name, &words::bytes(size(name).unwrap_or(report.artifact.size_bytes)), hash)
    });
    element("ul").class("hashes").children(lines)
}

/// The tensors with their hashes, when those were asked for.
pub fn tensors(report: &Report) -> Option<Markup> {
    let lines = report.tensors.as_ref()?.iter().map(|tensor| {
        let about =
            format!("{} {}, {}", tensor.dtype, words::shape(&tensor.shape), words::bytes(tensor.bytes));
        line(&tensor.name, &about, &tensor.sha256)
    });
    Some(details("SHA-256 of each tensor", element("ul").class("hashes").children(lines)))
}

/// One hash, what it is of, and a button that copies it (`data-copy`).
fn line(name: &str, about: &str, hash: &str) -> Markup {
    let button = element("button")
        .class("button button--quiet button--small")
        .with("type", "button")
        .with("data-copy", hash)
        .with("aria-label", format!("Copy the SHA-256 of {name}"))
        .text("Copy");
    element("li")
        .child(element("span").class("hash__name mono").text(name))
        .child(element("span").class("hash__size").text(about))
        .child(element("code").class("hash__value").text(hash))
        .child(button)
}

/// What a published hash is the hash of, in words; nothing for an empty field.
pub fn compare(report: &Report, published: &str) -> Option<Result<String, String>> {
    let wanted: String =
        published.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    let wanted = wanted.strip_prefix("sha256").unwrap_or(&wanted);
    if wanted.is_empty() {
        return None;
    }
    if wanted.len() != 64 || !wanted.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Some(Err(format!(
            "A SHA-256 has 64 hexadecimal digits; this has {} characters.",
            wanted.len()
        )));
    }
    let tensors =
        report.tensors.iter().flatten().map(|tensor| (tensor.name.as_str(), tensor.sha256.as_str()));
    let found = known(report).into_iter().chain(tensors).find(|(_, hash)| *hash == wanted);
    Some(found.map_or_else(
        || Err("No file here has this hash.".into()),
        |(name, _)| Ok(format!("This is the hash of {name}.")),
    ))
}
