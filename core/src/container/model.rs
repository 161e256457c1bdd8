//! Which members are the model: the folder of config.json, and the weights in it.
//!
//! The weights are `model.safetensors`; without it the shards of `model.safetensors.index.json`. Transformers looks in the
//! same order. Without either, where it finds nothing, every `*.safetensors` file of the folder is judged.

use std::collections::{BTreeSet, HashMap};

use super::index::ShardIndex;
use super::window::{Pause, READ_AHEAD_BYTES, Window};
use super::{Artifact, Compression, ContainerKind, Member, gguf, member, names, safetensors};
use crate::model::{GENERATION, GENERATION_BYTES};
use crate::{Error, ErrorKind, Result, limits};

pub(super) const CONFIG: &str = "config.json";
const SINGLE: &str = "model.safetensors";
pub(super) const INDEX: &str = "model.safetensors.index.json";
pub(super) const EXTENSION: &str = ".safetensors";
/// Most bytes to read ahead over all weight files together.
const HINTS_BYTES: u64 = 64 << 20;

/// Reads the structure of the model among `members`.
pub(super) fn read(
    window: &Window,
    kind: ContainerKind,
    size_bytes: u64,
    members: Vec<Member>,
) -> Result<Artifact, Pause> {
    let mut artifact = Artifact {
        kind,
        compressed: None,
        size_bytes,
        members,
        model_dir: None,
        config: None,
        generation: None,
        gguf: None,
        tensors: Vec::new(),
        index: None,
        index_faults: Vec::new(),
        layout: None,
    };
    if kind == ContainerKind::Safetensors {
        read_headers(window, &mut artifact, &[0])?;
        return Ok(artifact);
    }
    if kind == ContainerKind::Gguf {
        gguf::read(window, &mut artifact, &[0])?;
        return Ok(artifact);
    }
    artifact.model_dir = find_model_dir(artifact.members.iter().map(|member| member.name.as_str()))?;
    if artifact.model_dir.is_none() && gguf::read_folder(window, &mut artifact)? {
        return Ok(artifact);
    }
    let config = artifact.find_beside_config(CONFIG);
    let generation = artifact.find_beside_config(GENERATION);
    let single = artifact.find_beside_config(SINGLE);
    let index = if single.is_some() { None } else { artifact.find_beside_config(INDEX) };
    let weights = single.map_or_else(|| loose_weights(&artifact), |single| vec![single]);

    let mut first_reads = weights.clone();
    [config, generation, index].into_iter().for_each(|text| first_reads.extend(text));
    read_ahead(window, &artifact.members, &first_reads)?;
    artifact.config = whole_text(window, &artifact, config, limits::CONFIG_BYTES)?;
    // One that is too long is not looked at.
    let is_read = generation.is_none_or(|i| artifact.members[i].bytes <= GENERATION_BYTES);
    artifact.generation =
        if is_read { whole_text(window, &artifact, generation, GENERATION_BYTES)? } else { Some(Vec::new()) };
    match index {
        Some(index) => read_shards(window, &mut artifact, index)?,
        None => read_headers(window, &mut artifact, &weights)?,
    }
    Ok(artifact)
}

/// The bytes of a member, if there is one.
fn whole_text(
    window: &Window,
    artifact: &Artifact,
    which: Option<usize>,
    cap: u64,
) -> Result<Option<Vec<u8>>, Pause> {
    let Some(which) = which else { return Ok(None) };
    Ok(Some(member::whole(window, &artifact.members[which], cap)?.into_owned()))
}

/// The folder of config.json as the validator finds it, `None` without any.
///
/// The root comes first. Then its folders, all of them before any folder below; then the same below
/// each of them in turn, in whatever order the file system lists them. Where that order would decide,
/// the artifact is refused.
///
/// # Errors
/// The order of the file system would decide.
pub fn find_model_dir<'n>(names: impl Iterator<Item = &'n str>) -> Result<Option<String>> {
    let mut folders: Vec<&str> =
        names.filter(|name| names::base(name) == CONFIG).map(names::folder).collect();
    folders.sort_unstable();
    folders.dedup();
    let (Some(first), Some(last)) = (folders.first(), folders.last()) else { return Ok(None) };
    if first.is_empty() {
        return Ok(Some(String::new()));
    }
    // Down to where they part there is one folder after the other to look into.
    let root = common_folder(&folders, first, last);
    if folders.binary_search(&root).is_ok() {
        return Ok(Some(root.to_owned()));
    }
    let children = folders.iter().filter(|folder| child_of(root, folder) == **folder);
    match children.take(2).collect::<Vec<_>>().as_slice() {
        [only] => Ok(Some((**only).to_owned())),
        [one, other, ..] => Err(unclear(one, other)),
        [] => {
            let next = child_of(root, first);
            let other = folders.iter().find(|folder| child_of(root, folder) != next);
            Err(unclear(first, other.unwrap_or(last)))
        }
    }
}

/// The deepest folder that all of these, sorted, are or lie in; `""` where that is the root.
fn common_folder<'f>(folders: &[&'f str], first: &'f str, last: &str) -> &'f str {
    let same = first.bytes().zip(last.bytes()).take_while(|(a, b)| a == b).count();
    let ends_here = |folder: &&str| matches!(folder.as_bytes().get(same), None | Some(b'/'));
    if folders.iter().all(ends_here) {
        return &first[..same];
    }
    first.as_bytes()[..same].iter().rposition(|byte| *byte == b'/').map_or("", |end| &first[..end])
}

/// The folder directly below `root` that `folder`, which lies below it, is or is in.
fn child_of<'f>(root: &str, folder: &'f str) -> &'f str {
    let start = if root.is_empty() { 0 } else { root.len() + 1 };
    folder[start..].find('/').map_or(folder, |end| &folder[..start + end])
}

fn unclear(first: &str, second: &str) -> Error {
    Error::new(ErrorKind::Malformed, "it is not clear which config.json is the model's")
        .within(format!("{first}/{CONFIG}"))
        .expected_found(
            "one config.json that comes first in any listing",
            format!("{second}/{CONFIG} as well"),
        )
        .hint("leave one model in the artifact")
}

/// Every safetensors file of the model's folder.
fn loose_weights(artifact: &Artifact) -> Vec<usize> {
    let folder = artifact.model_dir.as_deref().unwrap_or_default();
    let is_weights =
        |member: &Member| names::folder(&member.name) == folder && member.name.ends_with(EXTENSION);
    (0..artifact.members.len()).filter(|i| is_weights(&artifact.members[*i])).collect()
}

/// Asks at once for the beginnings of these members; for all of a text, unless it is longer than config.json may be.
fn read_ahead(window: &Window, members: &[Member], which: &[usize]) -> Result<(), Pause> {
    let hint = (HINTS_BYTES / (which.len() as u64).max(1)).clamp(safetensors::LENGTH_BYTES, READ_AHEAD_BYTES);
    window.want(which.iter().map(|i| {
        let member = &members[*i];
        let is_text = !member.name.ends_with(EXTENSION) && member.bytes <= limits::CONFIG_BYTES;
        member::stored_range(member, if is_text { member.stored_bytes } else { hint })
    }))
}

/// Reads the headers of these members and appends their tensors.
fn read_headers(window: &Window, artifact: &mut Artifact, weights: &[usize]) -> Result<(), Pause> {
    let mut total = 0;
    let lengths = weights.iter().map(|&i| safetensors::header_bytes(window, &artifact.members[i]));
    let lengths = window.all(lengths)?;
    let headers = || weights.iter().copied().zip(lengths.iter().copied());
    for (i, bytes) in headers() {
        total += bytes;
        if total > limits::SAFETENSORS_HEADER_BYTES + safetensors::LENGTH_BYTES {
            let error = Error::new(ErrorKind::TooLarge, "the safetensors headers are too long together")
                .expected_found(format!("at most {} bytes", limits::SAFETENSORS_HEADER_BYTES), total);
            return Err(member::place(window, &artifact.members[i], error).into());
        }
    }
    let stored = headers().filter(|&(i, _)| artifact.members[i].compression == Compression::Stored);
    window.want(stored.map(|(i, bytes)| member::stored_range(&artifact.members[i], bytes)))?;
    for (i, bytes) in headers() {
        let (tensors, header) = safetensors::read(window, &artifact.members[i], i, bytes)?;
        artifact.tensors.extend(tensors);
        artifact.members[i].header = Some(header);
        if artifact.tensors.len() > limits::TENSORS_COUNT {
            let error = Error::new(ErrorKind::TooLarge, "too many tensors").expected_found(
                format!("at most {}", limits::TENSORS_COUNT),
                format!("{} so far", artifact.tensors.len()),
            );
            return Err(member::place(window, &artifact.members[i], error).into());
        }
    }
    check_unique(window, artifact)
}

/// Refuses a tensor that two files hold.
fn check_unique(window: &Window, artifact: &Artifact) -> Result<(), Pause> {
    let mut member_of: HashMap<&str, usize> = HashMap::with_capacity(artifact.tensors.len());
    for tensor in &artifact.tensors {
        if let Some(first) = member_of.insert(&tensor.name, tensor.member) {
            let error = Error::new(ErrorKind::Malformed, "a tensor is stored in two files")
                .within(tensor.name.escape_debug())
                .at(tensor.offset)
                .expected_found("each tensor once", format!("it is in {} too", artifact.members[first].name))
                .hint("leave only one set of weights in the folder");
            return Err(member::place(window, &artifact.members[tensor.member], error).into());
        }
    }
    Ok(())
}

/// Reads the shards that the index (member number `index`) names.
fn read_shards(window: &Window, artifact: &mut Artifact, index: usize) -> Result<(), Pause> {
    let member = artifact.members[index].clone();
    let place = |error| member::place(window, &member, error);
    let text = member::whole(window, &member, limits::INDEX_BYTES)?;
    let index = ShardIndex::parse(&text).map_err(place)?;

    let folder = artifact.model_dir.as_deref().unwrap_or_default();
    let path = |shard: &str| if folder.is_empty() { shard.to_owned() } else { format!("{folder}/{shard}") };
    let member_of: HashMap<&str, usize> =
        artifact.members.iter().enumerate().map(|(i, member)| (member.name.as_str(), i)).collect();
    let member_of = |shard: &str| member_of.get(path(shard).as_str()).copied();
    index.check_shards(|shard| member_of(shard).is_some()).map_err(place)?;
    let weights: BTreeSet<usize> = index.shards().into_iter().filter_map(member_of).collect();

    let weights = Vec::from_iter(weights);
    artifact.index_faults = index.faults(EXTENSION);
    artifact.index = Some(text.into());
    read_ahead(window, &artifact.members, &weights)?;
    read_headers(window, artifact, &weights)
}
