//! The tokenizer in a GGUF file.

use bitgauge_core::ErrorKind;
use serde_json::{Value, json};

use super::file::{File, Typed, array, flag, number, text, texts};

/// A file with a vocabulary of four tokens.
fn with_tokens() -> File {
    File::hybrid()
        .with("tokenizer.ggml.model", text("gpt2"))
        .with("tokenizer.ggml.pre", text("qwen35"))
        .with("tokenizer.ggml.tokens", texts(&["a", "<begin>", "b", "<own>"]))
        .with("tokenizer.ggml.merges", texts(&[]))
}

#[test]
fn a_start_token_is_put_in_front_where_the_file_asks_for_it() {
    let start = |wanted: Option<Typed>, id: Option<Typed>| {
        let mut file = with_tokens();
        wanted.into_iter().for_each(|wanted| file.set("tokenizer.ggml.add_bos_token", wanted));
        id.into_iter().for_each(|id| file.set("tokenizer.ggml.bos_token_id", id));
        file.tokenizer()["post_processor"].clone()
    };
    let found = start(Some(flag(1)), Some(number(1)));
    assert_eq!(found["single"][0], json!({"SpecialToken": {"id": "<begin>", "type_id": 0}}));
    assert_eq!(
        found["special_tokens"],
        json!({"<begin>": {"id": "<begin>", "ids": [1], "tokens": ["<begin>"]}})
    );
    assert_eq!(start(Some(flag(0)), Some(number(1))), Value::Null);
    assert_eq!(start(None, Some(number(1))), Value::Null);
    assert_eq!(start(Some(number(1)), Some(number(1))), Value::Null);
    assert_eq!(start(Some(flag(1)), None), Value::Null, "llama.cpp's token 11 is not there");
    assert_eq!(start(Some(flag(1)), Some(number(4))), Value::Null, "there is no such token");
    assert_eq!(start(Some(flag(1)), Some(text("1"))), Value::Null);
    let mut many = with_tokens();
    many.set(
        "tokenizer.ggml.tokens",
        texts(&["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "<11>"]),
    );
    many.set("tokenizer.ggml.add_bos_token", flag(1));
    assert_eq!(many.tokenizer()["post_processor"]["single"][0]["SpecialToken"]["id"], "<11>");
}

#[test]
fn an_end_token_is_put_behind_where_the_file_asks_for_it() {
    let ends = |start: u8, end: u8| {
        let file = with_tokens()
            .with("tokenizer.ggml.add_bos_token", flag(start))
            .with("tokenizer.ggml.add_eos_token", flag(end))
            .with("tokenizer.ggml.bos_token_id", number(1))
            .with("tokenizer.ggml.eos_token_id", number(3));
        let single = file.tokenizer()["post_processor"]["single"].clone();
        let id = |part: &Value| part.as_object()?.values().next()?["id"].as_str().map(str::to_owned);
        single.as_array().map(|parts| parts.iter().filter_map(id).collect::<Vec<_>>())
    };
    let named = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
    assert_eq!(ends(0, 0), None);
    assert_eq!(ends(1, 0), named(&["<begin>", "A"]));
    assert_eq!(ends(0, 1), named(&["A", "<own>"]));
    assert_eq!(ends(1, 1), named(&["<begin>", "A", "<own>"]));
}

/// Names of llama.cpp's, how many patterns they have, and whether a start token comes by itself.
#[test]
fn names_of_pre_tokenizers() {
    for (name, patterns, starts) in [
        ("qwen2", 1, false),
        ("deepseek-r1-qwen", 1, false),
        ("qwen35", 1, false),
        ("llama-bpe", 1, true),
        ("pixtral", 1, true),
        ("smaug-bpe", 1, false),
        ("tekken", 1, true),
        ("gpt-2", 1, false),
        ("smollm", 2, false),
        ("default", 4, false),
        ("", 4, false),
    ] {
        let file = with_tokens()
            .with("tokenizer.ggml.pre", text(name))
            .with("tokenizer.ggml.bos_token_id", number(1));
        let json = file.tokenizer();
        let words = json["pre_tokenizer"]["pretokenizers"].as_array().map(Vec::len);
        assert_eq!(words, Some(patterns + 1), "{name}");
        assert_eq!(!json["post_processor"].is_null(), starts, "{name}");
        assert_eq!(json["model"]["ignore_merges"], starts, "{name}");
    }
    assert_eq!(
        with_tokens().without("tokenizer.ggml.pre").tokenizer()["pre_tokenizer"],
        with_tokens().with("tokenizer.ggml.pre", text("default")).tokenizer()["pre_tokenizer"]
    );
}

#[test]
fn control_tokens_and_own_ones_are_matched_first() {
    let added = |types: Option<Typed>| {
        let mut file = with_tokens();
        types.into_iter().for_each(|types| file.set("tokenizer.ggml.token_type", types));
        let added = file.tokenizer()["added_tokens"].as_array().expect("a list").clone();
        let of = |token: &Value| (token["id"].as_u64(), token["special"].as_bool());
        added.iter().map(of).collect::<Vec<_>>()
    };
    let wanted = [(Some(1), Some(true)), (Some(3), Some(false))];
    let types = [1_u8, 3, 1, 4];
    let spread = |width: usize| {
        types.iter().flat_map(|n| (0..width).map(move |i| if i == 0 { *n } else { 0 })).collect::<Vec<u8>>()
    };
    for (kind, width) in [(0, 1), (1, 1), (2, 2), (3, 2), (4, 4), (5, 4), (10, 8), (11, 8)] {
        assert_eq!(added(Some(array(kind, 4, &spread(width)))), wanted, "type {kind}");
    }
    let floats: Vec<u8> = types.iter().flat_map(|n| f32::from(*n).to_le_bytes()).collect();
    assert_eq!(added(Some(array(6, 4, &floats))), wanted);
    let floats: Vec<u8> = types.iter().flat_map(|n| f64::from(*n).to_le_bytes()).collect();
    assert_eq!(added(Some(array(12, 4, &floats))), wanted);
    assert_eq!(added(None), []);
    assert_eq!(added(Some(array(7, 4, &[1, 1, 0, 1]))), []);
    // Tokens behind the end of the list are plain ones.
    assert_eq!(added(Some(array(0, 2, &types[..2]))), wanted[..1]);
    assert_eq!(added(Some(number(3))), []);
    // Three letters follow: their count is not taken for a type.
    let followed =
        with_tokens().with("tokenizer.ggml.token_type", array(0, 2, &types[..2])).with("abc", number(0));
    assert_eq!(followed.tokenizer()["added_tokens"].as_array().map(Vec::len), Some(1));
}

#[test]
fn tokenizers_that_are_not_read() {
    let tokenizer = |file: File| file.open().expect("sound").gguf.expect("metadata").tokenizer();
    assert!(tokenizer(File::hybrid()).is_none());
    assert!(tokenizer(with_tokens().with("tokenizer.ggml.model", text("none"))).is_none());
    let fault = |file: File, kind, key: &str| {
        let error = tokenizer(file).expect("a tokenizer").expect_err(key);
        assert!(error.kind == kind && error.place.ends_with(key), "{key}: {error}");
        error.found.clone()
    };
    let spm = with_tokens().with("tokenizer.ggml.model", text("llama"));
    assert_eq!(fault(spm, ErrorKind::Unsupported, "tokenizer.ggml.model"), "llama");
    let typed = with_tokens().with("tokenizer.ggml.model", number(1));
    assert_eq!(fault(typed, ErrorKind::Unsupported, "tokenizer.ggml.model"), "another type");
    let other = with_tokens().with("tokenizer.ggml.pre", text("other"));
    assert_eq!(fault(other, ErrorKind::Unsupported, "tokenizer.ggml.pre"), "other");
    fault(with_tokens().without("tokenizer.ggml.tokens"), ErrorKind::Missing, "tokenizer.ggml.tokens");
    fault(with_tokens().without("tokenizer.ggml.merges"), ErrorKind::Missing, "tokenizer.ggml.merges");
    // llama merges nothing inside a known word, and normalizes nothing.
    let ways = |file: File| {
        let json = file.tokenizer();
        (json["normalizer"].clone(), json["model"]["ignore_merges"].clone())
    };
    assert_eq!(ways(with_tokens()), (json!({"type": "NFC"}), json!(false)));
    let mut llama = with_tokens();
    llama.keys.iter_mut().for_each(|(key, _)| *key = key.replace("qwen35", "llama"));
    llama = llama.with("general.architecture", text("llama")).with("llama.rope.dimension_count", number(128));
    llama = llama.with("tokenizer.ggml.pre", text("llama-bpe"));
    assert_eq!(ways(llama), (Value::Null, json!(true)));
}
