//! What a proxy artifact's matrices are, and what they cost, written out by their definition.

use std::sync::LazyLock;

use bitgauge_core::contract::proxy::{
    Candidate, LAYERS, Teacher, compile, decode_q4, default_submission, encode_q4, inspect,
};
use bitgauge_core::contract::python::Json;
use bitgauge_core::contract::{Halt, RuleSet, Rules};
use bitgauge_core::report::{Gate, Outcome, Report};
use serde_json::{Value, json};

static TEACHER: LazyLock<Teacher> = LazyLock::new(Teacher::default);

fn artifact(mode: &str) -> Value {
    serde_json::from_str(&default_submission(&TEACHER, mode).to_canonical()).expect("JSON")
}

fn compiled(artifact: &Value, config: &RuleSet) -> Result<Candidate, String> {
    let json = Json::parse(artifact.to_string()).expect("JSON");
    compile(json.root(), &TEACHER, config).map_err(|halt| match halt {
        Halt::Raised(raised) => raised.to_string(),
        Halt::Fault(error) => format!("fault: {}", error.what),
    })
}

/// A row of the default artifact, by the number of its matrix.
fn row(artifact: &mut Value, number: usize) -> &mut Value {
    assert_eq!(artifact["layers"][number]["name"], LAYERS[number].name);
    &mut artifact["layers"][number]
}

fn summary(candidate: &Candidate, number: usize) -> Value {
    let summaries: Value = serde_json::from_str(&candidate.layer_summaries().to_canonical()).expect("JSON");
    summaries[number].clone()
}

fn near(found: f64, wanted: f64) {
    assert!((found - wanted).abs() <= 1e-12 * wanted.abs().max(1e-3), "{found}, not {wanted}");
}

fn mean(values: impl Iterator<Item = f64> + Clone) -> f64 {
    values.clone().map(f64::abs).sum::<f64>() / values.count() as f64
}

/// The shares that the default artifact rescues.
const RESCUED: [f64; 5] = [0.035, 0.010, 0.0, 0.0, 0.035];

/// Places of the largest weights, so many of them.
fn places(weights: &[f64], keep: usize) -> Vec<bool> {
    let mut sizes: Vec<f64> = weights.iter().map(|weight| weight.abs()).collect();
    sizes.sort_by(|a, b| b.total_cmp(a));
    let least = if keep == 0 { f64::INFINITY } else { sizes[keep - 1] };
    weights.iter().map(|weight| weight.abs() >= least).collect()
}

#[test]
fn one_basis_is_signs_and_a_scale() {
    for (mode, config) in [("binary", RuleSet::binary()), ("ternary", RuleSet::ternary())] {
        let candidate = compiled(&artifact(mode), &config).expect("sound");
        for (number, (spec, teacher)) in LAYERS.iter().zip(&TEACHER.weights).enumerate() {
            let share = match RESCUED[number] {
                share if share > 0.02 && mode == "ternary" => 0.025,
                share => share,
            };
            let n = teacher.len();
            let keep = (n as f64 * share).round_ties_even() as usize;
            let is_kept = places(teacher, keep);
            let others = teacher.iter().zip(&is_kept).filter(|(_, kept)| !**kept).map(|(weight, _)| *weight);
            let scale = mean(others);
            let threshold = if mode == "ternary" { 0.7 * scale } else { 0.0 };
            let weights = candidate.weights()[number];
            let mut zeros = 0;
            for ((weight, found), kept) in teacher.iter().zip(weights).zip(&is_kept) {
                match (kept, weight.abs() < threshold) {
                    // A code's step is a seventh of the largest of its group.
                    (true, _) => {
                        assert!((weight - found).abs() < 0.08 * weight.abs() + 0.02, "{weight} {found}")
                    }
                    (false, true) => {
                        assert_eq!(*found, 0.0);
                        zeros += 1;
                    }
                    (false, false) => near(*found, scale.copysign(*weight)),
                }
            }
            let summary = summary(&candidate, number);
            let (native, kept) = ((n - keep) as u64, keep as u64);
            let bits_each = if mode == "ternary" { 2 } else { 1 };
            let scale_bits = 16 * kept.div_ceil(128);
            let counts = [
                ("high_precision_count", kept),
                ("rescue_count", kept),
                ("rescue_compressed_bits", 4 * kept),
                ("rescue_scale_bits", scale_bits),
                ("quantized_parameter_count", native),
                ("side_parameter_count", 1),
                ("parameter_count", n as u64 + 1),
                ("compressed_bits", bits_each * native + 4 * kept + 64 + scale_bits),
                ("binary_basis_count", 1),
                ("zero_count", zeros),
            ];
            for (key, count) in counts {
                assert_eq!(summary[key], count, "{key} of {}", spec.name);
            }
            near(summary["scale"].as_f64().expect("a scale"), scale);
            near(summary["threshold"].as_f64().expect("a threshold"), threshold);
            assert_eq!(summary["rescue_fraction"].as_f64(), Some(keep as f64 / n as f64));
            assert_eq!(summary.get("scales"), None);
        }
    }
}

#[test]
fn multipliers_have_least_values() {
    let of = |key: &str, value: f64| {
        let mut artifact = artifact("ternary");
        row(&mut artifact, 2)[key] = json!(value);
        summary(&compiled(&artifact, &RuleSet::ternary()).expect("sound"), 2)
    };
    let mean = mean(TEACHER.weights[2].iter().copied());
    let figure = |summary: Value, key: &str| summary[key].as_f64().expect("a number");
    near(figure(of("scale_multiplier", 2.0), "scale"), 2.0 * mean);
    near(figure(of("scale_multiplier", 0.1), "scale"), 0.25 * mean);
    near(figure(of("threshold_multiplier", 0.5), "threshold"), 0.5 * mean);
    near(figure(of("threshold_multiplier", -1.0), "threshold"), 0.10 * mean);
}

#[test]
fn several_bases_take_what_the_ones_before_left() {
    let with = |count: u64, scales: Value| {
        let mut artifact = artifact("binary");
        row(&mut artifact, 2)["binary_basis_count"] = json!(count);
        row(&mut artifact, 2)["binary_basis_scales"] = scales;
        compiled(&artifact, &RuleSet::binary())
    };
    let teacher = &TEACHER.weights[2];
    let reference = |scale: &dyn Fn(usize, &[f64]) -> f64, bases: usize| {
        let (mut weights, mut residual) = (vec![0.0; teacher.len()], teacher.clone());
        let mut scales = Vec::new();
        for basis in 0..bases {
            let scale = scale(basis, &residual);
            for (weight, left) in weights.iter_mut().zip(&mut residual) {
                let term = if *left < 0.0 { -scale } else { scale };
                (*weight, *left) = (*weight + term, *left - term);
            }
            scales.push(scale);
        }
        (weights, scales)
    };
    let n = teacher.len() as u64;
    for (given, bases) in [(json!([0.5, 0.125]), 2), (Value::Null, 3)] {
        let candidate = with(bases, given.clone()).expect("sound");
        let scale = |basis: usize, residual: &[f64]| match &given {
            Value::Null => mean(residual.iter().copied()),
            given => given[basis].as_f64().expect("a number"),
        };
        let (weights, scales) = reference(&scale, bases as usize);
        candidate.weights()[2].iter().zip(&weights).for_each(|(found, wanted)| near(*found, *wanted));
        let summary = summary(&candidate, 2);
        let found =
            summary["scales"].as_array().expect("scales").iter().map(|x| x.as_f64().expect("a number"));
        found.zip(&scales).for_each(|(found, wanted)| near(found, *wanted));
        near(summary["scale"].as_f64().expect("a scale"), scales[0]);
        let counts = [
            ("quantized_parameter_count", bases * n),
            ("side_parameter_count", bases),
            ("parameter_count", bases * n + bases),
            ("compressed_bits", bases * n + 64 * bases),
            ("binary_basis_count", bases),
        ];
        counts.into_iter().for_each(|(key, count)| assert_eq!(summary[key], count, "{key}"));
    }
    let message = |count: u64, scales: Value| with(count, scales).map(|_| ()).expect_err("an error");
    let length = |found: u64, count: u64| {
        format!("ValueError: binary_basis_scales length {found} does not match binary_basis_count {count}")
    };
    assert_eq!(message(2, json!([0.5])), length(1, 2));
    assert_eq!(message(2, json!([0.5, 0.5, 0.5])), length(3, 2));
    for scales in [json!([0.5, 0.0]), json!([0.5, -1.0]), json!([0.5, "inf"]), json!([0.5, "nan"])] {
        let wanted = "ValueError: binary_basis_scales values must be finite positive numbers";
        assert_eq!(message(2, scales), wanted);
    }
    // One basis has no use for them, and none or fewer count as one.
    for count in [json!(0), json!(-3), json!(1)] {
        let mut artifact = artifact("binary");
        row(&mut artifact, 2)["binary_basis_count"] = count;
        row(&mut artifact, 2)["binary_basis_scales"] = json!([]);
        let candidate = compiled(&artifact, &RuleSet::binary()).expect("sound");
        assert_eq!(summary(&candidate, 2)["binary_basis_count"], 1);
    }
    assert_eq!(message(1_025, Value::Null), "fault: too many additive bases");
}

#[test]
fn rescue_payloads_are_read_strictly() {
    let number = 1;
    let name = LAYERS[number].name;
    let with = |key: &str, value: Value| {
        let mut artifact = artifact("binary");
        row(&mut artifact, number)[key] = value;
        compiled(&artifact, &RuleSet::binary()).map(|_| ())
    };
    let own = artifact("binary")["layers"][number].clone();
    let changed = |key: &str, at: usize, value: Value| {
        let mut list = own[key].clone();
        list[at] = value;
        with(key, list)
    };
    let refused = |what: &str| Err(format!("ValueError: artifact.layers[{name}].{what}"));
    let codes = own["rescue_values_q4"].as_array().expect("codes").len();
    for code in [-7, 0, 7] {
        assert_eq!(changed("rescue_values_q4", 3, json!(code)), Ok(()));
    }
    for code in [-8_i64, 8, 1 << 40] {
        let wanted = refused("rescue_values_q4[3] must be in signed q4 range [-7, 7]");
        assert_eq!(changed("rescue_values_q4", 3, json!(code)), wanted);
    }
    for code in [json!(1.0), json!("1"), json!(null), json!(true)] {
        let wanted = refused("rescue_values_q4[3] must be an integer");
        assert_eq!(changed("rescue_values_q4", 3, code), wanted);
    }
    assert_eq!(
        with("rescue_values_q4", json!("1")),
        refused("rescue_values_q4 must be a list of signed q4 integer codes")
    );
    let length = format!("rescue_values_q4 length 1 does not match rescue_count {codes}");
    assert_eq!(with("rescue_values_q4", json!([1])), refused(&length));
    for scale in [json!(0.5), json!("0.5"), json!(65504.0), json!(0.50004)] {
        assert_eq!(changed("rescue_scales", 0, scale.clone()), Ok(()), "{scale}");
    }
    for scale in [json!(0.0), json!(-0.5), json!("nan"), json!("inf"), json!("x"), json!([])] {
        let wanted = refused("rescue_scales[0] must be a positive finite number");
        assert_eq!(changed("rescue_scales", 0, scale.clone()), wanted, "{scale}");
    }
    assert_eq!(
        changed("rescue_scales", 0, json!(70_000.0)),
        refused("rescue_scales[0] must be fp16-representable")
    );
    assert_eq!(with("rescue_scales", json!(1)), refused("rescue_scales must be a list of fp16 group scales"));
    let groups = codes.div_ceil(128);
    let length = format!("rescue_scales length 0 does not match q4 group count {groups}");
    assert_eq!(with("rescue_scales", json!([])), refused(&length));
    for size in [json!(128), json!("128"), json!(128.9), Value::Null] {
        assert_eq!(with("rescue_scale_group_size", size.clone()), Ok(()), "{size}");
    }
    for size in [json!(127), json!(0), json!("x"), json!(-128)] {
        assert_eq!(with("rescue_scale_group_size", size), refused("rescue_scale_group_size must be 128"));
    }
    assert_eq!(with("rescue_quantization", json!("")), Ok(()));
    let wanted = refused("rescue_quantization must be q4_symmetric_int_scaled_g128");
    assert_eq!(with("rescue_quantization", json!("other")), wanted);
    let config = RuleSet { rescue_bits_per_parameter: 4.5, ..RuleSet::binary() };
    let message = compiled(&artifact("binary"), &config).map(|_| ());
    assert_eq!(
        message,
        Err("ValueError: rescue_values_q4 requires rescue_bits_per_parameter=4.0".to_owned())
    );
}

#[test]
fn codes_and_scales_stand_for_values() {
    let values: Vec<f64> = (0..200).map(|i| f64::from(i % 15 - 7) * 0.25).collect();
    let payload = encode_q4(&values);
    assert_eq!((payload.codes.len(), payload.scales.as_slice()), (200, &[0.25, 0.25][..]));
    assert_eq!(decode_q4(&payload), values);
    assert_eq!((encode_q4(&[0.0, -0.0]).codes, encode_q4(&[0.0]).scales), (vec![0, 0], vec![1.0]));
    assert_eq!(encode_q4(&[]).scales, [] as [f64; 0]);
}

#[test]
fn what_an_artifact_declares_of_itself_is_held_to() {
    let totals = compiled(&artifact("binary"), &RuleSet::binary()).expect("sound").totals;
    let declared = |key: &str, value: Value| {
        let mut artifact = artifact("binary");
        artifact["accounting"] = json!({ key: value });
        compiled(&artifact, &RuleSet::binary()).map(|_| ())
    };
    let counts = [
        ("parameter_count", &totals.parameter_count),
        ("compressed_bits", &totals.compressed_bits),
        ("compressed_size_bytes", &totals.compressed_size_bytes),
        ("rescue_count", &totals.rescue_count),
    ];
    for (key, count) in counts {
        let count: u64 = count.to_string().parse().expect("below 2^64");
        assert_eq!(declared(key, json!(count)), Ok(()));
        let wanted = format!(
            "ValueError: artifact.accounting.{key}={} does not match validator computed {count}",
            count + 1
        );
        assert_eq!(declared(key, json!(count + 1)), Err(wanted));
        let wanted = format!("ValueError: artifact.accounting.{key} must be a non-negative integer");
        assert_eq!(declared(key, json!(-1)), Err(wanted));
    }
    // Fractions within a millionth of each other are the same.
    let fraction = totals.rescue_fraction;
    for key in ["rescue_fraction", "overall_high_precision_fraction"] {
        for factor in [1.0, 1.0 + 0.9e-6, 1.0 - 0.9e-6] {
            assert_eq!(declared(key, json!(fraction * factor)), Ok(()), "{factor}");
        }
        for factor in [1.0 + 1.1e-6, 1.0 - 1.1e-6, 2.0, 0.0, -1.0] {
            let message = declared(key, json!(fraction * factor)).expect_err("another fraction");
            assert!(message.contains("does not match validator computed"), "{factor}: {message}");
        }
        let wanted = format!("ValueError: artifact.accounting.{key} must be a finite number");
        assert_eq!(declared(key, json!("x")), Err(wanted));
        assert!(declared(key, json!("nan")).is_err() && declared(key, json!("inf")).is_err());
    }
    for accounting in [json!([]), json!(1), json!("x")] {
        let mut artifact = artifact("binary");
        artifact["accounting"] = accounting;
        let message = compiled(&artifact, &RuleSet::binary()).map(|_| ());
        assert_eq!(message, Err("ValueError: artifact.accounting must be an object".to_owned()));
    }
}

#[test]
fn entries_add_to_the_totals() {
    let plain = compiled(&artifact("binary"), &RuleSet::binary()).expect("sound").totals;
    let with = |entries: Value| {
        let mut artifact = artifact("binary");
        row(&mut artifact, 0)["extra_components"] = entries;
        compiled(&artifact, &RuleSet::binary())
    };
    let candidate = with(json!([
        {"parameter_count": 100, "compressed_bits": 300},
        {"parameter_count": 10, "counts_toward_rescue": true, "layer": null},
    ]))
    .expect("sound");
    let totals = &candidate.totals;
    let grown = |more: u64, before: &num_bigint::BigInt| before + more;
    assert_eq!(totals.proxy_parameter_count, grown(110, &plain.proxy_parameter_count));
    assert_eq!(totals.proxy_compressed_bits, grown(340, &plain.proxy_compressed_bits));
    assert_eq!(totals.proxy_rescue_count, grown(10, &plain.proxy_rescue_count));
    let entries: Value =
        serde_json::from_str(&candidate.entry_summaries().expect("finite").to_canonical()).expect("JSON");
    assert_eq!((&entries[0]["layer"], entries[1].get("layer")), (&json!(LAYERS[0].name), None));
    assert_eq!((&entries[0]["name"], &entries[1]["name"]), (&json!("extra_0"), &json!("extra_1")));
    assert_eq!((&entries[0]["bits_per_parameter"], &entries[1]["rescue_count"]), (&json!(3.0), &json!(10)));
    // Rescue costs 4 bits and the 128th part of a scale.
    let rescue = |bits: f64| {
        let entry = json!({"name": "e", "parameter_count": 1000, "counts_toward_rescue": true, "bits_per_parameter": bits});
        with(json!([entry])).map(|_| ())
    };
    assert_eq!(rescue(4.125), Ok(()));
    let wanted = "ValueError: artifact accounting entry e exceeds q4 rescue budget: bits_per_parameter=4.126";
    assert_eq!(rescue(4.126), Err(wanted.to_owned()));
    assert!(with(json!({})).is_err() && with(json!([1])).is_err() && with(json!([])).is_ok());
}

fn gate<'r>(report: &'r Report, id: &str) -> &'r Gate {
    report.gates.iter().find(|gate| gate.id == id).expect(id)
}

#[test]
fn an_inspection_counts_without_a_run() {
    let text = artifact("binary").to_string();
    let report = inspect("a.json", text.as_bytes(), Rules::Binary).expect("sound");
    assert_eq!((report.artifact.name.as_str(), report.artifact.size_bytes), ("a.json", text.len() as u64));
    assert_eq!(report.artifact.sha256.as_ref().map(String::len), Some(64));
    assert!(!report.bitgauge_version.is_empty() && report.notes.len() == 2 && report.pack == Rules::Binary);
    assert!(report.notes.iter().all(|note| note.contains("proxy")));
    let forms: Vec<&str> = report.weights.iter().map(|weight| weight.form.as_str()).collect();
    assert_eq!(forms, ["1-bit + q4", "1-bit + q4", "1-bit", "1-bit", "1-bit + q4"]);
    let totals = compiled(&artifact("binary"), &RuleSet::binary()).expect("sound").totals;
    for (id, count, most) in [
        ("high_precision_fraction", &totals.proxy_rescue_count, 5_904),
        ("parameter_count", &totals.parameter_count, 432_000_000_000),
        ("compressed_size", &totals.compressed_size_bytes, 4_429_687_500),
    ] {
        let gate = gate(&report, id);
        assert_eq!((gate.outcome, gate.wanted), (Outcome::Pass, Some(most)), "{id}");
        assert_eq!(gate.got.map(|got| got.to_string()), Some(count.to_string()), "{id}");
    }
    // With entries up to each limit, and one over it.
    let with = |parameters: u64, bits: u64, is_rescue: bool| {
        let mut artifact = artifact("binary");
        artifact["accounting"] = json!({"extra_entries": [
            {"parameter_count": parameters, "compressed_bits": bits, "counts_toward_rescue": is_rescue},
        ]});
        let report = inspect("a.json", artifact.to_string().as_bytes(), Rules::Binary).expect("sound");
        ["high_precision_fraction", "parameter_count", "compressed_size"].map(|id| gate(&report, id).outcome)
    };
    let proxy = |count: &num_bigint::BigInt| -> u64 { count.to_string().parse().expect("below 2^64") };
    let (pass, fail) = (Outcome::Pass, Outcome::Fail);
    let rescued = 5_904 - proxy(&totals.proxy_rescue_count);
    assert_eq!(with(rescued, 1, true)[0], pass);
    assert_eq!(with(rescued + 1, 1, true)[0], fail);
    // Sixteen times the proxy's own parameters; 1.3125 bits of each of 59,040.
    let parameters = 16 * 59_040 - proxy(&totals.proxy_parameter_count);
    assert_eq!((with(parameters, 1, false)[1], with(parameters + 1, 1, false)[1]), (pass, fail));
    let bits = 77_490 - proxy(&totals.proxy_compressed_bits);
    assert_eq!((with(1, bits, false)[2], with(1, bits + 1, false)[2]), (pass, fail));
}
