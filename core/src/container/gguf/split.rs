//! Sets of shards, as llama.cpp's gguf-split writes them: each is a GGUF file with some of the tensors, and the first has
//! all the metadata.

use std::collections::HashSet;

use super::EXTENSION;
use super::header::{Header, Value};
use crate::container::{Compression, Member, names};
use crate::{Error, ErrorKind, Result};

/// How the files of vision towers begin, which lie beside their models.
const VISION: &str = "mmproj";

/// What the name of a shard says: `STEM-00002-of-00003.gguf`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardName<'n> {
    /// What the names of the set have in common.
    pub stem: &'n str,
    /// Which shard, from 1.
    pub number: u64,
    /// Shards of the set.
    pub count: u64,
}

impl<'n> ShardName<'n> {
    /// Reads a name; `None` for one that is not of this form.
    pub fn parse(name: &'n str) -> Option<Self> {
        let (rest, count) = name.strip_suffix(EXTENSION)?.rsplit_once("-of-")?;
        let (stem, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| {
            let is_number = text.len() >= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|number| is_number && *number > 0)
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (number <= count).then_some(Self { stem, number, count })
    }
}

/// The members that make up the only GGUF model among these; none if there is no GGUF file. Files of vision towers are
/// passed over.
///
/// # Errors
/// Several models.
pub(super) fn only_model(members: &[Member]) -> Result<Vec<usize>> {
    let of_model = |member: &Member| {
        let name = names::base(&member.name);
        name.ends_with(EXTENSION) && !name.starts_with(VISION) && member.compression == Compression::Stored
    };
    let files: Vec<usize> = (0..members.len()).filter(|i| of_model(&members[*i])).collect();
    let set = |file: &usize| {
        let name = members[*file].name.as_str();
        ShardName::parse(name).map_or((name, 1), |shard| (shard.stem, shard.count))
    };
    let other = files.iter().find(|file| set(file) != set(&files[0]));
    match other {
        None => Ok(files),
        Some(other) => Err(Error::new(ErrorKind::Malformed, "it is not clear which GGUF file is the model")
            .within(members[files[0]].name.escape_debug())
            .expected_found(
                "one model in the folder",
                format!("{} as well", members[*other].name.escape_debug()),
            )
            .hint("name the file, or any shard of a set")),
    }
}

/// The number of a shard, from 0, and of how many; a file that says nothing is the only one.
fn place(header: &Header) -> Result<[u64; 2]> {
    let number = |key: &str, default: u64| match header.metadata.get(key) {
        None => Ok(default),
        Some(Value::Integer(number)) if u64::try_from(*number).is_ok() => Ok(*number as u64),
        Some(found) => Err(Error::new(ErrorKind::Malformed, "a metadata key has a value that can't be used")
            .within(key)
            .expected_found("a whole number", format!("{found:?}").chars().take(60).collect::<String>())),
    };
    // llama.cpp writes a count of 0 into files that are not split.
    Ok([number("split.no", 0)?, number("split.count", 1)?.max(1)])
}

/// The files in the order of the shards, as places in `headers`.
///
/// # Errors
/// With the place of the file that shows it: shards that are missing, double or of other sets, tensors that are in two.
pub(super) fn in_order(headers: &[Header]) -> Result<Vec<usize>, (usize, Error)> {
    let mut places = vec![None; headers.len()];
    for (i, header) in headers.iter().enumerate() {
        let [number, count] = place(header).map_err(|error| (i, error))?;
        let found = format!("shard {} of {count}", number.saturating_add(1));
        if count > headers.len() as u64 {
            return Err((i, missing(headers, count, &found)));
        }
        match usize::try_from(number).ok().and_then(|number| places.get_mut(number)) {
            Some(slot @ None) if count == headers.len() as u64 => *slot = Some(i),
            _ => {
                let what = "the files are not the shards of one model";
                let wanted = format!("each of {} shards once", headers.len());
                let error = Error::new(ErrorKind::Malformed, what).within("split.no");
                return Err((i, error.expected_found(wanted, found)));
            }
        }
    }
    let mut names = HashSet::new();
    for (i, header) in headers.iter().enumerate() {
        if let Some(twice) = header.tensors.iter().find(|info| !names.insert(info.name.as_str())) {
            let error = Error::new(ErrorKind::Malformed, "a tensor is stored in two files");
            let error = error.within(twice.name.escape_debug()).at(twice.at);
            return Err((i, error.expected_found("each tensor once", "it in two shards")));
        }
    }
    // Each of them was filled.
    Ok(places.into_iter().flatten().collect())
}

/// Says which shards of `count` are missing, where `found` is one that is there.
fn missing(headers: &[Header], count: u64, found: &str) -> Error {
    /// Numbers that are listed.
    const LISTED: usize = 8;
    let here: HashSet<u64> =
        headers.iter().filter_map(|header| place(header).ok()).map(|[number, _]| number).collect();
    let absent = (0..count).filter(|number| !here.contains(number)).take(LISTED);
    let absent: Vec<String> = absent.map(|number| format!("shard {} of {count}", number + 1)).collect();
    Error::new(ErrorKind::Missing, "the model is split into several files, and not all of them are here")
        .within("split.count")
        .expected_found(absent.join(", "), found)
        .hint("put all shards into one folder and name it, or one of them")
}

/// The header of the whole model: the first shard's, with the tensors of all.
pub(super) fn joined(headers: Vec<Header>, order: &[usize]) -> Header {
    let mut headers: Vec<Option<Header>> = headers.into_iter().map(Some).collect();
    let mut in_order = order.iter().filter_map(|i| headers[*i].take());
    let mut whole = in_order.next().unwrap_or_default();
    in_order.for_each(|header| whole.tensors.extend(header.tensors));
    whole
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_shards_are_read() {
        let parsed = ShardName::parse("a-b-00002-of-00003.gguf");
        assert_eq!(parsed, Some(ShardName { stem: "a-b", number: 2, count: 3 }));
        for name in [
            "a.gguf",
            "a-00000-of-00003.gguf",
            "a-00004-of-00003.gguf",
            "a-2-of-3.gguf",
            "a-0000x-of-00003.gguf",
            "a-00001-of-00003.safetensors",
        ] {
            assert_eq!(ShardName::parse(name), None, "{name}");
        }
    }
}
