"""One line that an adversary changes: names that some code of transformers looks for, whatever the class declares, and texts on
which parsers differ. Each change takes a random generator and a Folder. Used by models.py."""

import json
import struct

from fields import ANY
from folders import CONFIGS, Folder, Tensor
from texts import sound

# Fields that no class declares, and that code somewhere in transformers looks for or a call would collide with.
LOOKED_FOR = {
    "activation_checkpointing": [True],
    "attention_chunk_size": [4, 16, None],
    "attn_logit_softcapping": [1.0],
    "attribute": [1],
    "cache_dir": ["x"],
    "causal": [False],
    "chain_hidden_post_norm": [True],
    "classifier_dropout": [0.5],
    "cls": [1],
    "code_revision": ["x"],
    "configuration_files": [["config.json"], ["config.4.0.0.json"], ["config.9.0.0.json"], [], None, "config.4.0.0.json"],
    "custom_pipelines": [{}],
    "decoder_sparse_step": [1],
    "device_map": ["auto"],
    "disable_mmap": [True],
    "distributed_config": [{}, None],
    "embedding_multiplier": [2.0],
    "extra_special_tokens": [["<x>"]],
    "final_logit_softcapping": [1.0],
    "forced_bos_token_id": [1],
    "force_download": [True],
    "fusion_config": [{}, None, {"x": True}, {"rms_norm": True}],
    "gguf_file": ["x.gguf", None],
    "gradient_checkpointing": [True, False],
    "has_no_defaults_at_init": [True],
    "head_dim_": [4],
    "hf_quantizer": [1],
    "hidden_dropout": [0.5],
    "init_std": [1.0],
    "initializer_factor": [2.0],
    "is_causal": [False, True, None, 0, 1],
    "is_composition": [True],
    "items": [1],
    "keys": [1],
    "kv_sharing_modes": [["store", "reuse"], ["reuse", "reuse"], [], None],
    "kwargs": [{}, {"hidden_size": 8}],
    "layer_norm_eps": [0.1],
    "layers_block_type": [["attention", "attention"], ["mamba", "mamba"]],
    "local_files_only": [False],
    "logit_scale": [0.5],
    "logits_scaling": [2.0],
    "loss_type": ["x", "ForMaskedLM", None],
    "mamba_ssm_dtype": ["float32"],
    "max_seq_len": [8],
    "mlp_only_layers": [[], [0]],
    "mm_tokens": [1],
    "model_max_length": [8],
    "model_name": ["qwen2", "phi3", "x"],
    "mtp_num_hidden_layers": [1, 0],
    "mtp_use_dedicated_embeddings": [False],
    "name": ["x"],
    "num_experts": [4, 0],
    "num_kv_shared_layers": [1],
    "num_nextn_predict_layers": [1],
    "original_rope_theta": [5.0],
    "output_gate_type": ["swish"],
    "pad_to_multiple_of": [8],
    "padding_idx": [99],
    "partial_rotary_factors": [0.5],
    "peft_config": [{}],
    "position_embedding_type": ["absolute"],
    "pretrained_model_name_or_path": ["x"],
    "proxies": [{}],
    "qk_norm": [False],
    "quantization_config": [{}, None, {"quant_method": None}, {"load_in_4bit": False}, {"quant_method": "x"}, [], "x"],
    "query_pre_attn_scalar": [1],
    "residual_multiplier": [0.5],
    "return_unused_kwargs": [True],
    "revision": ["x"],
    "rope_interleaved": [True],
    "rope_local_base_freq": [5.0],
    "rotary_dim": [4],
    "rotary_pct": [0.5],
    "scale_attention_softmax_in_fp32": [False],
    "self": [1],
    "sep_token_id": [1],
    "state_dict": [{}],
    "subfolder": ["x"],
    "tie_encoder_decoder": [True],
    "tie_weights": [1],
    "token": ["x"],
    "tp_plan": ["auto", {}],
    "trust_remote_code": [False],
    "unpadded_vocab_size": [10],
    "use_bidirectional_attention": [True, "all"],
    "use_kernels": [True],
    "use_mrope": [True],
    "use_qk_norm": [False],
    "use_safetensors": [False],
    "values": [1],
    "variant": ["fp16"],
    "weights_only": [False],
    "word_embed_proj_dim": [8],
}

# Settings of a tokenizer that some code looks for.
SETTINGS = {
    "_commit_hash": ["x"],
    "_from_auto": [True],
    "_json_padding": [None, {"strategy": "BatchLongest"}],
    "_json_truncation": [None, {"max_length": 3, "direction": "left", "stride": 0, "strategy": "longest_first"}],
    "backend": ["tokenizers", "x", "sentencepiece"],
    "cls_token": ["<x>", "<y>"],
    "config": [{}],
    "device_map": ["auto"],
    "files_loaded": [[]],
    "fix_mistral_regex": [True, False],
    "gguf_file": ["x.gguf", None],
    "init_inputs": [[], [1]],
    "init_kwargs": [{}],
    "is_local": [True],
    "max_length": [3, 100, None],
    "max_len": [3],
    "merges": [[], [["t", "h"]]],
    "merges_file": ["merges.txt", None],
    "mistral_format": [True],
    "model": ["x"],
    "model_input_names": [["input_ids"], ["token_type_ids"], [], "x"],
    "model_specific_special_tokens": [{}, {"my_token": "<y>"}],
    "name_or_path": ["deepseek-ai/deepseek-coder-x", "mistralai/x"],
    "normalizer": [None],
    "pad_to_multiple_of": [8],
    "pad_token_type_id": [1],
    "padding": [True, "max_length"],
    "post_processor": [None, {}],
    "processor_class": ["X"],
    "return_token_type_ids": [True],
    "sep_token": ["<x>"],
    "self": [1],
    "special_tokens_map_file": ["x"],
    "special_tokens_pattern": ["none", "bos", "bos_eos", "cls_sep", "x"],
    "stride": [1, 3],
    "subfolder": ["x"],
    "tokenizer_file": ["other.json", None],
    "tokenizer_object": [None, 1],
    "tokenizer_padding": [None, {}],
    "tokenizer_truncation": [None, {}],
    "tokenizer_type": ["gpt2"],
    "truncation": [True, False],
    "truncation_strategy": ["longest_first", "do_not_truncate"],
    "unk_id": [3],
    "use_default_system_prompt": [True],
    "verbose": [False],
    "vocab": [{}, {"a": 0}],
    "vocab_file": ["vocab.json", None],
    "vocab_size": [10],
}

# What a number may be written as, where a float and where an integer is wanted.
FLOATS = ["1E-5", "1e-06", "0.1e-4", "1.e-6", ".1", "1e-400", "1e400", "-0.0", "0.0000010000000000000000000001", "NaN",
          "nan", "-Infinity", "Infinity", "1e-6f", "0x1", "1e", "00.1", "1_0.0", "1e-0006"]
INTEGERS = ["16.0", "016", "+16", "1_6", "16e0", "1.6e1", "-16", "0x10", "16 ", "1" + "0" * 19, "true"]
STRANGE = ["1" * 4_300, "1" * 4_301, "-" + "1" * 4_301, '"\\ud800"', '"\\udc00\\ud800"', '"a\\u0000b"', '"\tb"', '"\\x41"',
           "[" * 900 + "]" * 900, "[" * 1_100 + "]" * 1_100, '"\U0001f600"', "1e5000", "'x'", "undefined", "[1,]", "{,}", '"\x7f"']


def change_text(rng, text, numbers):
    """A text of JSON, as bytes, otherwise written; numbers are names of floats and of integers in it."""
    way = rng.choice(["mark", "utf-16", "comma", "comment", "behind", "nul", "twice", "twice first", "float", "integer", "strange",
                      "escaped", "space", "no UTF-8", "returns", "empty", "strange", "float", "twice"])
    floats, integers = numbers
    end = text.rstrip().rstrip("}").rstrip()
    if way in ("float", "twice", "twice first", "escaped") and not floats or way == "integer" and not integers:
        way = "strange"
    if way == "mark":
        return way, b"\xef\xbb\xbf" + text.encode()
    if way == "utf-16":
        return way, text.encode("utf-16")
    if way == "comma":
        return way, (end + ",\n}").encode()
    if way == "comment":
        return way, (end + "\n// x\n}").encode()
    if way == "behind":
        more = rng.choice(["\n", " \t\r\n", "x", "{}", "\f", "\u00a0", "\u2028"])
        return f"{way} {more!r}", (text + more).encode()
    if way == "nul":
        return way, text.encode() + b"\0"
    if way == "space":
        more = rng.choice(["\n\n ", "\f", "\v", "\u00a0", "\ufeff "])
        return f"{way} {more!r}", (more + text).encode()
    if way == "no UTF-8":
        return way, (end + ',\n"my_note": "').encode() + rng.choice([b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x80"]) + b'"\n}'
    if way == "returns":
        return way, text.replace("\n", rng.choice(["\r\n", "\r"])).encode()
    if way == "empty":
        return way, rng.choice([b"", b"null", b"[]", b"{}", b'"x"', b"{", b"1"])
    if way == "strange":
        value = rng.choice(STRANGE)
        return f"{way} {value[:20]} of {len(value)}", (end + f',\n"my_note": {value}\n}}').encode()
    name = rng.choice(integers if way == "integer" or (way.startswith("twice") and rng.random() < 0.5) else floats)
    value = rng.choice(INTEGERS if name in integers else FLOATS)
    line = f'"{name}": {value}'
    if way == "escaped":
        line = f'"\\u{ord(name[0]):04x}{name[1:]}": {value}'
    if way == "twice first":
        return f"{way} {line}", ("{\n" + line + "," + text.lstrip()[1:]).encode()
    if way in ("float", "integer"):
        place = text.index(f'"{name}"')
        stop = min(text.index(sign, place) for sign in ",\n" if sign in text[place:])
        return f"{way} {line}", (text[:place] + line + text[stop:]).encode()
    return f"{way} {line}", (end + ",\n" + line + "\n}").encode()


def set_looked_for(rng, folder):
    name = rng.choice(sorted(LOOKED_FOR))
    place = folder.text() if rng.random() < 0.6 else folder.config
    place[name] = rng.choice(LOOKED_FOR[name] if rng.random() < 0.85 else ANY)
    if name == "configuration_files":
        folder.files["config.4.0.0.json"] = json.dumps(folder.config | {"rms_norm_eps": 0.5}).encode()
    return f"{name} {place[name]!r}"


def set_header(rng, folder):
    """What a safetensors file says about itself, and how its header is written."""
    file, names = next(iter(folder.shards.items()))
    data = folder.all()[file]
    length = int.from_bytes(data[:8], "little")
    header, rest = json.loads(data[8 : 8 + length]), data[8 + length :]
    what = rng.choice([{"format": "pt"}, {"format": "pt"}, {"format": "tf"}, {"format": "mlx"}, {"format": "flax"}, {"format": "x"}, {},
                       {"a": "b"}, {"format": ""}, {"format": 1}, {"format": None}, None, "x", [], "order", "key", "wide", "tight"])
    if what == "order":
        header = dict(reversed(header.items()))
    elif what == "key":
        next(iter(header.values()))["note"] = 1
    elif what not in ("wide", "tight"):
        header = {"__metadata__": what, **header}
    text = json.dumps(header).encode()
    text += b"" if what == "tight" else b" " * (-len(text) % 8 + (800 if what == "wide" else 0))
    folder.files[file] = struct.pack("<Q", len(text)) + text + rest
    return f"header {what!r}"


def set_beside(rng, folder):
    """Files that some code looks for."""
    sharded = "shard-00001-model-00001-of-00001.safetensors"
    weights = folder.all().get("model.safetensors", b"")
    empty = struct.pack("<Q", 8) + b"{}      "
    name, text = rng.choice([
        (sharded, empty), (sharded, weights), ("model.fp16.safetensors", empty), ("model.safetensors.index.json", b'{"weight_map": {}}'),
        ("config.5.0.0.json", b"{}"), (".metadata", b"x"), ("params.json", b"{}"), ("tekken.json", b"{}"), ("quantize_config.json", b'{"bits": 4}'),
        ("quantization_config.json", b"{}"), ("hf_quant_config.json", b"{}"), ("quant_config.json", b"{}"), ("__init__.py", b"1/0"),
        ("generation_config.json", b'{"temperature": "x"}'), ("generation_config.json", b'{"num_beams": 0}'),
        ("generation_config.json", b'{"max_new_tokens": -1}'), ("generation_config.json", b'{"pad_token_id": -5}'),
        ("generation_config.json", b'{"transformers_version": 5}'), ("generation_config.json", b"\xef\xbb\xbf{}"),
        ("generation_config.json", b'{"eos_token_id": "x"}'), ("generation_config.json", b'{"self": 1}'),
        ("custom_generate/generate.py", b"1/0"), ("kernel_config.json", b"{}"), ("modeling_x.py", b"1/0"), ("video_preprocessor_config.json", b"["),
        ("chat_template.json", b"["), ("mtp.safetensors", empty), ("extra.safetensors", empty), ("non_lora_state_dict.bin", b"x"), ("optimizer.pt", b"x"),
    ])
    folder.files[name] = text
    return f"beside {name} {text[:40]!r}"


def set_index_text(rng, folder):
    folder.shard(2)
    text = folder.all()["model.safetensors.index.json"].decode()
    what, changed = change_text(rng, text, ([], []))
    folder.files["model.safetensors.index.json"] = changed
    return f"index {what}"


def set_config_text(rng, folder):
    text = json.dumps(folder.config, indent=1)
    what, changed = change_text(rng, text, (["rms_norm_eps"], ["hidden_size", "vocab_size", "max_position_embeddings"]))
    folder.files["config.json"] = changed
    return f"text {what}"


def make_line(rng):
    """A family name, what is odd, and the files."""
    packed = rng.random() < 0.4
    family = "qwen3" if packed else rng.choice(["qwen3"] * 3 + ["llama"] * 2 + ["qwen3_5_text"] * 2 + ["qwen3_5"])
    folder = Folder(family, packed)
    change = rng.choice([set_looked_for] * 9 + [set_config_text] * 5 + [set_beside] * 3 + [set_header] * 2 + [set_index_text])
    what = change(rng, folder)
    return ("packed " if packed else "") + family, what, folder.all()


def make_tokenizer_line(rng):
    """A model type, what is odd, and the files."""
    family = rng.choice(["qwen3", "qwen3", "llama", "qwen3_5_text", "qwen3_5"])
    folder, file, settings = Folder("llama"), sound(), {}
    folder.config = json.loads(json.dumps(CONFIGS[family]))
    folder.tensors = {"model.norm.weight": Tensor([16], 1)}
    if rng.random() < 0.5:
        settings["tokenizer_class"] = rng.choice(["Qwen2Tokenizer", "PreTrainedTokenizerFast"])
    vocab, merges = file["model"]["vocab"], file["model"]["merges"]
    roll = rng.random()
    text = None
    if roll < 0.5:
        name = rng.choice(sorted(SETTINGS))
        settings[name] = rng.choice(SETTINGS[name] if rng.random() < 0.85 else ANY)
        what = f"{name} {settings[name]!r}"
    elif roll < 0.62:
        name, value = rng.choice([("model_name", "qwen2"), ("model_name", "phi3"), ("_name_or_path", "deepseek-ai/deepseek-coder-7b"),
                                  ("_name_or_path", "google/umt5-small"), ("name_or_path", "google/umt5-small"), ("_name_or_path", "mistralai/x"),
                                  ("tokenizer_class", None), ("tokenizer_class", "PreTrainedTokenizerFast"), ("transformers_version", "4.57.0")])
        folder.config[name] = value
        what = f"config.json's {name} {value!r}"
    elif roll < 0.8:
        name, content = rng.choice([
            ("vocab.json", json.dumps(vocab).encode()), ("vocab.json", b"{}"), ("merges.txt", b"#version: 0.2\nt h\n"), ("merges.txt", b""),
            ("tokenizer.model", b"x"), ("chat_template.jinja", b"{{ x"), ("chat_template.json", b'{"chat_template": "x"}'), ("chat_template.json", b"["),
            ("chat_templates/x.jinja", b"x"), ("processor_config.json", b"["), ("tekken.json", b"{}"), ("tokenizer.5.0.0.json", b"{}"),
            ("tokenizer.4.0.0.json", json.dumps(file | {"normalizer": {"type": "Lowercase"}}).encode()), ("additional_chat_templates/x.jinja", b"x"),
        ])
        folder.files[name] = content
        if name.startswith("tokenizer.4"):
            settings["fast_tokenizer_files"] = ["tokenizer.4.0.0.json", "tokenizer.json"]
        if name == "merges.txt" and rng.random() < 0.5:
            folder.files["vocab.json"] = json.dumps(vocab).encode()
        what = f"beside {name} {content[:20]!r}"
    elif roll < 0.9:
        what, text = change_text(rng, json.dumps(settings | {"model_max_length": 100, "errors": "replace"}, indent=1), ([], []))
        folder.files["tokenizer_config.json"] = text
        what = f"settings {what}"
    else:
        what, text = change_text(rng, json.dumps(file, ensure_ascii=False), ([], []))
        folder.files["tokenizer.json"] = text
        what = f"file {what}"
    if settings and "tokenizer_config.json" not in folder.files:
        folder.files["tokenizer_config.json"] = json.dumps(settings).encode()
    folder.files.setdefault("tokenizer.json", json.dumps(file, ensure_ascii=False).encode())
    return f"tokenizer of {family}", what, folder.all()
