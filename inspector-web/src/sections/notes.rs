//! What there is to know beside the gates, config.json as it is, and what headers say of themselves.

use bitgauge_core::report::{MemberSummary, Report};

use crate::markup::{Markup, details, element, section};

/// Notes, the text of config.json, and the metadata of each safetensors file.
pub fn notes(report: &Report, config: Option<&str>) -> Markup {
    let notes = report.notes.iter().map(|note| element("li").prose(note));
    let config = config.map(|config| {
        details("config.json", element("pre").class("config").with("tabindex", 0).text(config))
    });
    let with_metadata = report.artifact.members.iter().filter(|member| !member.metadata.is_empty());
    section("notes", "Notes, configuration and metadata")
        .child(element("ul").class("notes").children(notes))
        .children(config)
        .children(with_metadata.map(metadata))
}

/// `__metadata__` of one file.
fn metadata(member: &MemberSummary) -> Markup {
    let entries = member.metadata.iter().map(|entry| {
        let [key, value] =
            [("dt", &entry.key), ("dd", &entry.value)].map(|(tag, text)| element(tag).text(text));
        element("div").child(key).child(value)
    });
    details(&format!("Metadata of {}", member.name), element("dl").class("fault").children(entries))
}
