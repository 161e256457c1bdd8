//! Tokenizers and texts for the tests, from seeds.

use std::collections::BTreeSet;

use fastrand::Rng;
use serde_json::{Value, json};

use super::super::pairs::character;
use crate::{Form, TextSettings, parse};

/// What texts are made of: words, endings, numbers, white space, marks, parts of added tokens.
const PARTS: [&str; 72] = [
    "the",
    "quick",
    " brown",
    "Fox",
    "a",
    "b",
    "ab",
    " in",
    "ing",
    "'s",
    "'S",
    "'\u{17f}",
    "'re",
    "'RE",
    "'rE",
    "'v",
    "'ve",
    "'Ve",
    "'ll",
    "'Ll",
    "'LL",
    "'l",
    "'d",
    "'D",
    "'m",
    "'M",
    "'t",
    "'T",
    "''",
    "'",
    "0",
    "12",
    "345",
    "6789",
    "\u{b2}",
    "\u{bd}",
    "\u{663}",
    "\u{216b}",
    " ",
    "  ",
    "   ",
    "\n",
    "\r\n",
    "\r",
    "\t",
    "\u{a0}",
    "\u{3000}",
    "\u{85}",
    "\u{2028}",
    "\u{b}",
    "\u{200b}",
    "\u{301}",
    "e\u{301}",
    "\u{e9}",
    "\u{1112}\u{1161}\u{11ab}",
    "\u{d55c}",
    "\u{340}",
    "\u{212b}",
    "\u{958}\u{9bc}",
    "\u{1f600}",
    "\u{200d}",
    "\u{fe0f}",
    "\u{4e2d}\u{6587}",
    "\u{645}",
    "\u{93f}",
    ".,;",
    "-",
    "!?",
    "<s>",
    "<s",
    " <b>",
    "<|endoftext|>",
];

/// Texts without end.
pub struct Texts(Rng);

impl Texts {
    pub fn new(seed: u64) -> Self {
        Self(Rng::with_seed(seed))
    }
}

impl Iterator for Texts {
    type Item = String;

    fn next(&mut self) -> Option<String> {
        let random = &mut self.0;
        let mut text = String::new();
        for _ in 0..random.usize(..24) {
            match random.u8(..10) {
                0 => text.push(random.char(..)),
                1 => text.push(random.char('\u{a0}'..'\u{3000}')),
                _ => text.push_str(PARTS[random.usize(..PARTS.len())]),
            }
        }
        Some(text)
    }
}

/// The documents of the demo.
pub fn documents() -> Vec<String> {
    let text = include_str!("../../../../demo/documents.json");
    parse(text, Form::Json, &TextSettings::default()).unwrap().into_texts()
}

/// A tokenizer.json that splits by this pattern and merges what occurs in texts, then changed.
pub fn file(pattern: &str, seed: u64, change: impl FnOnce(&mut Value)) -> Value {
    let mut random = Rng::with_seed(seed);
    let written = |text: &str| -> Vec<char> { text.bytes().map(character).collect() };
    let corpus: Vec<char> =
        written(&(documents().join("\n") + &Texts::new(seed).take(400).collect::<String>()));
    // Each byte but two is a token.
    let mut tokens: Vec<String> =
        (0..=u8::MAX).filter(|byte| ![0, 0xf5].contains(byte)).map(|byte| character(byte).into()).collect();
    let mut known: BTreeSet<String> = tokens.iter().cloned().collect();
    let mut merges = Vec::new();
    while merges.len() < 700 {
        let from = random.usize(..corpus.len() - 12);
        let part: String = corpus[from..from + random.usize(2..8)].iter().collect();
        let halves = part.char_indices().skip(1).map(|(at, _)| part.split_at(at));
        let taken: Vec<_> = halves.filter(|(a, b)| known.contains(*a) && known.contains(*b)).collect();
        let Some((first, second)) = random.choice(taken) else { continue };
        // A token may come of two pairs.
        if !merges.contains(&json!([first, second])) {
            merges.push(json!([first, second]));
        }
        if known.insert(part.clone()) {
            tokens.push(part.clone());
        }
    }
    random.shuffle(&mut tokens);
    let vocabulary: serde_json::Map<String, Value> =
        (0_u32..).zip(tokens).map(|(id, token)| (token, id.into())).collect();
    let token = |content: &str, strips: [bool; 2], special: bool| {
        json!({"id": 0, "content": content, "single_word": false, "lstrip": strips[0], "rstrip": strips[1],
            "normalized": !special, "special": special})
    };
    let mut file = json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [
            token("<s>", [seed.is_multiple_of(2), seed.is_multiple_of(3)], true), token("<|endoftext|>", [false; 2], true), token("<s", [false; 2], false),
            token("e\u{301}", [false, true], false), token("the", [true, false], false), token("a", [false; 2], true),
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false},
        ]},
        "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": "", "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": merges,
            "ignore_merges": false},
    });
    change(&mut file);
    file
}

/// The merges of a file.
pub fn merges_of(file: &Value) -> Vec<(String, String)> {
    serde_json::from_value(file["model"]["merges"].clone()).unwrap()
}
