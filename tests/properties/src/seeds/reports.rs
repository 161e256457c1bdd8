//! Reports as JSON and as links.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bitgauge_core::accounting::{Accounting, Bucket, Entry};
use bitgauge_core::container::ContainerKind;
use bitgauge_core::report::link::{Detail, encode};
use bitgauge_core::report::{
    ArtifactSummary, Evaluation, Gate, LayerSummary, ManifestSummary, MemberSummary, MetadataEntry,
    ModelSummary, Octave, Outcome, Report, SCHEMA_VERSION, TensorSummary, Unit, ValueSummary, Verdict,
    WeightSummary,
};

/// A report in which every field holds something.
fn full() -> Report {
    let hash = || Some("ab".repeat(32));
    let gate = |id: &'static str, title: &'static str, outcome, got, wanted: u64| Gate {
        id: id.into(),
        title: title.into(),
        outcome,
        got: Some(got),
        wanted: Some(wanted),
        margin: Some(wanted as i64 - got as i64),
        unit: Unit::Bytes,
        rule: "r".into(),
        details: vec!["d".into()],
        hint: Some("h".into()),
    };
    let gates = vec![
        gate("artifact_size", "size under the reference budget", Outcome::Pass, 100, 4_429_687_500),
        gate("other", "another gate", Outcome::Fail, 7, 5),
    ];
    let buckets =
        Bucket::ALL.map(|bucket| Entry { bucket, bits: if bucket == Bucket::SignBits { 816 } else { 0 } });
    Report {
        schema_version: SCHEMA_VERSION,
        bitgauge_version: "0.1.0".into(),
        artifact: ArtifactSummary {
            name: "m.zip".into(),
            kind: ContainerKind::Zip,
            size_bytes: 100,
            sha256: hash(),
            source: "https://example.org/m.zip".parse().ok(),
            members: vec![MemberSummary {
                name: "a".into(),
                bytes: 102,
                stored_bytes: 100,
                sha256: hash(),
                metadata: vec![MetadataEntry { key: "format".into(), value: "pt".into() }],
            }],
        },
        verdict: Verdict::of(&gates),
        gates,
        model: Some(ModelSummary {
            model_type: "qwen3".into(),
            parameters: Some(816),
            quant_method: Some("bitpack".into()),
        }),
        accounting: Accounting {
            buckets: buckets.to_vec(),
            saved_by_compression_bits: 16,
            total_bits: 800,
            binary_parameters: 816,
            rescue_parameters: 0,
            unpacked_parameters: 0,
            bits_per_parameter: Some(800.0 / 816.0),
        },
        layers: vec![layer(None), layer(Some(0)), layer(Some(1))],
        manifest: Some(ManifestSummary {
            expected: 1,
            missing: vec!["w".into()],
            ..ManifestSummary::default()
        }),
        weights: vec![WeightSummary {
            name: "w".into(),
            form: "1-bit".into(),
            shape: vec![2, 408],
            parameters: 816,
            rescue_parameters: 0,
            bits: 816,
        }],
        tensors: Some(vec![TensorSummary {
            name: "w.sign".into(),
            dtype: "U8".into(),
            shape: vec![1, 2, 52],
            bytes: 104,
            sha256: "ab".repeat(32),
        }]),
        notes: vec!["n".into()],
        evaluation: Some(evaluation()),
        ..Report::default()
    }
}

fn layer(layer: Option<u32>) -> LayerSummary {
    let (scale_mean, scale_min, scale_max) =
        (0.012_001_037_597_656_25, 5.960_464_477_539_063e-8, 0.299_560_546_875);
    let values = ValueSummary {
        signs: 256,
        plus: 127,
        scales: 2,
        scale_mean,
        scale_min,
        scale_max,
        octaves: vec![Octave { exponent: -7, scales: 2 }],
    };
    LayerSummary { layer, parameters: 256, rescue_parameters: 0, bits: 288, values: Some(values) }
}

/// An evaluation of one document.
pub fn evaluation() -> Evaluation {
    Evaluation {
        heldout_ppl: 19.826_017_284_393_31,
        cross_entropy_nats: 2.986_992_119_873_047,
        scored_documents: 24,
        scored_tokens: 12_264,
        max_tokens: 512,
        documents_sha256: "ab".repeat(32),
        device: "CPU".into(),
        precision: "f32".into(),
        seconds: 7.99,
        tokens_per_second: 1_538.2,
        documents: vec![bitgauge_core::report::DocumentLoss { tokens: 511, nats: 1_526.352_973_255_127 }],
        ..Evaluation::default()
    }
}

/// A report with as little in it as can be.
fn bare() -> Report {
    let mut report = Report { schema_version: SCHEMA_VERSION, ..Report::default() };
    report.evaluation = Some(evaluation());
    report
}

/// JSON reports, on one line: they are mutated faster than with their indent.
pub fn reports() -> Vec<Vec<u8>> {
    let json = |report: &Report| serde_json::to_vec(report).expect("a report can be written");
    vec![json(&full()), json(&bare()), json(&Report { schema_version: SCHEMA_VERSION, ..Report::default() })]
}

/// Two reports and a NUL between them.
pub fn pairs() -> Vec<Vec<u8>> {
    let [full, bare, empty] = reports().try_into().expect("three reports");
    vec![
        [&bare[..], b"\0", &bare].concat(),
        [&full[..], b"\0", &bare].concat(),
        [&empty[..], b"\0", &full].concat(),
    ]
}

/// What stands in front of the checksum of a link.
pub fn links() -> Vec<Vec<u8>> {
    let mut fixed_values = full();
    fixed_values.layers.iter_mut().for_each(|layer| layer.values = None);
    let mut known = full();
    known.gates.truncate(1);
    known.artifact.source = None;
    let mut precise = full();
    let evaluation = Evaluation { standard_error_nats: Some(0.03125), ..evaluation() };
    precise.evaluation = Some(Evaluation { window: Some(512), stride: Some(256), ..evaluation });
    let links = [full(), fixed_values, known, precise].map(|report| encode(&report, Detail::Full));
    let content = |link: &String| {
        let mut bytes = URL_SAFE_NO_PAD.decode(&link["r=".len()..]).expect("base64");
        bytes.truncate(bytes.len() - 4);
        bytes
    };
    let mut seeds: Vec<Vec<u8>> = links.iter().map(content).collect();
    seeds.push(links[2].clone().into_bytes());
    seeds
}
