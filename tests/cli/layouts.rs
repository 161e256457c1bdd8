//! A model that another writer packed: its verdict, its figures, its loss.

use std::path::PathBuf;

use super::{bitgauge, gate, json, path, text};

/// A whole folder that mlx-lm wrote.
fn mlx() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/packings/mlx1-folder"))
}

#[test]
fn a_folder_of_mlx_is_judged_with_and_without_its_weights() {
    let folder = mlx();
    for extra in [&[][..], &["--headers-only"]] {
        let output = bitgauge(&[&["--format", "json", "inspect", path(&folder)], extra].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text(&output.stderr));
        let report = json(&output);
        assert_eq!(report["verdict"], "not-eligible", "{extra:?}");
        assert_eq!(report["model"]["quant_method"], "mlx");
        assert_eq!(report["model"]["parameters"], 1_377_792);
        let loadable = gate(&report, "loadable");
        assert_eq!(loadable["outcome"], "fail");
        assert!(loadable["details"].to_string().contains("quant_method"), "{loadable}");
        for id in ["tensors", "shapes", "non_binary"] {
            assert_eq!(gate(&report, id)["outcome"], "pass", "{id}");
        }
        let weights = report["weights"].as_array().expect("weights");
        let head = weights.iter().find(|weight| weight["name"] == "lm_head.weight").expect("the head");
        assert_eq!((&head["form"], &head["parameters"]), (&"mlx 1-bit".into(), &(384 * 256).into()));
    }
    let output = bitgauge(&["inspect", path(&folder)]);
    assert_eq!(output.status.code(), Some(1));
    let stdout = text(&output.stdout);
    for words in ["mlx", "quant_method", "MLX's weights are loaded by MLX alone"] {
        assert!(stdout.contains(words), "{words} is missing from:\n{stdout}");
    }
}

#[test]
fn a_folder_of_mlx_is_evaluated() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let documents = folder.path().join("documents.json");
    std::fs::write(&documents, r#"["The library keeps its maps in drawers, and the drawers in rows."]"#)
        .expect("room");
    let model = mlx();
    let arguments = ["eval", path(&model), "--documents", path(&documents), "--device", "cpu"];
    let output = bitgauge(&[&["--format", "json"], &arguments[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let nats = json(&output)["evaluation"]["cross_entropy_nats"].as_f64().expect("a loss");
    assert!(nats.is_finite() && nats > 1.0, "{nats}");
}
