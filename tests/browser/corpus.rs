//! Writes the artifacts that the browser suite opens into a folder: `corpus FOLDER`.
//!
//! They are variations of the demo, made afresh at each run. The suite runs the command line on the
//! same files, and holds the page's report against what that wrote, byte for byte.

#[path = "../cli/artifacts.rs"]
#[allow(dead_code, reason = "the command-line suite uses all of it, this one only a part")]
mod artifacts;

#[path = "../gguf/convert.rs"]
#[allow(dead_code, reason = "the GGUF suite uses all of it, this one only a part")]
mod convert;

#[path = "../differential/folders.rs"]
#[allow(dead_code, reason = "the differential suite uses all of it, this one only a part")]
mod folders;

mod measured;

#[path = "../differential/recorded.rs"]
#[allow(dead_code, reason = "the differential suite uses all of it, this one only a part")]
mod recorded;

mod tokenizers;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use artifacts::{Artifact, Change};
use bitgauge_core::container::Compressor;
use bitgauge_core::contract::proxy::{Teacher, default_submission};
use bitgauge_shaders::{Kernel, compose};
use safetensors::SafeTensors;
use serde_json::json;

fn main() {
    let folder: PathBuf = std::env::args_os().nth(1).expect("usage: corpus FOLDER").into();
    if folder.exists() {
        fs::remove_dir_all(&folder).expect("an old corpus can be removed");
    }
    fs::create_dir_all(&folder).expect("a folder");
    for (name, artifact) in archives() {
        fs::copy(&artifact.path, folder.join(name)).expect("a copy");
    }
    let model = Artifact::demo_folder(&[]);
    copy_folder(&model.path, &folder.join("folder"));
    fs::copy(model.path.join("model.safetensors"), folder.join("bare.safetensors")).expect("a copy");
    write_shards(&model.path, &folder.join("shards"));
    let golden = conformance::fixtures().join("models/qwen3_tied");
    convert::convert(&golden, &folder.join("model.gguf"), convert::Target::F32, None).expect("a GGUF file");
    write_proxies(&folder);
    measured::write(&folder);
    tokenizers::write(&folder);
    // A distance that reaches back before the beginning: decoders differ in whether they notice.
    fs::write(folder.join("deflate-far.zip"), include_bytes!("../fixtures/deflate-far.zip")).expect("a file");
    let bzip2 = include_bytes!("../differential/hostile/bzip2_member.zip");
    fs::write(folder.join("bzip2-member.zip"), bzip2).expect("a file");
    write_recorded(&folder.join(RECORDED));
    fs::write(folder.join("shaders.json"), shaders().to_string()).expect("a file");
    fs::write(folder.join("poem.txt"), "So much depends upon a red wheel barrow\n".repeat(20))
        .expect("a file");
}

/// Every composed kernel, with what decides whether a WebGPU device takes it.
fn shaders() -> serde_json::Value {
    let shaders = Kernel::all().into_iter().map(|kernel| {
        let text = compose(kernel);
        let workgroup_bytes = workgroup_bytes(&text);
        json!({
            "name": format!("{kernel:?}"),
            "text": text,
            "cooperative": kernel.is_cooperative(),
            "workgroupBytes": workgroup_bytes,
        })
    });
    shaders.collect()
}

/// What the variables that a workgroup shares take.
fn workgroup_bytes(text: &str) -> u32 {
    let module = naga::front::wgsl::parse_str(text).expect("a module, as the GPU suite checks");
    let variables = module.global_variables.iter().map(|(_, variable)| variable);
    let shared = variables.filter(|variable| variable.space == naga::AddressSpace::WorkGroup);
    shared.map(|variable| module.types[variable.ty].inner.size(module.to_ctx())).sum()
}

/// The folder of archives and model folders whose answers by Python are recorded.
const RECORDED: &str = "recorded";
/// How many of each there are, in equal steps out of all.
const ARCHIVE_COUNT: usize = 40;
const FOLDER_COUNT: usize = 30;

fn write_recorded(folder: &Path) {
    fs::create_dir(folder).expect("a folder");
    let cases = recorded::recorded();
    let step = cases.len() / ARCHIVE_COUNT;
    for (number, case) in cases.iter().enumerate().step_by(step).take(ARCHIVE_COUNT) {
        fs::write(folder.join(format!("archive-{number:04}")), &case.bytes).expect("a file");
    }
    let (_, models) = folders::recorded();
    let models: Vec<_> = models.iter().enumerate().filter(|(_, model)| !model.is_tokenizer()).collect();
    let step = models.len() / FOLDER_COUNT;
    for (number, model) in models.into_iter().step_by(step).take(FOLDER_COUNT) {
        folders::write(&model.files, &folder.join(format!("model-{number:04}")));
    }
}

/// Archives: what is wrong with each is in its name.
fn archives() -> Vec<(&'static str, Artifact)> {
    let changed = |change| Artifact::demo(&[change]);
    let ballast = || (0..120_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let (norm, absent) = ("model.norm.weight", "model.gone.weight");
    vec![
        ("eligible.zip", Artifact::demo(&[])),
        ("deflated.zip", Artifact::demo_deflated()),
        ("eligible.tar", Artifact::demo_tar(&[Change::RemoveFile("tokenizer.json")])),
        ("eligible.tar.gz", Artifact::demo_compressed_tar(Compressor::Gzip)),
        ("eligible.tar.bz2", Artifact::demo_compressed_tar(Compressor::Bzip2)),
        ("eligible.tar.xz", Artifact::demo_compressed_tar(Compressor::Xz)),
        ("eligible.tar.lzma", Artifact::demo_compressed_tar(Compressor::Lzma)),
        ("cut.tar.xz", Artifact::demo_compressed_tar(Compressor::Xz).cut(1_000)),
        ("cut.tar.gz", Artifact::demo_compressed_tar(Compressor::Gzip).cut(1_000)),
        ("over-budget.zip", changed(Change::AddFile("ballast.bin", ballast()))),
        ("missing-weight.zip", changed(Change::RenameTensor(norm, absent))),
        ("other-shapes.zip", changed(Change::Config("intermediate_size", json!(1024)))),
        ("unknown-method.zip", changed(Change::Quantization("quant_method", json!("own")))),
        ("hostile-name.zip", changed(Change::AddFile("<img src=x onerror=alert(1)>.py", b"pass".to_vec()))),
        ("bad-code.zip", changed(Change::Payload("rescue_code", 5, vec![0x88]))),
        ("no-config.zip", changed(Change::RemoveFile("config.json"))),
        ("cut.zip", Artifact::demo(&[]).cut(1_000)),
        ("flipped.zip", Artifact::demo(&[]).flip(1_000_000)),
    ]
}

/// JSON artifacts of the validator's proxy.
fn write_proxies(folder: &Path) {
    let within = default_submission(&Teacher::default(), "binary").to_canonical();
    let over = within.replace("{\"high_precision", "{\"binary_basis_count\":2,\"high_precision");
    assert_ne!(within, over);
    for (name, text) in
        [("proxy.json", &*within), ("proxy-over.json", &over), ("no-proxy.json", "{\"layers\": 1}")]
    {
        fs::write(folder.join(name), text).expect("a file");
    }
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}

/// The same model with its weights in two files and an index.
fn write_shards(model: &Path, to: &Path) {
    copy_folder(model, to);
    let whole = fs::read(to.join("model.safetensors")).expect("the weights");
    fs::remove_file(to.join("model.safetensors")).expect("the copy");
    let tensors = SafeTensors::deserialize(&whole).expect("safetensors");
    let mut shards = [BTreeMap::new(), BTreeMap::new()];
    let mut weight_map = BTreeMap::new();
    for (i, (name, tensor)) in tensors.tensors().into_iter().enumerate() {
        weight_map.insert(name.clone(), shard_name(i % 2));
        shards[i % 2].insert(name, tensor);
    }
    for (i, shard) in shards.into_iter().enumerate() {
        let bytes = safetensors::serialize(shard, None).expect("safetensors");
        fs::write(to.join(shard_name(i)), bytes).expect("a shard");
    }
    let index = json!({ "metadata": {}, "weight_map": weight_map });
    fs::write(to.join("model.safetensors.index.json"), index.to_string()).expect("the index");
}

fn shard_name(i: usize) -> String {
    format!("model-{:05}-of-00002.safetensors", i + 1)
}
