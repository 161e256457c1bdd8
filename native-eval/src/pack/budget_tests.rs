//! Packs random models under a budget, and checks that nothing more would have fitted.

use std::fs;
use std::path::Path;

use bitgauge_core::container::ContainerKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::format::{Layout, Part};

use bitgauge_core::inventory::{Inventory, Stored};
use bitgauge_core::model::{Config, Manifest, Presence};
use half::bf16;

use super::archive::{Archive, Form};
use super::files::SmallFile;
use super::quantize::Fit;
use super::safetensors::{TensorSpec, Writer, file_bytes};
use super::{Calibration, PackMix, PackSettings, PackSummary, pack};
use crate::source::Source;

/// A bell curve of sorts: the sum of four uniform numbers.
fn weight(random: &mut fastrand::Rng) -> f32 {
    (0..4).map(|_| random.f32() - 0.5).sum()
}

/// Writes a random model whose rows differ in size, so that some are worth more than others.
fn write_model(folder: &Path, config: &serde_json::Value, seed: u64) {
    fs::create_dir_all(folder).unwrap();
    let config = config.to_string();
    fs::write(folder.join("config.json"), &config).unwrap();
    let tokenizer: String = (0..seed % 300).map(|i| format!("\"token {i}\": {i},\n")).collect();
    fs::write(folder.join("tokenizer.json"), tokenizer).unwrap();
    let parsed = Config::parse(config.as_bytes()).unwrap();
    let manifest = Manifest::new(parsed.architecture()).unwrap();
    // A tied head is not stored, as transformers saves it.
    let stored = || manifest.tensors().iter().filter(|tensor| tensor.presence != Presence::TiedCopy);
    let specs = stored().map(|tensor| TensorSpec {
        name: tensor.name.clone(),
        dtype: bitgauge_core::Dtype::BF16,
        shape: tensor.shape.clone(),
    });
    let mut writer = Writer::create(&folder.join("model.safetensors"), specs.collect()).unwrap();
    let mut random = fastrand::Rng::with_seed(seed);
    for tensor in stored() {
        let cols = *tensor.shape.last().unwrap();
        let rows = tensor.elements() / cols;
        let mut bytes = Vec::new();
        for _ in 0..rows {
            let size = 0.02 * (1.0 + random.u64(0..=100) as f32 / 50.0);
            bytes.extend((0..cols).flat_map(|_| bf16::from_f32(size * weight(&mut random)).to_le_bytes()));
        }
        writer.write(&tensor.name, 0, &bytes).unwrap();
    }
    writer.finish().unwrap();
}

fn config(hidden: u64, inner: u64, layers: u64, vocabulary: u64, tied: bool) -> serde_json::Value {
    serde_json::json!({
        "model_type": "qwen3", "hidden_size": hidden, "intermediate_size": inner,
        "num_hidden_layers": layers, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 32,
        "vocab_size": vocabulary, "tie_word_embeddings": tied, "rms_norm_eps": 1e-6, "rope_theta": 1e6
    })
}

fn budget(pack: Rules) -> PackSettings {
    let mix = PackMix::Budget { pack, scale_group: None };
    PackSettings { mix, fit: Fit::LeastSquares, calibration: Calibration::None, force: true }
}

/// What a packed model is made of.
struct Written {
    layouts: Vec<(String, Layout)>,
    plain: Vec<TensorSpec>,
    files: Vec<SmallFile>,
    form: Form,
    bytes: u64,
    parameters: u64,
}

impl Written {
    fn read(path: &Path) -> Self {
        let mut source = Source::open(path).unwrap();
        let artifact = source.artifact().clone();
        let inventory = Inventory::of(&artifact).unwrap();
        let (mut layouts, mut plain, mut files) = (Vec::new(), Vec::new(), Vec::new());
        for weight in &inventory.weights {
            match &weight.stored {
                Stored::Bitpacked(layout) => layouts.push((weight.name.clone(), *layout)),
                Stored::Plain { dtype, shape } => {
                    plain.push(TensorSpec { name: weight.name.clone(), dtype: *dtype, shape: shape.clone() });
                }
                Stored::Coded(_) | Stored::Misfit { .. } => panic!("{}", weight.name),
            }
        }
        for (index, member) in artifact.members.iter().enumerate() {
            if member.name != "model.safetensors" {
                let bytes = source.read_member(index, u64::MAX).unwrap();
                files.push(SmallFile { name: member.name.clone(), bytes });
            }
        }
        let form = match artifact.kind {
            ContainerKind::Zip => Form::Archive(Archive::Zip),
            ContainerKind::Tar => Form::Archive(Archive::Tar),
            _ => Form::Folder,
        };
        let parameters = inventory.parameters().unwrap();
        Self { layouts, plain, files, form, bytes: artifact.size_bytes, parameters }
    }

    /// Bytes of the artifact if one weight were stored otherwise.
    fn bytes_with(&self, changed: usize, layout: Layout) -> u64 {
        let mut specs = self.plain.clone();
        for (i, (name, stored)) in self.layouts.iter().enumerate() {
            let layout = if i == changed { &layout } else { stored };
            for part in Part::ALL.into_iter().filter(|&part| layout.has(part)) {
                let name = format!("{name}.{}", part.suffix());
                specs.push(TensorSpec { name, dtype: part.dtype(), shape: layout.shape(part) });
            }
        }
        self.form.bytes(&self.files, file_bytes(specs)).unwrap()
    }

    fn non_binary(&self) -> u64 {
        let kept: u64 = self.plain.iter().map(|spec| spec.shape.iter().product::<u64>()).sum();
        kept + self.layouts.iter().map(|(_, layout)| layout.rescue_parameters()).sum::<u64>()
    }

    /// Why no further row of any weight can be rescued under `pack`. Panics where one could.
    fn check_full(&self, summary: &PackSummary, pack: Rules) -> &'static str {
        let limits = pack.limits();
        let bits = limits.max_artifact_bits(self.parameters);
        let (budget, most) = (bits / 8, limits.max_non_native(self.parameters));
        assert_eq!((summary.budget_bytes, summary.bytes), (Some(budget), self.bytes));
        assert!(8 * self.bytes <= bits, "{} bytes of {budget}", self.bytes);
        assert!(self.non_binary() <= most);
        let mut reason = "every row is rescued";
        for (i, (name, layout)) in self.layouts.iter().enumerate() {
            let rescued = layout.rescued() + 1;
            if rescued > layout.rows() {
                continue;
            }
            if self.non_binary() + layout.cols() > most {
                reason = "the limit of parameters that are not binary";
                continue;
            }
            let bases = if rescued == layout.rows() { 0 } else { layout.bases() };
            let more =
                Layout::new(layout.rows(), layout.cols(), bases, rescued, layout.scale_group()).unwrap();
            let bytes = self.bytes_with(i, more);
            assert!(bytes > budget, "{name}: one more row gives {bytes} of {budget} bytes");
            reason = "bytes";
        }
        reason
    }
}

fn packed(config: &serde_json::Value, seed: u64, pack_name: Rules, out: &str) -> (PackSummary, Written) {
    let root = tempfile::tempdir().unwrap();
    let (from, out) = (root.path().join("dense"), root.path().join(out));
    write_model(&from, config, seed);
    let mut source = Source::open(&from).unwrap();
    let summary = pack(&mut source, &out, &budget(pack_name), &mut |_, _, _| {}).unwrap();
    let written = Written::read(&out);
    (summary, written)
}

#[test]
fn fifty_random_shapes_are_filled_to_the_last_row() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut reasons = std::collections::BTreeMap::new();
    for seed in 0..50 {
        // Not multiples of anything: padded signs, odd codes, a last scale group cut short.
        let (hidden, inner) = (random.u64(150..=300), random.u64(150..=500));
        let (layers, vocabulary) = (random.u64(1..=3), random.u64(200..=2000));
        let config = config(hidden, inner, layers, vocabulary, seed % 2 == 0);
        let pack_name = if seed % 5 == 4 { Rules::Ternary } else { Rules::Binary };
        let out = ["model.zip", "model.tar", "folder"][seed as usize % 3];
        let root = tempfile::tempdir().unwrap();
        let (from, to) = (root.path().join("dense"), root.path().join(out));
        write_model(&from, &config, seed);
        let mut source = Source::open(&from).unwrap();
        let reason = match pack(&mut source, &to, &budget(pack_name), &mut |_, _, _| {}) {
            Ok(summary) => Written::read(&to).check_full(&summary, pack_name),
            Err(error) => {
                assert!(error.what.contains("does not fit the budget"), "{error}");
                "too small a model"
            }
        };
        *reasons.entry(reason).or_insert(0) += 1;
    }
    // Most runs must have been stopped by bytes, or the property says little.
    assert!(reasons["bytes"] >= 30, "{reasons:?}");
}

#[test]
fn a_model_of_100_million_parameters_fills_its_budget() {
    let config = config(768, 2304, 10, 62_000, true);
    let (summary, written) = packed(&config, 7, Rules::Binary, "model.zip");
    let budget = summary.budget_bytes.unwrap();
    println!("{} parameters, {} of {budget} bytes", written.parameters, written.bytes);
    assert!((80_000_000..120_000_000).contains(&written.parameters), "{}", written.parameters);
    assert!(written.bytes as f64 > 0.999 * budget as f64, "{} of {budget}", written.bytes);
    assert_eq!(written.check_full(&summary, Rules::Binary), "bytes");
}

/// The check of the tests above notices a row that would still have fitted.
#[test]
#[should_panic(expected = "one more row gives")]
fn a_row_left_out_is_noticed() {
    let (mut summary, mut written) = packed(&config(256, 512, 2, 1000, true), 3, Rules::Binary, "model.zip");
    let at = written.layouts.iter().position(|(_, layout)| layout.rescued() > 1).unwrap();
    let layout = written.layouts[at].1;
    let fewer =
        Layout::new(layout.rows(), layout.cols(), layout.bases(), layout.rescued() - 1, layout.scale_group());
    let fewer = fewer.unwrap();
    let bytes = written.bytes_with(at, fewer);
    written.layouts[at].1 = fewer;
    (written.bytes, summary.bytes) = (bytes, bytes);
    written.check_full(&summary, Rules::Binary);
}

#[test]
fn a_budget_gives_the_same_bytes_again() {
    let root = tempfile::tempdir().unwrap();
    let from = root.path().join("dense");
    write_model(&from, &config(200, 300, 2, 900, false), 5);
    let bytes = |name: &str, settings: &PackSettings| {
        let out = root.path().join(name);
        pack(&mut Source::open(&from).unwrap(), &out, settings, &mut |_, _, _| {}).unwrap();
        fs::read(out).unwrap()
    };
    let first = bytes("a.zip", &budget(Rules::Binary));
    assert!(first == bytes("b.zip", &budget(Rules::Binary)));
    let mean = PackSettings { fit: Fit::Mean, ..budget(Rules::Binary) };
    assert!(first != bytes("c.zip", &mean));
}
