//! Our byte pairs against the tokenizers library: the same ids for every text.

mod samples;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tokenizers::Tokenizer;

use self::samples::{Texts, file, merges_of};
use super::ByteLevel;
use super::patterns::{PATTERNS, Pattern};

/// Strings in each run; `BITGAUGE_STRINGS` asks for more.
const STRINGS: usize = 12_000;

/// Tokenizers of every kind that is taken.
fn tokenizers() -> Vec<(String, Value)> {
    let mut all = Vec::new();
    for (number, pattern) in PATTERNS.iter().enumerate() {
        for variant in 0..4 {
            let change = |file: &mut Value| {
                if variant % 2 == 1 {
                    file["normalizer"] = Value::Null;
                    file["model"]["ignore_merges"] = true.into();
                    file["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true.into();
                }
                if variant >= 2 {
                    let ends = json!([{"id": 3, "content": " <b>", "single_word": false, "lstrip": false,
                        "rstrip": false, "normalized": true, "special": false}]);
                    file["added_tokens"] = ends;
                }
            };
            all.push((format!("{number}.{variant}"), file(pattern.text(), number as u64, change)));
        }
    }
    for (name, splits, spaces) in [("gpt2", true, true), ("whole", false, true), ("bare", false, false)] {
        let step = json!({"type": "ByteLevel", "add_prefix_space": spaces, "trim_offsets": true, "use_regex": splits});
        all.push((name.to_owned(), file("", 9, |file| file["pre_tokenizer"] = step)));
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    for path in ["packings/mlx1-folder", "validator/direct_run/tokenizers/bpe_qwenlike"] {
        let bytes = fs::read(root.join(path).join("tokenizer.json")).unwrap();
        all.push((path.to_owned(), serde_json::from_slice(&bytes).unwrap()));
    }
    all
}

fn own(file: &Value) -> ByteLevel {
    ByteLevel::read(file.to_string().as_bytes()).expect("a kind that is taken")
}

/// The first of these texts for which the library gives other ids, and how many were tried.
fn difference(library: &Tokenizer, own: &ByteLevel, texts: impl Iterator<Item = String>) -> Option<String> {
    texts.into_iter().find(|text| {
        let ids = library.encode(text.as_str(), false).unwrap();
        own.encode(text).unwrap() != ids.get_ids()
    })
}

#[test]
fn ids_are_those_of_the_library() {
    let count =
        std::env::var("BITGAUGE_STRINGS").ok().and_then(|count| count.parse().ok()).unwrap_or(STRINGS);
    let all = tokenizers();
    let each = count / all.len();
    for (seed, (name, file)) in (0..).zip(&all) {
        let library = Tokenizer::from_bytes(file.to_string()).unwrap();
        let texts = Texts::new(seed).take(each);
        let documents = samples::documents();
        assert_eq!(difference(&library, &own(file), documents.into_iter().chain(texts)), None, "{name}");
    }
}

#[test]
fn what_stands_around_a_text_is_what_the_library_adds() {
    let template = |single: Value| {
        let tokens = json!({"<s>": {"id": "<s>", "ids": [1, 4], "tokens": ["a", "b"]}, "</s>": {"id": "</s>", "ids": [2], "tokens": ["c"]}});
        json!({"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": tokens})
    };
    let token = |id: &str| json!({"SpecialToken": {"id": id, "type_id": 0}});
    let text = json!({"Sequence": {"id": "A", "type_id": 0}});
    let level =
        json!({"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true});
    let both = template(json!([token("<s>"), token("</s>"), text, token("</s>")]));
    let begin = template(json!([token("<s>"), text]));
    let two = json!({"type": "Sequence", "processors": [both, level]});
    let twice = json!({"type": "Sequence", "processors": [begin, begin]});
    let taken = [
        (level, [vec![], vec![]]),
        (both, [vec![1, 4, 2], vec![2]]),
        (begin, [vec![1, 4], vec![]]),
        (two, [vec![1, 4, 2], vec![2]]),
    ];
    for (step, around) in taken {
        let file = file(PATTERNS[1].text(), 1, |file| file["post_processor"] = step);
        let own = own(&file);
        assert_eq!(*own.around(), around);
        let library = Tokenizer::from_bytes(file.to_string()).unwrap();
        let whole = [&around[0][..], &own.encode("some text").unwrap(), &around[1]].concat();
        assert_eq!(library.encode("some text", true).unwrap().get_ids(), whole);
    }
    // The library panics at two templates.
    let wrong = [json!([token("<s>")]), json!([text, text]), json!([text, token("<x>")])].map(template);
    for step in wrong.into_iter().chain([twice]) {
        let file = file(PATTERNS[1].text(), 1, |file| file["post_processor"] = step);
        assert!(ByteLevel::read(file.to_string().as_bytes()).is_none());
    }
}

#[test]
fn a_wrong_tokenizer_is_caught() {
    let right = file(PATTERNS[1].text(), 1, |_| ());
    let library = Tokenizer::from_bytes(right.to_string()).unwrap();
    let texts = || samples::documents().into_iter().chain(Texts::new(7).take(2_000));
    assert_eq!(difference(&library, &own(&right), texts()), None);
    // Two ranks swapped: of letters that follow each other, the first two belong together, or the last two.
    let merges = merges_of(&right);
    let is_letter = |part: &str| part != "a" && part.len() == 1 && part.as_bytes()[0].is_ascii_lowercase();
    let follow = |&(i, j): &(usize, usize)| {
        let [(a, b), (c, d)] = [&merges[i], &merges[j]];
        let is_token = right["model"]["vocab"].get(format!("{a}{b}{d}")).is_some();
        b == c && !is_token && [a, b, d].into_iter().all(|part| is_letter(part))
    };
    let pairs = (0..merges.len()).flat_map(|j| (0..j).map(move |i| (i, j)));
    let (first, second) = pairs.into_iter().find(follow).expect("pairs that follow each other");
    let text =
        || std::iter::once(format!("{}{}", merges[first].0, merges[second].0.clone() + &merges[second].1));
    assert_eq!(difference(&library, &own(&right), text()), None);
    let mut swapped = right.clone();
    swapped["model"]["merges"].as_array_mut().unwrap().swap(first, second);
    assert_ne!(difference(&library, &own(&swapped), text()), None);
    // A merge that is not there.
    let mut lacking = right.clone();
    lacking["model"]["merges"].as_array_mut().unwrap().remove(first);
    assert_ne!(difference(&library, &own(&lacking), text()), None);
    let mut plain = right.clone();
    plain["normalizer"] = Value::Null;
    assert_ne!(difference(&library, &own(&plain), texts()), None);
    let mut open = right.clone();
    open["added_tokens"][0]["rstrip"] = (!right["added_tokens"][0]["rstrip"].as_bool().unwrap()).into();
    assert_ne!(difference(&library, &own(&open), texts()), None);
    // The endings of capital letters, and each of the other patterns.
    // A space before each piece shows where it begins.
    let spaced = file(PATTERNS[1].text(), 1, |file| {
        file["pre_tokenizer"]["pretokenizers"][1]["add_prefix_space"] = true.into();
    });
    let library = Tokenizer::from_bytes(spaced.to_string()).unwrap();
    let with = |pattern: &'static Pattern| {
        let mut own = own(&spaced);
        own.cut.pattern = Some(pattern);
        difference(&library, &own, texts())
    };
    assert_eq!(with(&PATTERNS[1]), None);
    assert_ne!(with(Box::leak(Box::new(PATTERNS[1].small_endings()))), None);
    for other in [0, 2, 3] {
        assert_ne!(with(&PATTERNS[other]), None, "{other}");
    }
}

#[test]
fn other_kinds_are_for_the_library() {
    let is_taken = |change: &dyn Fn(&mut Value)| {
        ByteLevel::read(file(PATTERNS[3].text(), 2, change).to_string().as_bytes()).is_some()
    };
    assert!(is_taken(&|_| ()));
    let set = |path: &'static str, value: Value| {
        move |file: &mut Value| *file.pointer_mut(path).expect("a field") = value.clone()
    };
    let truncation =
        |strategy: &str| json!({"direction": "Left", "max_length": 9, "strategy": strategy, "stride": 0});
    for (path, value, taken) in [
        ("/version", json!("2.0"), false),
        ("/padding", json!({"strategy": "BatchLongest"}), false),
        ("/truncation", truncation("LongestFirst"), true),
        ("/truncation", truncation("OnlyFirst"), false),
        ("/normalizer/type", json!("NFKC"), false),
        ("/pre_tokenizer", Value::Null, false),
        ("/pre_tokenizer/pretokenizers/0/pattern/Regex", json!(r"\s+"), false),
        ("/pre_tokenizer/pretokenizers/0/behavior", json!("Removed"), false),
        ("/pre_tokenizer/pretokenizers/0/invert", json!(true), false),
        ("/pre_tokenizer/pretokenizers/1/use_regex", json!(true), false),
        ("/post_processor", json!({"type": "RobertaProcessing"}), false),
        ("/decoder", json!({"type": "WordPiece"}), false),
        ("/added_tokens/0/single_word", json!(true), false),
        ("/added_tokens/0/content", json!(" <"), false),
        ("/added_tokens/0/content", json!("<".repeat(257)), false),
        ("/model/type", json!("WordLevel"), false),
        ("/model/dropout", json!(0.1), false),
        ("/model/unk_token", json!("a"), false),
        ("/model/byte_fallback", json!(true), false),
        ("/model/fuse_unk", json!(true), true),
        ("/model/continuing_subword_prefix", json!(""), true),
        ("/model/continuing_subword_prefix", json!("##"), false),
        ("/model/end_of_word_suffix", json!("</w>"), false),
        ("/model/vocab/a", json!(u32::MAX), false),
        ("/model/vocab/a", json!(-1), false),
        ("/model/merges/0", json!(["a"]), false),
        ("/model/merges/0", json!("a b"), false),
        ("/model/merges/0", json!(["a", "no token"]), false),
    ] {
        assert_eq!(is_taken(&set(path, value.clone())), taken, "{path} {value}");
    }
    // Merges as lines.
    let lines = |file: &mut Value| {
        let lines: Vec<Value> = merges_of(file).iter().map(|(a, b)| format!("{a} {b}").into()).collect();
        file["model"]["merges"] = lines.into();
    };
    let (as_lines, as_pairs) = (file(PATTERNS[3].text(), 2, lines), file(PATTERNS[3].text(), 2, |_| ()));
    let text = Texts::new(3).take(50).collect::<String>();
    assert_eq!(own(&as_lines).encode(&text).unwrap(), own(&as_pairs).encode(&text).unwrap());
    assert!(ByteLevel::read(b"{").is_none());
}

#[test]
fn long_words_and_long_white_space_are_refused() {
    let own = own(&file(PATTERNS[1].text(), 1, |_| ()));
    assert!(own.encode(&"q".repeat(1 << 20)).is_ok());
    let error = own.encode(&"q".repeat((1 << 23) + 1)).expect_err("a refusal");
    assert!(error.expected.contains("8388608 bytes in a word"), "{error}");
    assert!(own.encode(&"\u{a0}".repeat(500_000)).is_ok());
    let error = own.encode(&"\u{a0}".repeat(500_001)).expect_err("a refusal");
    assert!(error.expected.contains("500000 characters of white space"), "{error}");
}
