//! Reports in links: what comes back is what went in, within the promised lengths, and whatever
//! somebody else may have written into a link is refused or harmless.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bitgauge_core::accounting::Bucket;
use bitgauge_core::container::ContainerKind;
use bitgauge_core::contract::Rules;
use bitgauge_core::report::link::{Detail, decode, encode, find_fragment};
use bitgauge_core::report::{Evaluation, LayerSummary, Outcome, Report, Unit, ValueSummary};
use bitgauge_core::{ErrorKind, limits};
use conformance::demo::report as demo;
use half::f16;
use properties::seeds;
use proptest::prelude::*;

/// Most characters of a link's fragment without and with the figures by layer.
const SUMMARY_CHARACTERS: usize = 400;
const FULL_CHARACTERS: usize = 1_900;

/// The part of a report that a link carries.
fn carried(mut report: Report) -> Report {
    report.artifact.members.clear();
    report.weights.clear();
    report.tensors = None;
    report.notes.clear();
    report.manifest = None;
    for gate in &mut report.gates {
        gate.rule.clear();
        gate.details.clear();
        gate.hint = None;
    }
    for values in report.layers.iter_mut().filter_map(|layer| layer.values.as_mut()) {
        values.octaves.clear();
        values.scale_mean = f16::from_f64(values.scale_mean).to_f64();
    }
    if let Some(evaluation) = &mut report.evaluation {
        evaluation.documents.clear();
        // What links do not carry of it.
        evaluation.cut_tokens = None;
        let error = evaluation.standard_error_nats.map(|error| f64::from(error as f32));
        evaluation.standard_error_nats = error;
        let interval = evaluation.estimate().map(|estimate| estimate.perplexities());
        evaluation.heldout_ppl_low = interval.map(|[low, _]| low);
        evaluation.heldout_ppl_high = interval.map(|[_, high]| high);
        evaluation.seconds = f64::from(evaluation.seconds as f32);
        evaluation.tokens_per_second = match evaluation.estimate().is_some() || evaluation.window.is_some() {
            true => (evaluation.scored_documents + evaluation.scored_tokens) as f64 / evaluation.seconds,
            false => f64::from(evaluation.tokens_per_second as f32),
        };
    }
    report
}

fn evaluation() -> Evaluation {
    Evaluation {
        heldout_ppl: 19.826_017_3,
        cross_entropy_nats: 2.986_992_1,
        standard_error_nats: Some(0.033_347),
        heldout_ppl_low: Some(18.5),
        heldout_ppl_high: Some(21.2),
        cut_tokens: Some(7_000),
        device: "NVIDIA H100 80GB HBM3 (Vulkan)".into(),
        documents: Vec::new(),
        ..seeds::reports::evaluation()
    }
}

/// A report with the layers of a hybrid 27B model: three kinds of layers, the rescue rows chosen layer
/// by layer (`spread` of them around 5 %), noisy signs and scales.
fn large(spread: u64) -> Report {
    let mut rng = fastrand::Rng::with_seed(1);
    let mut random = move |below: u64| rng.u64(..below.max(1));
    let mut report = demo();
    report.artifact.name = "Qwen3.6-27B-binary-submission.zip".into();
    report.layers = (0..=64_u32)
        .map(|i| {
            let norms = 10_240 + 256 * u64::from(i % 4 == 0);
            let matrices = match i {
                0 => 2 * 248_320 * 5_120,
                i if i % 4 == 0 => 5_120 * (12_288 + 2 * 1_024 + 6_144) + 3 * 5_120 * 17_408,
                _ => 5_120 * (16_384 + 6_144 + 96) + 3 * 5_120 * 17_408,
            };
            let rows = matrices / 5_120 / 20 + random(spread);
            let rescue = 5_120 * rows;
            let signs = matrices - rescue;
            let mut scale =
                |around: f64| f16::from_f64(around * (1.0 + random(1_000) as f64 / 1_000.0)).to_f64();
            let (scale_min, scale_mean, scale_max) = (scale(1e-4), scale(0.012), scale(0.3));
            LayerSummary {
                layer: i.checked_sub(1),
                parameters: matrices + norms,
                rescue_parameters: rescue,
                bits: signs + signs / 8 + 4 * rescue + rescue / 8 + 32 * rows + 16 * norms,
                values: Some(ValueSummary {
                    signs,
                    plus: signs / 2 + random(60_000),
                    scales: signs / 128,
                    scale_mean,
                    scale_min,
                    scale_max,
                    octaves: Vec::new(),
                }),
            }
        })
        .collect();
    let parameters: u64 = report.layers.iter().map(|layer| layer.parameters).sum();
    let budget = parameters * 21 / 128;
    report.artifact.size_bytes = budget - 71_321;
    let total = 8 * report.artifact.size_bytes;
    let accounting = &mut report.accounting;
    accounting.total_bits = total;
    let others: u64 = accounting.buckets.iter().skip(1).map(|entry| entry.bits).sum();
    accounting.buckets[0].bits = total + accounting.saved_by_compression_bits - others;
    report.model.as_mut().expect("a model").parameters = Some(parameters);
    for gate in &mut report.gates {
        let (got, wanted) = match &*gate.id {
            "artifact_size" => (total / 8, 4_429_687_500),
            "model_budget" => (total / 8, budget),
            "parameter_count" => (parameters, 432_000_000_000),
            "non_binary" => (parameters / 20, parameters / 10),
            _ => continue,
        };
        (gate.got, gate.wanted, gate.margin) = (Some(got), Some(wanted), Some(wanted as i64 - got as i64));
    }
    accounting.bits_per_parameter = Some(total as f64 / parameters as f64);
    report.evaluation = Some(evaluation());
    report
}

fn decoded(fragment: &str) -> Report {
    decode(fragment).expect("a sound link").expect("a report")
}

#[test]
fn a_report_comes_back_as_it_went_in() {
    let mut evaluated = demo();
    evaluated.evaluation = Some(evaluation());
    let mut windowed = evaluated.clone();
    let in_windows = windowed.evaluation.as_mut().expect("one");
    (in_windows.window, in_windows.stride) = (Some(4_096), Some(2_048));
    windowed.artifact.source = "https://example.org/model.zip".parse().ok();
    // One document has windows, and no standard error.
    let mut alone = windowed.clone();
    let single = alone.evaluation.as_mut().expect("one");
    (single.scored_documents, single.standard_error_nats) = (1, None);
    let mut other_gate = demo();
    other_gate.gates[1].title = "another title".into();
    for report in [demo(), evaluated, windowed, alone, other_gate, large(0), large(400)] {
        let full = decoded(&format!("#{}", encode(&report, Detail::Full)));
        assert_eq!(full, carried(report.clone()));
        assert!(!full.layers.is_empty());
        let mut summary = carried(report.clone());
        summary.layers.clear();
        assert_eq!(decoded(&encode(&report, Detail::Summary)), summary);
    }
    assert_ne!(encode(&demo(), Detail::Full), encode(&large(0), Detail::Full));
}

#[test]
fn links_are_as_short_as_promised() {
    for (name, report) in
        [("demo", demo()), ("27B, even rescue", large(0)), ("27B, adaptive rescue", large(400))]
    {
        let length = |detail| encode(&report, detail).len();
        let (summary, full) = (length(Detail::Summary), length(Detail::Full));
        println!("{name}: summary {summary} characters, full {full}");
        assert!(summary <= SUMMARY_CHARACTERS && full <= FULL_CHARACTERS, "{name}: {summary}, {full}");
    }
}

/// These very links must be read for ever, to these very reports, whatever is written by then.
#[test]
fn a_link_of_every_version_is_still_read() {
    let filled = |mut report: Report| {
        report.accounting.buckets.retain(|entry| entry.bits > 0);
        report
    };
    let recorded = [
        (include_str!("fixtures/link-version-1.txt"), include_str!("fixtures/link-version-1.json")),
        (include_str!("fixtures/link-version-2.txt"), include_str!("fixtures/link-version-2.json")),
        (include_str!("fixtures/link-version-3.txt"), include_str!("fixtures/link-version-3.json")),
    ];
    for (version, (link, report)) in (1..).zip(recorded) {
        assert_eq!(content(link.trim())[0], version);
        let report = Report::from_json(report).expect("a report");
        assert_eq!(filled(decoded(link.trim())), filled(report), "version {version}");
    }
}

/// What a link says of itself that contradicts its evaluation is refused.
#[test]
fn a_standard_error_is_of_something() {
    let mut report = demo();
    report.evaluation = Some(evaluation());
    let sound = content(&encode(&report, Detail::Summary));
    // A mark and a standard error of 4 bytes.
    let end = sound.len();
    assert_eq!((sound[0], sound[end - 5]), (3, 2));
    let with = |tail: &[u8]| decode(&link(&[&sound[..end - 5], tail].concat()));
    assert!(with(&[2, 0, 0, 0, 63]).is_ok());
    for bytes in [(-0.5_f32).to_le_bytes(), f32::INFINITY.to_le_bytes()] {
        assert!(with(&[&[2][..], &bytes].concat()).is_err());
    }
    for neither in [0, 1, 8, 255] {
        assert!(with(&[neither]).is_err(), "{neither}");
    }
    assert_eq!(with(&[2, 0, 0]).expect_err("cut").kind, ErrorKind::Truncated);
    assert_eq!(
        with(&[4, 16, 8]).expect("windows").expect("a report").evaluation.expect("one").window,
        Some(16)
    );
    let mut without = report.clone();
    without.evaluation.as_mut().expect("one").scored_documents = 1;
    assert_eq!(content(&encode(&without, Detail::Summary))[0], 1, "one document has no standard error");
    let plain = content(&encode(&demo(), Detail::Summary));
    let claimed = [&[3][..], &plain[1..], &[2, 0, 0, 0, 63]].concat();
    assert_eq!(decode(&link(&claimed)).expect_err("no evaluation").kind, ErrorKind::Malformed);
}

/// Links hold the place of each of these, so none may move: new ones are appended.
#[test]
fn numbers_in_links_stand_for_what_they_always_did() {
    assert_eq!(
        ContainerKind::ALL.map(ContainerKind::name),
        ["folder", "zip", "safetensors", "gguf", "tar", "json"]
    );
    assert_eq!(Rules::ALL.map(Rules::name), ["binary", "ternary"]);
    assert_eq!(Outcome::ALL.map(Outcome::name), ["pass", "fail", "not-run"]);
    assert_eq!(Unit::ALL.map(Unit::name), ["bytes", "parameters", "tensors", "files"]);
    let buckets = [
        "sign-bits",
        "sign-padding",
        "scales",
        "rescue-codes",
        "rescue-code-padding",
        "rescue-scales",
        "rescue-row-numbers",
        "unpacked",
        "other-tensors",
        "headers",
        "config",
        "tokenizer",
        "code",
        "other-files",
        "archive",
    ];
    assert_eq!(Bucket::ALL.map(Bucket::name), buckets);
}

/// A gate that is not in the links' table, as it is judged, costs its identifier and title in each link.
#[test]
fn every_gate_is_known_to_links() {
    let spells = |report: &Report, text: &str| {
        let content = content(&encode(report, Detail::Summary));
        content.windows(text.len()).any(|part| part == text.as_bytes())
    };
    for i in 0..demo().gates.len() {
        let mut report = demo();
        let id = report.gates[i].id.clone();
        assert!(!spells(&report, &id), "{id}");
        report.gates[i].title = "another title".into();
        assert!(spells(&report, &id), "{id} by another title");
    }
}

/// A link with a source is of version 2, and only such a one.
#[test]
fn a_source_comes_back_and_is_checked() {
    let mut report = demo();
    let plain = encode(&report, Detail::Summary);
    assert_eq!(content(&plain)[0], 1);
    let url = "https://huggingface.co/a/b/resolve/main/model.zip";
    report.artifact.source = Some(url.parse().expect("an address"));
    let fragment = encode(&report, Detail::Full);
    assert_eq!(decoded(&fragment), carried(report.clone()));
    let sound = content(&fragment);
    assert_eq!((sound[0], &sound[sound.len() - url.len()..]), (2, url.as_bytes()));
    let longer = encode(&report, Detail::Summary).len() - plain.len();
    assert!(longer <= 4 * (url.len() + 1).div_ceil(3), "{longer} characters more");
    for evil in ["http:// ", "https://", "javascr", "https:/\\", "https://u@h"] {
        let mut content = sound.clone();
        let at = content.len() - url.len();
        content[at..at + evil.len()].copy_from_slice(evil.as_bytes());
        if evil.ends_with("h") {
            content[at + evil.len()] = b'/';
        }
        if evil == "https://" {
            content.truncate(at + evil.len());
            content[at - 1] = evil.len() as u8;
        }
        assert!(decode(&link(&content)).is_err(), "{evil}");
    }
    let mut without = sound.clone();
    without.truncate(sound.len() - url.len() - 1);
    assert_eq!(decode(&link(&without)).expect_err("no source").kind, ErrorKind::Truncated);
    without[0] = 1;
    assert_eq!(decoded(&link(&without)).artifact.source, None);
    let mut behind = sound;
    behind[0] = 1;
    assert_eq!(decode(&link(&behind)).expect_err("version 1 ends there").kind, ErrorKind::Malformed);
}

/// What mails, chats and texts make of a link.
#[test]
fn a_decorated_link_is_read() {
    let report = carried(demo());
    let fragment = encode(&report, Detail::Full);
    let text = fragment.strip_prefix("r=").unwrap();
    let written = [
        format!("https://example.org/i/#{fragment}."),
        format!("(https://example.org/i/#{fragment})"),
        format!("<https://example.org/i/#{fragment}>"),
        format!("  https://example.org/i/#{fragment}\n"),
        format!("https://example.org/i/#{fragment}&utm_source=chat"),
        format!("**https://example.org/i/#{fragment}**"),
        format!("https://example.org/i/#r%3D{text}"),
        format!("https://example.org/i/%23r%3d{text}"),
        format!("https://example.org/i/%23{fragment}"),
    ];
    for written in written {
        let fragment = find_fragment(&written).unwrap();
        assert_eq!(decode(fragment).unwrap(), Some(report.clone()), "{written}");
    }
    // What was cut off is noticed, decorated or not.
    let cut = format!("#{}.", &fragment[..fragment.len() - 1]);
    assert!(decode(find_fragment(&cut).unwrap()).is_err());
    assert_eq!(find_fragment("https://example.org/i/#top"), None);
    assert_eq!(find_fragment("folder/r=model"), None);
}

#[test]
fn every_damaged_character_is_noticed() {
    let fragment = encode(&demo(), Detail::Full);
    for at in "r=".len()..fragment.len() {
        let mut damaged = fragment.clone().into_bytes();
        damaged[at] = if damaged[at] == b'A' { b'B' } else { b'A' };
        let damaged = String::from_utf8(damaged).expect("ASCII");
        assert!(decode(&damaged).is_err(), "character {at}");
        assert!(decode(&fragment[..at]).is_err(), "cut at {at}");
    }
    let kind = |text: &str| decode(text).expect_err("a faulty link").kind;
    assert_eq!(kind(&format!("r={}", "A".repeat(limits::LINK_CHARACTERS + 1))), ErrorKind::TooLarge);
    assert_eq!(kind("r=<script>"), ErrorKind::Malformed);
    assert_eq!(kind("r="), ErrorKind::Truncated);
    assert_eq!(kind(&link(&[9])), ErrorKind::Unsupported);
    assert_eq!(decode("section-2"), Ok(None));
}

/// A link with the right checksum around any content.
fn link(content: &[u8]) -> String {
    let mut crc = flate2::Crc::new();
    crc.update(content);
    format!("r={}", URL_SAFE_NO_PAD.encode([content, &crc.sum().to_le_bytes()].concat()))
}

fn content(fragment: &str) -> Vec<u8> {
    let mut bytes = URL_SAFE_NO_PAD.decode(&fragment["r=".len()..]).expect("base64url");
    bytes.truncate(bytes.len() - 4);
    bytes
}

/// What is accepted must be sound: it can be written again, to the same report.
fn check_hostile(content: &[u8]) {
    let Ok(Some(report)) = decode(&link(content)) else { return };
    assert!(report.gates.len() as u64 <= limits::LINK_GATES_COUNT);
    assert!(report.layers.len() as u64 <= limits::LAYERS_COUNT + 1);
    assert!(!report.artifact.name.chars().any(char::is_control));
    let again = decoded(&encode(&report, Detail::Full));
    assert_eq!(again, report);
}

#[test]
fn texts_that_could_deceive_are_refused() {
    let sound = content(&encode(&demo(), Detail::Full));
    let at = sound.windows(9).position(|bytes| bytes == b"model.zip").expect("the name");
    for evil in ["\u{202e}ab.zip", "mo\ndl.zip", "mo\u{0}dl.zip"] {
        let mut content = sound.clone();
        content[at..at + 9].copy_from_slice(&evil.as_bytes()[..9.min(evil.len())]);
        assert_eq!(decode(&link(&content)).expect_err(evil).kind, ErrorKind::Malformed);
    }
    // Markup is text like any other; the page shows it as text.
    let mut report = demo();
    report.artifact.name = "<img src=x onerror=alert(1)>".into();
    assert_eq!(decoded(&encode(&report, Detail::Summary)).artifact.name, report.artifact.name);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20_000))]

    #[test]
    fn any_bytes_are_refused_or_sound(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_hostile(&[&[1], &bytes[..]].concat());
        check_hostile(&[&[2], &bytes[..]].concat());
        check_hostile(&[&[3], &bytes[..]].concat());
    }

    #[test]
    fn any_change_of_a_sound_link_is_refused_or_sound(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        static SOUND: std::sync::LazyLock<Vec<u8>> =
            std::sync::LazyLock::new(|| {
                let mut report = large(400);
                report.artifact.source = Some("https://example.org/model.zip".parse().expect("an address"));
                content(&encode(&report, Detail::Full))
            });
        let mut content = SOUND.clone();
        for (at, byte) in changes {
            let at = at.index(content.len());
            content[at] = byte;
        }
        if let Some(cut) = cut {
            content.truncate(cut.index(SOUND.len()));
        }
        check_hostile(&content);
    }
}
