//! Packs small models on disk and reads them back.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use bitgauge_core::container::{Compression, ContainerKind};
use bitgauge_core::format::{self, Form, Part, Parts};
use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::{Bitpacked, Dense, Dtype, ErrorKind, Values};
use half::bf16;
use tempfile::TempDir;

use super::quantize::{Fit, Settings, choose_rescue_rows, quantize_block, row_errors};
use super::{Calibration, PackMix, PackSettings, PackStep, PackSummary, pack};
use crate::source::Source;

pub(super) const CONFIG: &str = r#"{
  "model_type": "qwen3",
  "zebra": [1, 2.50, "é"],
  "hidden_size": 66, "intermediate_size": 35, "num_hidden_layers": 1,
  "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 6, "vocab_size": 40,
  "tie_word_embeddings": true, "rms_norm_eps": 1e-6, "rope_theta": 1000000
}
"#;
/// Every tensor of that model, with the copy of the head that a tied model may store.
const TENSORS: [(&str, &[usize]); 14] = [
    ("lm_head.weight", &[40, 66]),
    ("model.embed_tokens.weight", &[40, 66]),
    ("model.layers.0.input_layernorm.weight", &[66]),
    ("model.layers.0.mlp.down_proj.weight", &[66, 35]),
    ("model.layers.0.mlp.gate_proj.weight", &[35, 66]),
    ("model.layers.0.mlp.up_proj.weight", &[35, 66]),
    ("model.layers.0.post_attention_layernorm.weight", &[66]),
    ("model.layers.0.self_attn.k_norm.weight", &[6]),
    ("model.layers.0.self_attn.k_proj.weight", &[12, 66]),
    ("model.layers.0.self_attn.o_proj.weight", &[66, 24]),
    ("model.layers.0.self_attn.q_norm.weight", &[6]),
    ("model.layers.0.self_attn.q_proj.weight", &[24, 66]),
    ("model.layers.0.self_attn.v_proj.weight", &[12, 66]),
    ("model.norm.weight", &[66]),
];
pub(super) const SETTINGS: PackSettings = uniform(128, 0.1, 1);

pub(super) const fn uniform(scale_group: usize, rescue_fraction: f64, bases: usize) -> PackSettings {
    let mix = PackMix::Uniform { scale_group, rescue_fraction, bases };
    PackSettings { mix, fit: Fit::LeastSquares, calibration: Calibration::None, force: false }
}

/// Seeded weights, uniform in -0.05 to 0.05.
pub(super) fn weights(seed: u64, count: usize) -> Vec<bf16> {
    let mut random = fastrand::Rng::with_seed(seed);
    (0..count).map(|_| bf16::from_f32((random.f32() - 0.5) * 0.1)).collect()
}

/// Name, shape and values of each tensor.
pub(super) type Tensors = Vec<(String, Vec<usize>, Vec<bf16>)>;

/// The model's tensors with their values; BF16. The stored head is the embedding again.
pub(super) fn tensors() -> Tensors {
    let named = TENSORS.iter().enumerate();
    named
        .map(|(i, (name, shape))| {
            let seed = i.max(1) as u64 + 1;
            ((*name).to_owned(), shape.to_vec(), weights(seed, shape.iter().product()))
        })
        .collect()
}

/// Writes a model folder, one safetensors file per `per_shard` tensors.
pub(super) fn write_model(
    folder: &Path,
    config: &str,
    tensors: &[(String, Vec<usize>, Vec<bf16>)],
    per_shard: usize,
) {
    fs::create_dir(folder).unwrap();
    fs::write(folder.join("config.json"), config).unwrap();
    fs::write(folder.join("tokenizer.json"), "{\"not\": \"a tokenizer\"}").unwrap();
    fs::write(folder.join("README.md"), "not copied").unwrap();
    let shards = tensors.len().div_ceil(per_shard);
    let mut index = serde_json::Map::new();
    for (i, shard) in tensors.chunks(per_shard).enumerate() {
        let file = if shards == 1 {
            "model.safetensors".into()
        } else {
            format!("model-{:05}-of-{shards:05}.safetensors", i + 1)
        };
        let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
        for (name, shape, values) in shard {
            let start = data.len();
            data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            let entry =
                serde_json::json!({"dtype": "BF16", "shape": shape, "data_offsets": [start, data.len()]});
            header.insert(name.clone(), entry);
            index.insert(name.clone(), file.clone().into());
        }
        let header = serde_json::Value::from(header).to_string();
        let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        fs::write(folder.join(file), bytes).unwrap();
    }
    if shards > 1 {
        let index = serde_json::json!({"metadata": {}, "weight_map": index});
        fs::write(folder.join("model.safetensors.index.json"), index.to_string()).unwrap();
    }
}

pub(super) struct Model {
    root: TempDir,
}

impl Model {
    pub(super) fn new() -> Self {
        let model = Self { root: tempfile::tempdir().unwrap() };
        write_model(&model.path("source"), CONFIG, &tensors(), 100);
        model
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(super) fn pack(&self, out: &str, settings: &PackSettings) -> bitgauge_core::Result<PackSummary> {
        self.pack_from("source", out, settings)
    }

    pub(super) fn pack_from(
        &self,
        from: &str,
        out: &str,
        settings: &PackSettings,
    ) -> bitgauge_core::Result<PackSummary> {
        let mut source = Source::open(&self.path(from))?;
        let total: u64 = source.artifact().tensors.iter().map(|tensor| tensor.bytes).sum();
        let mut last = (PackStep::Packing, 0, 0);
        let mut tell = |step, done, all| last = (step, done, all);
        let summary = pack(&mut source, &self.path(out), settings, &mut tell)?;
        assert_eq!(last, (PackStep::Packing, total, total), "progress ends at the end");
        Ok(summary)
    }

    /// Names of what lies beside the source.
    pub(super) fn listing(&self) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(self.root.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }
}

/// Weights that are not packed: data type and bytes.
pub(super) type Plain = BTreeMap<String, (Dtype, Vec<u8>)>;

/// Reads a packed artifact: the packed weights, and the bytes of all others.
pub(super) fn read(path: &Path) -> (BTreeMap<String, Bitpacked>, Plain) {
    let mut source = Source::open(path).unwrap();
    let artifact = source.artifact().clone();
    let inventory = Inventory::of(&artifact).unwrap();
    assert!(inventory.missing.is_empty() && inventory.unknown.is_empty() && inventory.misshapen.is_empty());
    let (mut packed, mut plain) = (BTreeMap::new(), BTreeMap::new());
    for weight in &inventory.weights {
        match (&weight.form, &weight.stored) {
            (Form::Bitpacked { parts }, Stored::Bitpacked(layout)) => {
                let bytes: Parts<Vec<u8>> = parts.map(|index| {
                    index.map_or_else(Vec::new, |i| source.read_tensor(&artifact.tensors[i]).unwrap())
                });
                let matrix = format::decode(&weight.name, layout, &bytes.map(Vec::as_slice)).unwrap();
                packed.insert(weight.name.clone(), matrix);
            }
            (Form::Plain { index }, _) => {
                let tensor = &artifact.tensors[*index];
                plain.insert(weight.name.clone(), (tensor.dtype, source.read_tensor(tensor).unwrap()));
            }
            other => panic!("{}: {other:?}", weight.name),
        }
    }
    (packed, plain)
}

/// What quantizing in memory gives for a tensor of the source.
fn in_memory(shape: &[usize], values: &[bf16], how: &PackSettings) -> Bitpacked {
    let PackMix::Uniform { scale_group, rescue_fraction, bases } = how.mix else { panic!() };
    let dense = Dense { rows: shape[0], cols: shape[1], values: Values::BF16(values.to_vec()) };
    let settings = Settings { scale_group, bases, fit: how.fit };
    let errors = row_errors(&dense, 0, &[settings], None).unwrap();
    let rows = choose_rescue_rows(&errors.binary[0], &errors.rescue, rescue_fraction).unwrap();
    quantize_block(&dense, 0, &rows, settings, None).unwrap()
}

#[test]
fn what_is_read_back_is_what_quantizing_gives() {
    let model = Model::new();
    let mut case = 0;
    for (scale_group, bases) in [(128, 1), (0, 1), (128, 3), (0, 4)] {
        for rescue_fraction in [0.0, 0.1, 1.0] {
            for kind in ["folder", "model.zip", "model.tar"] {
                case += 1;
                let out = format!("{case}.{kind}");
                let settings = uniform(scale_group, rescue_fraction, bases);
                let summary = model.pack(&out, &settings).unwrap();
                let (packed, plain) = read(&model.path(&out));
                assert_eq!((summary.packed, summary.kept), (packed.len() as u64, plain.len() as u64));
                assert_eq!(summary.dropped, ["lm_head.weight"]);
                let mut bits = 0;
                for (name, shape, mut values) in tensors() {
                    match shape.len() {
                        _ if name == "lm_head.weight" => assert!(!packed.contains_key(&name)),
                        1 => {
                            let bytes: Vec<u8> =
                                values.iter().flat_map(|value| value.to_le_bytes()).collect();
                            assert_eq!(plain[&name], (Dtype::BF16, bytes), "{name}");
                        }
                        _ => {
                            let expected = in_memory(&shape, &values, &settings);
                            assert_eq!(packed[&name], expected, "{name}");
                            bits += expected.layout.bits().total();
                            // A source that differs in one weight gives something else.
                            values[shape[1] + 1] = bf16::from_f32(0.3);
                            assert_ne!(packed[&name], in_memory(&shape, &values, &settings), "{name}");
                        }
                    }
                }
                assert_eq!(summary.bits.total(), bits);
            }
        }
    }
}

#[test]
fn the_same_model_gives_the_same_bytes() {
    let model = Model::new();
    write_model(&model.path("sharded"), CONFIG, &tensors(), 5);
    let mut reversed = tensors();
    reversed.reverse();
    write_model(&model.path("reversed"), CONFIG, &reversed, 100);
    model.pack("a.zip", &SETTINGS).unwrap();
    let bytes = |name: &str| fs::read(model.path(name)).unwrap();
    for (from, out) in [("source", "b.zip"), ("sharded", "c.zip"), ("reversed", "d.ZIP")] {
        model.pack_from(from, out, &SETTINGS).unwrap();
        assert_eq!(bytes("a.zip"), bytes(out), "{from}");
    }
    model.pack("a.tar", &SETTINGS).unwrap();
    model.pack_from("reversed", "b.TAR", &SETTINGS).unwrap();
    assert_eq!(bytes("a.tar"), bytes("b.TAR"));
    for ending in ["zip", "tar"] {
        let (first, other) = (format!("a.{ending}"), format!("e.{ending}"));
        model.pack(&other, &uniform(128, 0.2, 1)).unwrap();
        assert_ne!(bytes(&first), bytes(&other));
    }
}

#[test]
fn a_packed_zip_packs_like_its_folder() {
    let model = Model::new();
    let folder = model.pack("folder", &SETTINGS).unwrap();
    let zip = model.pack("model.zip", &SETTINGS).unwrap();
    assert_eq!(zip.bytes, fs::metadata(model.path("model.zip")).unwrap().len());
    assert_eq!(PackSummary { bytes: 0, bits_per_parameter: 0.0, ..folder }, {
        PackSummary { bytes: 0, bits_per_parameter: 0.0, ..zip }
    });
    let mut source = Source::open(&model.path("model.zip")).unwrap();
    let artifact = source.artifact().clone();
    assert_eq!(artifact.kind, ContainerKind::Zip);
    let names: Vec<&str> = artifact.members.iter().map(|member| member.name.as_str()).collect();
    assert_eq!(names, ["config.json", "modeling_bitpack.py", "tokenizer.json", "model.safetensors"]);
    for (index, member) in artifact.members.iter().enumerate() {
        if member.name == "model.safetensors" {
            assert_eq!((member.compression, member.offset % 64), (Compression::Stored, 0));
        } else {
            assert_eq!(member.compression, Compression::Deflated, "{}", member.name);
        }
        let unzipped = source.read_member(index, u64::MAX).unwrap();
        assert_eq!(unzipped, fs::read(model.path("folder").join(&member.name)).unwrap(), "{}", member.name);
    }
}

#[test]
fn a_packed_tar_packs_like_its_folder() {
    let model = Model::new();
    let folder = model.pack("folder", &SETTINGS).unwrap();
    let tar = model.pack("model.tar", &SETTINGS).unwrap();
    assert_eq!(tar.bytes, fs::metadata(model.path("model.tar")).unwrap().len());
    assert_eq!(PackSummary { bytes: 0, bits_per_parameter: 0.0, ..folder }, {
        PackSummary { bytes: 0, bits_per_parameter: 0.0, ..tar }
    });
    assert_eq!(Source::open(&model.path("model.tar")).unwrap().artifact().kind, ContainerKind::Tar);
    assert!(read(&model.path("model.tar")) == read(&model.path("folder")));
    // Another reader.
    let mut archive = tar::Archive::new(fs::File::open(model.path("model.tar")).unwrap());
    let mut names = Vec::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let header = entry.header().clone();
        assert!(header.as_ustar().is_some() && header.entry_type().is_file());
        let of = [header.mode(), header.mtime().map(|time| time as u32), header.uid().map(|id| id as u32)];
        assert_eq!(of.map(Result::unwrap), [0o644, 0, 0]);
        let name = entry.path().unwrap().to_str().unwrap().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        assert_eq!(bytes, fs::read(model.path("folder").join(&name)).unwrap(), "{name}");
        names.push(name);
    }
    assert_eq!(names, ["config.json", "modeling_bitpack.py", "tokenizer.json", "model.safetensors"]);
}

#[test]
fn other_files_are_not_written() {
    let model = Model::new();
    for out in ["out.tar.gz", "out.tgz", "out.GGUF", "model.safetensors", "out.xz"] {
        let error = model.pack(out, &SETTINGS).unwrap_err();
        assert_eq!(error.kind, ErrorKind::BadName, "{error}");
        assert!(error.expected.contains(".zip, .tar or .tar.xz") && error.place.ends_with(out), "{error}");
    }
    assert_eq!(model.listing(), ["source"]);
    model.pack("Qwen3-0.6B", &SETTINGS).unwrap();
    assert!(model.path("Qwen3-0.6B/config.json").exists());
}

#[test]
fn tensors_are_aligned_to_their_elements() {
    let model = Model::new();
    for out in ["model.zip", "model.tar"] {
        model.pack(out, &SETTINGS).unwrap();
        let source = Source::open(&model.path(out)).unwrap();
        let artifact = source.artifact();
        for tensor in &artifact.tensors {
            let start = artifact.members[tensor.member].offset + tensor.offset;
            assert_eq!(start % tensor.dtype.bytes(), 0, "{}", tensor.name);
        }
        let names =
            |part: Part| artifact.tensors.iter().filter(move |t| t.name.ends_with(part.suffix())).count();
        assert_eq!((names(Part::Sign), names(Part::RescueRows)), (8, 8));
    }
}

#[test]
fn config_keeps_its_fields_in_order() {
    let model = Model::new();
    model.pack("out", &SETTINGS).unwrap();
    let written = fs::read_to_string(model.path("out/config.json")).unwrap();
    let added = r#",
  "auto_map": {
    "AutoModelForCausalLM": "modeling_bitpack.BitpackForCausalLM"
  },
  "quantization_config": {
    "quant_method": "bitpack",
    "format_version": 1,
    "scale_group_size": 128,
    "rescue_group_size": 128
  }
}
"#;
    assert_eq!(written, CONFIG.trim_end().strip_suffix('}').unwrap().trim_end().to_owned() + added);
}

/// What is packed already is taken over, rescue rows and bases included; and a tied model's embedding that is stored as its
/// head gets its own name, which transformers does without and the packed loader does not.
#[test]
fn what_has_another_form_already_packs_alike() {
    let model = Model::new();
    let weights = |folder: &str| fs::read(model.path(folder).join("model.safetensors")).unwrap();
    model.pack("packed", &uniform(0, 0.2, 3)).unwrap();
    let summary = model.pack_from("packed", "again", &SETTINGS).unwrap();
    assert_eq!((summary.exact, summary.scale_group), (summary.packed, 0));
    assert!(weights("packed") == weights("again"));
    let config = |folder: &str| fs::read(model.path(folder).join("config.json")).unwrap();
    let parsed = |folder: &str| serde_json::from_slice::<serde_json::Value>(&config(folder)).unwrap();
    assert_eq!(parsed("packed"), parsed("again"));

    let mut named = tensors();
    named.remove(1);
    write_model(&model.path("head"), CONFIG, &named, 100);
    model.pack("one", &SETTINGS).unwrap();
    model.pack_from("head", "two", &SETTINGS).unwrap();
    assert!(weights("one") == weights("two"));
}

/// The smaller of two archives stays, with the same files.
#[test]
fn the_smallest_archive_is_kept() {
    let model = Model::new();
    let pack_best = |name: &str| {
        let mut source = Source::open(&model.path("source")).unwrap();
        super::pack_smallest(&mut source, &model.path(name), &SETTINGS, &mut |_, _, _| {}).unwrap()
    };
    let (path, summary) = pack_best("best");
    assert_eq!(fs::metadata(&path).unwrap().len(), summary.bytes);
    let zip = model.pack("one.zip", &SETTINGS).unwrap();
    let xz = model.pack("one.tar.xz", &SETTINGS).unwrap();
    assert_eq!(summary.bytes, zip.bytes.min(xz.bytes));
    assert_eq!(path.extension().is_some_and(|end| end == "zip"), zip.bytes <= xz.bytes);
    let mut expected = vec!["one.tar.xz", "one.zip", "source", path.file_name().unwrap().to_str().unwrap()];
    expected.sort_unstable();
    assert_eq!(model.listing(), expected);
    let members = |path: &Path| {
        let mut source = Source::open(path).unwrap();
        let names: Vec<String> = source.artifact().members.iter().map(|member| member.name.clone()).collect();
        let read = |(index, name)| (name, source.read_member(index, u64::MAX).unwrap());
        names.into_iter().enumerate().map(read).collect::<BTreeMap<_, _>>()
    };
    assert_eq!(members(&model.path("one.zip")), members(&model.path("one.tar.xz")));
}
