//! A model that another writer packed: its verdict, its figures, its loss.

use std::path::PathBuf;

use super::{bitgauge, gate, json, path, text as text_of};

/// A whole folder that mlx-lm wrote.
fn mlx() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/packings/mlx1-folder"))
}

#[test]
fn a_folder_of_mlx_is_judged_with_and_without_its_weights() {
    let folder = mlx();
    for extra in [&[][..], &["--headers-only"]] {
        let output = bitgauge(&[&["--format", "json", "inspect", path(&folder)], extra].concat());
        assert_eq!(output.status.code(), Some(1), "{}", text_of(&output.stderr));
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
    let stdout = text_of(&output.stdout);
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
    assert_eq!(output.status.code(), Some(0), "{}", text_of(&output.stderr));
    let nats = json(&output)["evaluation"]["cross_entropy_nats"].as_f64().expect("a loss");
    assert!(nats.is_finite() && nats > 1.0, "{nats}");
}

/// MLX's own format, described by its maker, under a method and code that nobody knows.
#[test]
fn a_layout_that_was_given_reads_what_the_artifact_does_not_explain() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| {
        let file = folder.path().join(name);
        std::fs::write(&file, text).expect("room");
        file
    };
    let model = folder.path().join("model");
    std::fs::create_dir(&model).expect("a folder");
    for name in ["model.safetensors", "tokenizer.json", "tokenizer_config.json"] {
        std::fs::copy(mlx().join(name), model.join(name)).expect("a copy");
    }
    let config = std::fs::read_to_string(mlx().join("config.json")).expect("a config.json");
    let mut config: serde_json::Value = serde_json::from_str(&config).expect("JSON");
    config["quantization_config"] = serde_json::json!({"quant_method": "own"});
    config["auto_map"] = serde_json::json!({"AutoModelForCausalLM": "own.Own"});
    std::fs::write(model.join("config.json"), config.to_string()).expect("room");
    std::fs::write(model.join("own.py"), "pass\n").expect("room");
    let text = "name = 'mine'\n[tensors]\ncodes = 'weight'\nscales = 'scales'\nzeros = 'biases'\n[words]\nbits = 1\n\
                [values]\nzero = 'bias'\ninputs = 128\n";
    let layout = write("layout.toml", text);
    let documents =
        write("documents.json", r#"["The library keeps its maps in drawers, and the drawers in rows."]"#);

    let inspected =
        |extra: &[&str]| json(&bitgauge(&[&["--format", "json", "inspect", path(&model)], extra].concat()));
    let (without, with) = (inspected(&[]), inspected(&["--layout", path(&layout)]));
    assert_eq!(gate(&without, "parameter_count")["outcome"], "not-run");
    assert_eq!(gate(&with, "parameter_count")["got"], 1_377_792);
    assert_eq!(with["model"]["quant_method"], "mine");
    assert!(with["notes"].to_string().contains("by the layout that you gave"), "{}", with["notes"]);
    assert_eq!(gate(&with, "loadable")["outcome"], "not-run", "what own.py does is not known");

    let loss = |model: &std::path::Path, extra: &[&str]| {
        let arguments =
            ["--format", "json", "eval", path(model), "--documents", path(&documents), "--device", "cpu"];
        let output = bitgauge(&[&arguments[..], extra].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text_of(&output.stderr));
        json(&output)["evaluation"]["cross_entropy_nats"].as_f64().expect("a loss")
    };
    let given = loss(&model, &["--layout", path(&layout)]);
    assert_eq!(given, loss(&mlx(), &[]));
    // Another meaning of the same bits.
    let other = write("other.toml", &text.replace("bits = 1", "bits = 1\nhigh_first = true"));
    assert_ne!(loss(&model, &["--layout", path(&other)]), given);
    // What is wrong with a layout is said with its file.
    let faulty = write("faulty.toml", &text.replace("inputs = 128", "inputs = 'all'"));
    let output = bitgauge(&["inspect", path(&model), "--layout", path(&faulty)]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text_of(&output.stderr).contains("faulty.toml"), "{}", text_of(&output.stderr));
}
