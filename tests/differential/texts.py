"""Tokenizers that differ from a sound one, and the texts they are asked for. Used by models.py."""

import json

from folders import CONFIGS, Folder, Tensor

TEXTS = [
    "The quick brown fox the12 34  the\n\nthey're 5678 dog. <x> End<|endoftext|> of it",
    "e\u0301 \u00e9 \ufb01 A\u0300b <s>the </s>hehe <x>x<y> \u4e2d\u6587 \u0939\u093f\u0928\n \n a",
    "the the the the the the the the the",
    "hey! </s> <y>  <x> the! <|endoftext|> <s>!",
]


def byte_letters():
    """The letter that each byte is written as."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + i) for i, byte in enumerate(others)}


def sound():
    letters = sorted(byte_letters().values())
    merges = [
        ["t", "h"],
        ["th", "e"],
        ["\u0120", "the"],
        ["1", "2"],
        ["h", "e"],
        ["e", "\u0120"],
        ["he", "he"],
        [".", "\u0120"],
        ["\u010a", "\u010a"],
    ]
    words = ["".join(pair) for pair in merges] + ["quick"]
    vocab = {word: i for i, word in enumerate(letters + words)}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            added(len(vocab), "<s>"),
            added(len(vocab) + 1, "</s>"),
            added(len(vocab) + 2, "<|endoftext|>"),
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": vocab,
            "merges": merges,
        },
    }


def added(number, content, **how):
    token = {
        "id": number,
        "content": content,
        "single_word": False,
        "lstrip": False,
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return token | how


def properties(rng):
    return {name: rng.random() < 0.4 for name in ("single_word", "lstrip", "rstrip", "normalized", "special")}


def change_file(rng, file):
    """Something in tokenizer.json."""
    regex = lambda pattern: {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
    first = len(file["model"]["vocab"])
    what = rng.choice(
        ["normalizer", "pre_tokenizer", "post_processor", "model", "truncation", "padding", "added", "decoder", "model"]
    )
    if what == "normalizer":
        file[what] = rng.choice(
            [
                None,
                {"type": "Lowercase"},
                {"type": "NFKC"},
                {"type": "Replace", "pattern": {"String": "e"}, "content": "a"},
                {"type": "Prepend", "prepend": "x"},
            ]
        )
    elif what == "pre_tokenizer":
        file[what] = rng.choice(
            [
                level | {"use_regex": True},
                level | {"add_prefix_space": True},
                {"type": "Sequence", "pretokenizers": [regex(" ?[a-z]+|\\s+"), level]},
                {"type": "Sequence", "pretokenizers": [{"type": "Digits", "individual_digits": True}, level]},
                {"type": "Sequence", "pretokenizers": [regex("\\p{N}{1,3}"), level]},
            ]
        )
    elif what == "post_processor":
        single = lambda *ids: {
            "type": "TemplateProcessing",
            "single": [
                *({"SpecialToken": {"id": i, "type_id": 0}} for i in ids),
                {"Sequence": {"id": "A", "type_id": 0}},
            ],
            "pair": [],
            "special_tokens": {i: {"id": i, "ids": [first + ["<s>", "</s>"].index(i)], "tokens": [i]} for i in ids},
        }
        file[what] = rng.choice(
            [level, single("<s>"), single("<s>", "</s>"), {"type": "Sequence", "processors": [level, single("<s>")]}]
        )
    elif what == "model":
        name, value = rng.choice(
            [
                ("dropout", 1.0),
                ("unk_token", "<s>"),
                ("ignore_merges", True),
                ("byte_fallback", True),
                ("fuse_unk", True),
                ("end_of_word_suffix", "x"),
                ("continuing_subword_prefix", ""),
                ("continuing_subword_prefix", "##"),
                ("end_of_word_suffix", ""),
                ("merges", file["model"]["merges"][:2]),
                ("merges", []),
            ]
        )
        file["model"][name] = value
        return f"{name} {value!r}"[:60]
    elif what == "truncation":
        file[what] = {
            "direction": rng.choice(["Left", "Right"]),
            "max_length": rng.choice([4, 100]),
            "strategy": "LongestFirst",
            "stride": 0,
        }
    elif what == "padding":
        file[what] = {
            "strategy": rng.choice(["BatchLongest", {"Fixed": 30}]),
            "direction": rng.choice(["Left", "Right"]),
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "!",
        }
    elif what == "added":
        way = rng.choice(["new", "word", "fewer", "changed", "gap", "order"])
        if way in ("new", "gap"):
            file["added_tokens"].append(
                added(first + (3 if way == "new" else 7), rng.choice(["<x>", "dog", " the"]), **properties(rng))
            )
        elif way == "word":
            file["added_tokens"].insert(0, added(file["model"]["vocab"]["quick"], "quick", **properties(rng)))
        elif way == "fewer":
            file["added_tokens"].pop()
        elif way == "changed":
            file["added_tokens"][0] |= properties(rng)
        else:
            file["added_tokens"].reverse()
        what = f"{what} {way}"
    else:
        file["decoder"] = None
    return f"{what} {file.get(what)!r}"[:80]


def change_settings(rng, settings, first):
    """Something in tokenizer_config.json."""
    token = lambda: rng.choice(
        [
            "<s>",
            "</s>",
            "<x>",
            "<y>",
            "the",
            "<|endoftext|>",
            {"content": "<x>", "__type": "AddedToken", **properties(rng)},
            None,
            {"content": "<y>", "__type": "AddedToken", "rstrip": True},
            {"content": "<x>"},
            1,
            ["<x>"],
            "",
            {"content": "<y>", "__type": "AddedToken", "x": 1},
        ]
    )
    name = rng.choice(
        ["tokenizer_class"] * 4
        + [
            "bos_token",
            "eos_token",
            "pad_token",
            "unk_token",
            "added_tokens_decoder",
            "added_tokens_decoder",
            "extra_special_tokens",
            "additional_special_tokens",
            "truncation_side",
            "padding_side",
            "split_special_tokens",
            "add_prefix_space",
            "add_bos_token",
            "add_eos_token",
            "model_max_length",
            "clean_up_tokenization_spaces",
            "legacy",
            "errors",
            "image_token",
            "use_fast",
            "chat_template",
            "mask_token",
            "auto_map",
            "junk",
            "do_lower_case",
            "from_slow",
        ]
    )
    choices = {
        "tokenizer_class": [
            "Qwen2Tokenizer",
            "Qwen2TokenizerFast",
            "PreTrainedTokenizerFast",
            "PreTrainedTokenizer",
            "LlamaTokenizer",
            "LlamaTokenizerFast",
            "Qwen3Tokenizer",
            "Qwen3_5Tokenizer",
            "TokenizersBackend",
            "GPT2Tokenizer",
            "GPT2TokenizerFast",
            "X",
            None,
            "",
            "",
            1,
            "BertTokenizer",
            "CodeLlamaTokenizer",
            "PythonBackend",
        ],
        "truncation_side": ["left", "right", "LEFT", "x", None],
        "padding_side": ["left", "right", "x"],
        "split_special_tokens": [True, False, None, 1],
        "add_prefix_space": [True, False, None],
        "add_bos_token": [True, False, None],
        "add_eos_token": [True, False],
        "model_max_length": [4, 1000, 1e30, None, "x"],
        "clean_up_tokenization_spaces": [True],
        "legacy": [True, False],
        "errors": ["replace"],
        "image_token": ["<y>"],
        "use_fast": [False, True],
        "chat_template": ["{{ x }}"],
        "auto_map": [None, {"AutoTokenizer": ["nofile.X", None]}],
        "junk": [1],
        "do_lower_case": [True],
        "from_slow": [True, False],
    }
    if name == "added_tokens_decoder":
        ids = rng.sample([first, first + 1, first + 2, first + 3, first + 5, 10], rng.choice([1, 2, 3]))
        value = {
            str(number): {
                "content": rng.choice(["<x>", "<y>", "<s>", "</s>", "<|endoftext|>", "dog"]),
                **properties(rng),
            }
            for number in ids
        }
        value = rng.choice(
            [
                value,
                value,
                value,
                value,
                value,
                {},
                {"x": {"content": "<x>"}},
                None,
                [],
                {str(first + 3): {"content": "<x>", "__type": "AddedToken"}},
                {str(first + 3): {"content": "<x>"}},
                {str(first + 3): "<x>"},
                {f" {first + 3}": {"content": "<y>", "special": True}},
            ]
        )
    elif name == "extra_special_tokens":
        value = rng.choice(
            [
                ["<x>"],
                {"my_token": "<x>"},
                [],
                {},
                [{"content": "<y>", "lstrip": True}],
                ["<x>", {"content": "<y>", "__type": "AddedToken", "rstrip": True}],
                "<x>",
                None,
                {"my_token": None},
                [None],
                1,
            ]
        )
    elif name == "additional_special_tokens":
        value = rng.choice([["<x>", "<y>"], ["the"], [], None])
    else:
        value = rng.choice(choices[name]) if name in choices else token()
    settings[name] = value
    return f"{name} {value!r}"


def make_tokenizer(rng):
    """A model type, what is odd, and the files."""
    family = rng.choice(["qwen3", "qwen3", "llama", "qwen3_5_text", "qwen3_5"])
    folder, file = Folder("llama"), sound()
    folder.config = json.loads(json.dumps(CONFIGS[family]))
    folder.tensors = {"model.norm.weight": Tensor([16], 1)}
    first, what, settings = len(file["model"]["vocab"]), [], {}
    for _ in range(rng.choices([0, 1, 2], [3, 6, 2])[0]):
        what.append(change_file(rng, file))
    for _ in range(rng.choices([0, 1, 2, 3], [3, 6, 3, 1])[0]):
        what.append(change_settings(rng, settings, first))
    if rng.random() < 0.08:
        folder.config["tokenizer_class"] = rng.choice(
            ["Qwen2Tokenizer", "PreTrainedTokenizerFast", "LlamaTokenizer", "X"]
        )
        what.append(f"config.json's class {folder.config['tokenizer_class']}")
    if settings or rng.random() < 0.3:
        folder.files["tokenizer_config.json"] = json.dumps(settings).encode()
    if rng.random() < 0.15:
        special = rng.choice(
            [
                {"eos_token": "<x>"},
                {"pad_token": {"content": "<y>", "lstrip": True}},
                {"additional_special_tokens": ["<x>"]},
                [],
                {"bos_token": None},
                {"my_token": "<x>"},
                {"extra_special_tokens": [{"content": "<y>", "lstrip": True}]},
                {"extra_special_tokens": {"my_token": "<y>"}},
                {"eos_token": 1},
                {"unk_token": {"content": "<x>", "normalized": True}},
            ]
        )
        folder.files["special_tokens_map.json"] = json.dumps(special).encode()
        what.append(f"special tokens {special}")
    if rng.random() < 0.1:
        more = rng.choice(
            [{"<x>": first + 3}, {"<y>": first + 3, "<x>": first + 4}, {"quick": first + 3}, {}, [], {"<x>": "1"}]
        )
        folder.files["added_tokens.json"] = json.dumps(more).encode()
        what.append(f"added tokens {more}")
    folder.files["tokenizer.json"] = json.dumps(file, ensure_ascii=False).encode()
    return f"tokenizer of {family}", "; ".join(what) or "sound", folder.all()
