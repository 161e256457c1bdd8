//! Choosing documents: mixes, samples, manifests of any form.

use bitgauge_core::contract::documents::{allocate, documents_sha256, parse_mix, sample};
use bitgauge_core::contract::python::Value;
use bitgauge_core::contract::{Environment, Halt, choose_documents};
use native_eval::LocalFiles;
use proptest::prelude::*;

use crate::environment;

fn names(n: usize) -> Vec<String> {
    (0..n).map(|i| format!("document {i}")).collect()
}

/// JSON of any shape, with the keys and values that manifests give a meaning to.
fn json() -> impl Strategy<Value = Value> {
    let word = prop_oneof![
        Just("math".to_owned()),
        Just("hf_rows".to_owned()),
        Just("../up".to_owned()),
        "[a-z ]{0,6}"
    ];
    let key = proptest::sample::select(vec![
        "datasets",
        "categories",
        "documents",
        "dataset",
        "category",
        "tags",
        "text",
        "path",
        "file",
        "source",
        "split",
        "text_column",
        "math",
        "sha256",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        word.prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
            proptest::collection::vec((key.clone(), inner), 0..5).prop_map(|members| {
                Value::Object(members.into_iter().map(|(k, v)| (k.to_owned(), v)).collect())
            }),
        ]
    })
}

/// Documents of an inline manifest.
fn chosen(manifest: &str, dataset: &str, count: &str) -> Result<Vec<String>, Halt> {
    let environment: Environment = environment(&[
        ("HELDOUT_DATASET", dataset),
        ("HELDOUT_SOURCES_JSON", manifest),
        ("HELDOUT_DOCUMENT_COUNT", count),
    ]);
    let folder = tempfile::tempdir().expect("a folder");
    choose_documents(&environment, None, &LocalFiles::new(folder.path()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_sample_is_whole_rounds_and_a_part(n in 1..60_usize, count in 1..200_u64, key in "[a-z:]{0,12}") {
        let pool = names(n);
        let chosen = sample(&pool, &key, count).expect("a sample");
        prop_assert_eq!(chosen.len() as u64, count);
        for round in chosen.chunks(n) {
            let mut distinct = round.to_vec();
            distinct.sort();
            distinct.dedup();
            prop_assert_eq!(distinct.len(), round.len());
        }
        // A shorter sample of the same key is the beginning of a longer one.
        prop_assert_eq!(&sample(&pool, &key, count / 2).expect("a sample")[..], &chosen[..count as usize / 2]);
    }

    #[test]
    fn shares_sum_to_the_count_and_follow_the_weights(weights in proptest::collection::vec(1e-3..1e3_f64, 1..12), count in 0..5_000_u64) {
        let shares = allocate(count, &weights);
        prop_assert_eq!(shares.iter().sum::<u64>(), count);
        let total: f64 = weights.iter().sum();
        for (share, weight) in shares.iter().zip(&weights) {
            // Within one document of the exact share.
            prop_assert!((*share as f64 - weight / total * count as f64).abs() < 1.0 + 1e-6);
        }
    }

    #[test]
    fn a_mix_survives_any_text(text in "[ -~\u{1c}\u{e9}]{0,40}") {
        for entry in parse_mix(&text) {
            prop_assert!(entry.weight > 0.0 && entry.weight.is_finite() && !entry.key.is_empty());
        }
    }

    #[test]
    fn a_written_mix_is_read_back(entries in proptest::collection::vec(("[a-z]{1,6}", 1e-3..1e3_f64), 1..6)) {
        let text: Vec<String> = entries.iter().map(|(key, weight)| format!(" {key} : {weight} ")).collect();
        let read: Vec<_> = parse_mix(&text.join(",")).into_iter().map(|e| (e.key, e.weight)).collect();
        prop_assert_eq!(read, entries);
    }

    #[test]
    fn a_list_of_texts_is_chosen_from_whatever_its_form(n in 1..20_usize, count in 1..40_u64) {
        let texts = names(n);
        let list = Value::from(texts.clone()).to_canonical();
        let objects: Vec<Value> = texts.iter().map(|text| [("text", text.as_str().into())].into()).collect();
        let count = count.to_string();
        let plain = chosen(&list, "validator-private-shard", &count).expect("documents");
        for form in [Value::from(objects).to_canonical(), format!("{{\"documents\": {list}}}")] {
            let other = chosen(&form, "validator-private-shard", &count).expect("documents");
            prop_assert_eq!(documents_sha256(&other), documents_sha256(&plain));
        }
        prop_assert!(plain.iter().all(|text| texts.contains(text)));
    }

    #[test]
    fn any_manifest_gives_documents_or_an_error(json in json(), dataset in "(private://)?(math|x)") {
        match chosen(&json.to_canonical(), &dataset, "3") {
            Ok(documents) => {
                prop_assert_eq!(documents.len(), 3);
                prop_assert!(documents.iter().all(|text| !text.trim().is_empty()));
            }
            Err(halt) => prop_assert!(!halt.to_string().is_empty()),
        }
    }
}
