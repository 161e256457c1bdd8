//! What several files or folders that came together are to each other.

use bitgauge_core::container::ShardName;

/// What one of them is by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item {
    /// An artifact: a folder, an archive, a file that is a whole model.
    Whole,
    /// A saved report.
    Report,
    /// A part of a model.
    Part,
}

/// What they are together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrangement {
    /// One artifact, or one report.
    Together,
    /// Two to compare.
    Compared,
    /// A report and a copy of its artifact. Holds the report's place.
    Checked(usize),
    /// Too many to compare.
    TooMany,
}

/// By its name; whether a JSON file is a report, its content says.
pub fn item(name: &str, is_folder: bool, is_report: bool) -> Item {
    let name = name.to_ascii_lowercase();
    let is_archive =
        [".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".lzma"].iter().any(|end| name.ends_with(end));
    let is_whole_gguf =
        name.ends_with(".gguf") && ShardName::parse(&name).is_none_or(|shard| shard.count == 1);
    let is_whole_safetensors = name.ends_with(".safetensors") && !name.contains("-of-");
    match () {
        () if is_report => Item::Report,
        () if is_folder || is_archive || is_whole_gguf || is_whole_safetensors => Item::Whole,
        () => Item::Part,
    }
}

/// What these are together.
pub fn arrange(items: &[Item]) -> Arrangement {
    match items {
        [Item::Whole, Item::Whole] | [Item::Report, Item::Report] => Arrangement::Compared,
        [Item::Report, Item::Whole] => Arrangement::Checked(0),
        [Item::Whole, Item::Report] => Arrangement::Checked(1),
        [_, _, _, ..] if !items.contains(&Item::Part) => Arrangement::TooMany,
        _ => Arrangement::Together,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_whole_artifacts_from_parts() {
        for whole in ["m.zip", "M.ZIP", "m.tar.xz", "m.gguf", "m-00001-of-00001.gguf", "m.safetensors"] {
            assert_eq!(item(whole, false, false), Item::Whole, "{whole}");
        }
        for part in
            ["model-00001-of-00002.safetensors", "m-00001-of-00002.gguf", "config.json", "tokenizer.json"]
        {
            assert_eq!(item(part, false, false), Item::Part, "{part}");
        }
        assert_eq!([item("m", true, false), item("r.json", false, true)], [Item::Whole, Item::Report]);
    }

    #[test]
    fn two_are_compared_or_checked_and_parts_belong_together() {
        use Item::{Part, Report, Whole};
        assert_eq!(arrange(&[Whole]), Arrangement::Together);
        assert_eq!(arrange(&[Whole, Whole]), Arrangement::Compared);
        assert_eq!(arrange(&[Report, Report]), Arrangement::Compared);
        assert_eq!(arrange(&[Whole, Report]), Arrangement::Checked(1));
        assert_eq!(arrange(&[Report, Whole]), Arrangement::Checked(0));
        assert_eq!(arrange(&[Whole, Part]), Arrangement::Together);
        assert_eq!(arrange(&[Part, Part, Whole]), Arrangement::Together);
        assert_eq!(arrange(&[Whole, Whole, Report]), Arrangement::TooMany);
    }
}
