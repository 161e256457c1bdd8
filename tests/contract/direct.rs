//! What a direct run reads from its environment, and the stub that may stand for an artifact.

use bitgauge_core::contract::direct::{Revision, STUB, artifact_path, declared_bytes, stub};
use serde_json::json;

use crate::environment;

#[test]
fn the_environment_names_the_artifact_and_its_size() {
    let path =
        |value: &str| artifact_path(&environment(&[("SUBMISSION_ARTIFACT_PATH", value)])).map(str::to_owned);
    assert_eq!(path(" /tmp/m.zip "), Ok("/tmp/m.zip".into()));
    for missing in ["", "  "] {
        let raised = path(missing).expect_err("no path");
        assert_eq!(
            raised.message,
            "AUTORESEARCH_SUBMISSION_ARTIFACT_PATH is required for direct model evaluation"
        );
    }
    let bytes = |value: &str| {
        declared_bytes(&environment(&[("SUBMISSION_ARTIFACT_BYTES", value)])).map_err(|e| e.message)
    };
    let refused = |why: &str| Err(format!("AUTORESEARCH_SUBMISSION_ARTIFACT_BYTES must be {why}"));
    let cases = [
        ("", Ok(None)),
        (" ", Ok(None)),
        ("1", Ok(Some(1))),
        (" 2495494 ", Ok(Some(2_495_494))),
        ("1_000", Ok(Some(1_000))),
        ("0", refused("positive")),
        ("-1", refused("positive")),
        ("1.0", refused("an integer")),
        ("many", refused("an integer")),
        // Eight times more must fit.
        ("21267647932558653966460912964485513215", Ok(Some(i128::MAX / 8))),
        ("21267647932558653966460912964485513214", Ok(Some(i128::MAX / 8 - 1))),
        ("999999999999999999999999999999999999999999", Ok(Some(i128::MAX / 8))),
    ];
    for (text, wanted) in cases {
        assert_eq!(bytes(text), wanted, "{text}");
    }
    let unset = environment(&[]);
    assert_eq!((unset.dataset(), unset.split()), ("pack-local-proxy", "validator-heldout"));
    assert_eq!((unset.rotation_key(), unset.document_count()), ("default-rotation", 16));
    assert_eq!((unset.max_tokens(), unset.dataset_mix()), (512, ""));
    let set = environment(&[
        ("HELDOUT_SPLIT", " own "),
        ("HELDOUT_ROTATION_KEY", "key"),
        ("HELDOUT_DATASET", "math"),
    ]);
    assert_eq!((set.dataset(), set.split().trim(), set.rotation_key()), ("math", "own", "key"));
    assert_eq!(environment(&[]).batch_size(), 8);
    assert_eq!(environment(&[("EVAL_BATCH_SIZE", "3")]).batch_size(), 3);
    assert_eq!(environment(&[("EVAL_BATCH_SIZE", "0")]).batch_size(), 8);
}

#[test]
fn each_revision_has_its_ways() {
    let ways = |revision: Revision| {
        (revision.name(), revision.scorer().name(), revision.default_tokenizer(), revision.has_stub())
    };
    assert_eq!(ways(Revision::R06fbbef), ("06fbbef", "per-document", None, true));
    assert_eq!(ways(Revision::D899b08), ("d899b08", "padded", Some("Qwen/Qwen3-0.6B"), true));
    assert_eq!(ways(Revision::B2f0ffc), ("b2f0ffc", "incremental", Some("autoresearch-byte-utf8"), false));
}

#[test]
fn a_stub_claims_a_result() {
    let read = |more: serde_json::Value| {
        let mut text = json!({"artifact_type": STUB, "heldout_ppl": 20.0, "parameter_count": 7});
        text.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        text.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
        stub(&text.to_string(), 16, 512, "t")
    };
    let claimed = read(json!({})).expect("sound").expect("a stub");
    assert_eq!((claimed.heldout_ppl, claimed.cross_entropy_nats), (20.0, 20_f64.ln()));
    assert_eq!((claimed.parameter_count, claimed.scored_documents, claimed.token_count), (7, 16, 16));
    assert_eq!((claimed.runtime.tokenizer_id.as_str(), claimed.runtime.max_tokens), ("t", 512));
    let own =
        read(json!({"heldout_cross_entropy_nats": 1.5, "token_count": 99})).expect("sound").expect("a stub");
    assert_eq!((own.cross_entropy_nats, own.token_count), (1.5, 99));
    assert_eq!(read(json!({"heldout_ppl": 1e-300})).expect("sound").expect("a stub").heldout_ppl, 1e-300);
    for (more, message) in [
        (json!({"heldout_ppl": null}), "'heldout_ppl'"),
        (json!({"parameter_count": null}), "'parameter_count'"),
        (json!({"heldout_ppl": 0.0}), "math domain error"),
        (json!({"heldout_ppl": -1}), "math domain error"),
    ] {
        assert_eq!(read(more.clone()).expect_err("no result").message, message, "{more}");
    }
    let huge = |digits: &str| {
        let text = format!(r#"{{"artifact_type": "{STUB}", "heldout_ppl": 2, "parameter_count": {digits}}}"#);
        stub(&text, 1, 1, "t").expect("sound").expect("a stub").parameter_count
    };
    assert_eq!((huge(&"9".repeat(50)), huge(&format!("-{}", "9".repeat(50)))), (i128::MAX, i128::MIN));
    for other in ["", "[]", "{}", r#"{"artifact_type": "another"}"#, r#"{"artifact_type": 1}"#] {
        assert!(stub(other, 16, 512, "t").expect("no stub").is_none(), "{other}");
    }
}
