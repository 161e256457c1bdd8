//! Sets of shards evaluate like the file that they were cut from, whichever shard is named.

use std::fs;
use std::path::{Path, PathBuf};

use bitgauge_core::model::{Architecture, Config};
use conformance::{Device, GgmlType, GgufFile, Meta, Tally, compare, fixtures, on_device};
use native_eval::Source;

use crate::Logits;
use crate::convert::{self, Target};

/// Shards of the set.
const COUNT: usize = 3;

pub fn check(tally: &mut Tally) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let whole = folder.path().join("whole.gguf");
    let model = fixtures().join("models/qwen3_untied");
    let set = folder.path().join("set");
    let cut = convert::convert(&model, &whole, Target::F32, None).and_then(|()| cut(&whole, &set));
    let logits = |path: &Path| on_device(Device::Cpu, Logits(path));
    let result = cut.clone().and_then(|shards| {
        let want = logits(&whole)?;
        for path in shards.iter().map(PathBuf::as_path).chain([set.as_path()]) {
            compare("logits", &logits(path)?, &want, 0.0)?;
        }
        Ok("the same to the bit".to_owned())
    });
    tally.case("shards", result);
    let result = cut.and_then(|shards| {
        fs::remove_file(&shards[1]).map_err(|e| e.to_string())?;
        let fault = |path: &Path| Source::open(path).err().map(|error| error.to_string()).unwrap_or_default();
        let named = [shards[0].as_path(), shards[2].as_path(), set.as_path()].map(fault);
        match named.iter().find(|error| !error.contains("shard 2 of 3")) {
            None => Ok("the missing shard is named".to_owned()),
            Some(error) => Err(format!("it is not named: {error}")),
        }
    });
    tally.case("a missing shard", result);
}

/// Cuts a file into shards, as llama.cpp's gguf-split does: the metadata in the first, the tensors in turns.
fn cut(whole: &Path, to: &Path) -> Result<Vec<PathBuf>, String> {
    let mut source = Source::open(whole).map_err(|e| e.to_string())?;
    let artifact = source.artifact().clone();
    let tensors = &artifact.tensors;
    let config = Config::parse(artifact.expect_config().map_err(|e| e.to_string())?);
    let config = config.map_err(|e| e.to_string())?;
    let Architecture::Decoder(decoder) = config.architecture() else { return Err("no decoder".into()) };
    fs::create_dir_all(to).map_err(|e| e.to_string())?;
    let mut shards = vec![GgufFile::default(); COUNT];
    for (number, shard) in shards.iter_mut().enumerate() {
        if number == 0 {
            convert::metadata(shard, decoder);
        }
        shard.key("split.no", Meta::U32(number as u32));
        shard.key("split.count", Meta::U32(COUNT as u32));
        shard.key("split.tensors.count", Meta::U32(tensors.len() as u32));
    }
    for (i, tensor) in tensors.iter().enumerate() {
        let stored = source.read_tensor(tensor).map_err(|e| e.to_string())?;
        let name = convert::gguf_name(&tensor.name, decoder.family);
        shards[i % COUNT].tensor(&name, &tensor.shape, GgmlType::F32, stored);
    }
    let path = |i: usize| to.join(format!("model-{:05}-of-{COUNT:05}.gguf", i + 1));
    let write = |(i, shard): (usize, &GgufFile)| {
        fs::write(path(i), shard.bytes()).map_err(|e| e.to_string())?;
        Ok(path(i))
    };
    shards.iter().enumerate().map(write).collect()
}
