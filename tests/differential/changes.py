"""What may be odd about a model folder: each change takes a random generator and a Folder. Used by models.py."""

from fields import ANY, FIELDS, OTHERS
from folders import ROWS, Folder, Tensor


def set_field(rng, folder):
    """One declared field has a likely or an unlikely value, or none."""
    name = rng.choice(sorted(FIELDS))
    place = folder.text() if folder.family != "qwen3_5" or rng.random() < 0.7 else folder.config
    roll = rng.random()
    if roll < 0.1:
        place.pop(name, None)
        return f"without {name}"
    place[name] = rng.choice(FIELDS[name] if roll < 0.55 else ANY)
    return f"{name} {place[name]!r}"


def set_other(rng, folder):
    """A field that no class declares."""
    name = rng.choice(sorted(OTHERS))
    place = folder.text() if rng.random() < 0.7 else folder.config
    place[name] = rng.choice(OTHERS[name] if rng.random() < 0.8 else ANY)
    return f"{name} {place[name]!r}"


def set_vision(rng, folder):
    place, names = rng.choice(
        [
            (
                folder.config,
                [
                    "image_token_id",
                    "video_token_id",
                    "vision_end_token_id",
                    "tie_word_embeddings",
                    "vision_config",
                    "text_config",
                ],
            ),
            (
                folder.config["vision_config"],
                list(folder.config["vision_config"]) + ["deepstack_visual_indexes", "model_type"],
            ),
        ]
    )
    name = rng.choice(names)
    if rng.random() < 0.2:
        place.pop(name, None)
        return f"without {name}"
    place[name] = rng.choice(ANY + [1, 2, 40, 60])
    return f"{name} {place[name]!r}"


def rope_settings(rng):
    kind = rng.choice(["default", "linear", "dynamic", "yarn", "longrope", "llama3", "proportional", "spiral", None, 1])
    rope = {rng.choice(["rope_type", "type"]): kind}
    for name, likely in [
        ("factor", [2.0, 4, 1.0, 0.5, "2", None, 8.0, 2]),
        ("rope_theta", [10000.0, 100, 500000.0, None, "1e4", 0]),
        ("original_max_position_embeddings", [32, 64, 8, None, 32.0]),
        ("low_freq_factor", [1.0, 1, 4.0, 8]),
        ("high_freq_factor", [4.0, 4, 1.0]),
        ("attention_factor", [1.0, 0.5, None, -1.0]),
        ("beta_fast", [32, 32.0, 16]),
        ("beta_slow", [1, 1.0, 2]),
        ("mscale", [1.0, 0.7]),
        ("mscale_all_dim", [1.0, 0.5]),
        ("truncate", [False, True, None]),
        ("partial_rotary_factor", [0.5, 1.0, 0.25]),
        ("short_factor", [[1.0, 1.0]]),
        ("long_factor", [[2.0, 2.0]]),
        ("mrope_section", [[1, 1, 0], [2, 0, 0], [1], "x"]),
        ("junk", [1]),
    ]:
        wanted = {
            "linear": ["factor"],
            "dynamic": ["factor"],
            "yarn": ["factor"],
            "llama3": ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"],
        }
        if rng.random() < (0.9 if name in wanted.get(kind, []) else 0.5 if name == "rope_theta" else 0.12):
            rope[name] = rng.choice(likely[:2] if rng.random() < 0.7 else likely)
    return rope


def set_rope(rng, folder):
    """The rotary embedding's settings, in one of their places or several."""
    place = folder.text()
    for name in ("rope_theta", "rope_parameters", "rope_scaling"):
        if rng.random() < 0.6:
            place.pop(name, None)
    if rng.random() < 0.55:
        place["rope_parameters"] = rope_settings(rng)
    if rng.random() < 0.5 or not place.get("rope_parameters"):
        place["rope_scaling"] = rope_settings(rng)
    if rng.random() < 0.4:
        place["rope_theta"] = rng.choice([10000.0, 777, 50.0, None, "x", 1000000])
    if rng.random() < 0.06:
        place["rope_parameters"] = {"full_attention": rope_settings(rng)}
    return repr({name: place[name] for name in ("rope_theta", "rope_parameters", "rope_scaling") if name in place})


def set_heads(rng, folder):
    """Which of embedding and head are stored, and what config.json says of the tie."""
    tensors = folder.tensors
    embedding = next(name for name in tensors if name.endswith("embed_tokens.weight"))
    stored = rng.choice(["none", "same", "other", "only", "other type", "same type", "shape"])
    like = tensors[embedding]
    # lm_head beside the decoder, or inside it.
    name = rng.choice(["lm_head.weight"] * 5 + [embedding.replace("embed_tokens", "lm_head"), "model.lm_head.weight"])
    copy = lambda **how: Tensor(**{"shape": like.shape, "seed": like.seed, "dtype": like.dtype, **how})
    tensors.pop("lm_head.weight", None)
    made = {
        "same": copy(),
        "other": copy(seed=like.seed + 1),
        "only": copy(),
        "other type": copy(seed=9, dtype="F32"),
        "same type": copy(dtype="F32"),
        "shape": copy(shape=[ROWS + 1, like.shape[1]]),
    }
    if stored != "none":
        tensors[name] = made[stored]
    if stored == "only":
        del tensors[embedding]
    flags = [rng.choice([True, True, False, "absent"]) for _ in range(2)]
    for place, flag in zip([folder.text(), folder.config], flags):
        if flag == "absent":
            place.pop("tie_word_embeddings", None)
        else:
            place["tie_word_embeddings"] = flag
    return f"head {stored} as {name}, ties {flags}"


def set_tensors(rng, folder):
    """Weights that are missing, surplus, of another name, shape or type."""
    names = sorted(folder.tensors)
    name = rng.choice(names)
    tensor = folder.tensors[name]
    what = rng.choice(
        ["dtype", "all dtype", "missing", "extra", "shape", "renamed", "without model.", "other prefix", "mtp", "bias"]
    )
    if what == "dtype":
        tensor.dtype = rng.choice(["F16", "F32", "F64", "I8", "U8", "F8_E4M3"])
    elif what == "all dtype":
        kind = rng.choice(["F16", "F32", "F64", "F16", "F32"])
        for each in folder.tensors.values():
            each.dtype = kind
        name = kind
    elif what == "missing":
        del folder.tensors[name]
    elif what == "extra":
        extra = rng.choice(
            [
                "extra.weight",
                "model.layers.0.self_attn.rotary_emb.inv_freq",
                "model.layers.7.mlp.up_proj.weight",
                "model.visual.x.weight",
                "visual.patch_embed.proj.weight",
                "mtp.norm.weight",
                "model.layers.0.mlp.gate_proj.bias",
            ]
        )
        folder.tensors[extra] = Tensor([4], 3)
        name = extra
    elif what == "shape":
        tensor.shape = rng.choice([tensor.shape[::-1], [*tensor.shape, 1], [tensor.shape[0] + 1, *tensor.shape[1:]]])
    elif what == "renamed":
        folder.tensors[name + "x"] = folder.tensors.pop(name)
    elif what in ("without model.", "other prefix"):
        if folder.family == "qwen3_5" and rng.random() < 0.6:
            # The names of the decoder alone.
            old_prefix = "model.language_model."
        else:
            old_prefix = "model."
        prefix = {
            "without model.": "",
            "other prefix": rng.choice(
                ["model.model.", "model.language_model.", "language_model.model.", "transformer.", "model."]
            ),
        }[what]
        some = rng.random() < 0.2
        renamed = {}
        for old, each in folder.tensors.items():
            change = old.startswith(old_prefix) and not (some and "layers.1" in old)
            renamed[prefix + old.removeprefix(old_prefix) if change else old] = each
        folder.tensors = renamed
        name = f"{prefix!r}, {'some' if some else 'all'}"
    elif what == "mtp":
        folder.tensors["mtp.layers.0.mlp.up_proj.weight"] = Tensor([4, 4], 3)
    elif what == "bias":
        folder.text()["attention_bias"] = True
        with_all = rng.random() < 0.7
        for old in names:
            if old.endswith(("q_proj.weight", "k_proj.weight", "v_proj.weight", "o_proj.weight")):
                folder.tensors[old.replace("weight", "bias")] = Tensor(folder.tensors[old].shape[:1], 5)
        if not with_all:
            folder.tensors.pop(next(old for old in sorted(folder.tensors) if old.endswith("o_proj.bias")))
        name = str(with_all)
    folder.shards = {"model.safetensors": list(folder.tensors)}
    return f"{what} {name}"


def set_files(rng, folder):
    """Files under other names, an index and its shards, files beside them."""
    what = rng.choice(
        ["shards"] * 3
        + ["name", "index only", "both", "metadata", "map", "shard name", "beside", "no index", "subfolder"]
    )
    if what in ("shards", "metadata", "map", "shard name", "both"):
        folder.shard(rng.choice([1, 2, 3]))
    detail = ""
    if what == "name":
        detail = rng.choice(
            [
                "other.safetensors",
                "Model.safetensors",
                "model.fp16.safetensors",
                "model.safetensors.bak",
                "consolidated.safetensors",
                "adapter_model.safetensors",
            ]
        )
        folder.shards = {detail: list(folder.tensors)}
    elif what == "index only":
        folder.index = {"metadata": {}, "weight_map": {name: "model.safetensors" for name in folder.tensors}}
        folder.shards = (
            {"model.safetensors": list(folder.tensors)}
            if rng.random() < 0.5
            else {"other.safetensors": list(folder.tensors)}
        )
        if "other.safetensors" in folder.shards:
            folder.index["weight_map"] = {name: "other.safetensors" for name in folder.tensors}
    elif what == "both":
        folder.shards["model.safetensors"] = rng.choice([list(folder.tensors), list(folder.tensors)[:3]])
    elif what == "metadata":
        detail = rng.choice(
            [
                None,
                [],
                "x",
                1,
                {},
                {"total_size": "x"},
                {"total_size": None},
                "absent",
                {"a": {"b": 1}},
                {"format": "pt"},
                {"total_parameters": 5},
            ]
        )
        if detail == "absent":
            del folder.index["metadata"]
        else:
            folder.index["metadata"] = detail
    elif what == "map":
        places = folder.index["weight_map"]
        detail = rng.choice(
            [
                "absent",
                "null",
                "list",
                "missing file",
                "fewer",
                "more",
                "swapped",
                "number",
                "empty",
                "extra top",
                "up",
                "one file left out",
            ]
        )
        names = sorted(places)
        if detail == "absent":
            del folder.index["weight_map"]
        elif detail in ("null", "list", "empty"):
            folder.index["weight_map"] = {"null": None, "list": [], "empty": {}}[detail]
        elif detail == "missing file":
            places[names[0]] = "model-00009-of-00009.safetensors"
        elif detail == "fewer":
            del places[names[0]]
        elif detail == "more":
            places["extra.weight"] = places[names[0]]
        elif detail == "swapped":
            files = sorted(set(places.values()))
            places[names[0]] = files[-1] if places[names[0]] == files[0] else files[0]
        elif detail == "number":
            places[names[0]] = 7
        elif detail == "up":
            places[names[0]] = "./" + places[names[0]]
        elif detail == "one file left out":
            gone = sorted(set(places.values()))[-1]
            folder.index["weight_map"] = {name: file for name, file in places.items() if file != gone}
        elif detail == "extra top":
            folder.index["junk"] = [1]
    elif what == "shard name":
        old = sorted(folder.shards)[0]
        detail = rng.choice(["weights.bin", "a.SAFETENSORS", "part1.safetensors", "model.pt", "x"])
        folder.shards[detail] = folder.shards.pop(old)
        folder.index["weight_map"] = {
            name: detail if file == old else file for name, file in folder.index["weight_map"].items()
        }
    elif what == "beside":
        name, text = rng.choice(
            [
                ("generation_config.json", b"{}"),
                ("generation_config.json", b"[]"),
                ("generation_config.json", b"null"),
                ("generation_config.json", b"{"),
                ("generation_config.json", b'{"temperature": 0.6, "do_sample": true, "top_p": 0.95}'),
                ("generation_config.json", b'{"cache_implementation": "x"}'),
                ("adapter_config.json", b"{}"),
                ("pytorch_model.bin", b"junk"),
                ("README.md", b"# x"),
                ("configuration.json", b"[]"),
                ("processor_config.json", b"[]"),
                ("tokenizer_config.json", b"[]"),
                ("chat_template.jinja", b"{{ x"),
                ("preprocessor_config.json", b"{"),
                ("special_tokens_map.json", b"1"),
                ("model.safetensors.index.json", b"{}"),
                ("model.safetensors.index.json", b"junk"),
                ("config.py", b"1/0"),
                ("modeling_x.py", b"1/0"),
            ]
        )
        folder.files[name] = text
        detail = f"{name} {text!r}"
    elif what == "no index":
        folder.shard(rng.choice([1, 2]), index=False)
        detail = str(len(folder.shards))
    elif what == "subfolder":
        folder.shard(2)
        folder.shards = {f"w/{file}": names for file, names in folder.shards.items()}
        folder.index["weight_map"] = {name: f"w/{file}" for name, file in folder.index["weight_map"].items()}
    return f"{what} {detail}"


def set_code(rng, folder):
    """What auto_map names, and what is there."""
    good = "modeling_bitpack.BitpackForCausalLM"
    config = folder.config
    if folder.packed and rng.random() < 0.3:
        method = config["quantization_config"]
        name = rng.choice(["quant_method", "format_version", "scale_group_size", "rescue_group_size", "junk"])
        method[name] = rng.choice([1, 128, 0, 2, "bitpack", "gptq", None, 1.0, True])
        return f"{name} {method[name]!r}"
    value = rng.choice(
        [
            None,
            {},
            [],
            "x",
            good,
            {"AutoModelForCausalLM": good},
            {"AutoModelForCausalLM": None},
            {"AutoModelForCausalLM": [good]},
            {"AutoModelForCausalLM": "modeling_bitpack"},
            {"AutoModelForCausalLM": "modeling_bitpack.sub.BitpackForCausalLM"},
            {"AutoModelForCausalLM": "modeling_bitpack.Nope"},
            {"AutoModelForCausalLM": "nofile.BitpackForCausalLM"},
            {"AutoModelForCausalLM": "other--" + good},
            {"AutoModelForCausalLM": ""},
            {"AutoModelForCausalLM": "."},
            {"AutoModelForCausalLM": good, "AutoConfig": "nofile.Config"},
            {"AutoModelForCausalLM": good, "AutoConfig": None},
            {"AutoModelForCausalLM": good, "AutoTokenizer": ["x", None]},
            {"AutoConfig": "modeling_bitpack.Nope"},
            {"AutoModel": "nofile.X"},
            {"AutoModel": None},
            {"AutoTokenizer": "nofile.X"},
            {"automodelforcausallm": good},
            {"AutoModelForCausalLM ": good},
        ]
    )
    config["auto_map"] = value
    if rng.random() < 0.15 and folder.packed:
        folder.files.pop("modeling_bitpack.py", None)
    return f"auto_map {value!r}"


def set_type(rng, folder):
    folder.config["model_type"] = rng.choice(
        ["qwen3", "llama", "qwen3_5_text", "qwen2", "qwen3_moe", "mistral", "x", "", None, 1, "Qwen3", "gpt2", "mamba"]
    )
    return f"model_type {folder.config['model_type']!r}"


def make_model(rng):
    """A family name, what is odd, and the files."""
    packed = rng.random() < 0.25
    family = "qwen3" if packed else rng.choice(["qwen3"] * 4 + ["llama"] * 3 + ["qwen3_5_text"] * 2 + ["qwen3_5"] * 2)
    folder = Folder(family, packed, rng.choice([None, None, True, False]))
    changes = (
        [set_field] * 8
        + [set_other] * 5
        + [set_rope] * 5
        + [set_files] * 4
        + [set_code] * (6 if packed else 2)
        + [set_type] * (0 if packed else 1)
    )
    if not packed:
        changes += [set_heads] * 4 + [set_tensors] * 4
    if family == "qwen3_5":
        changes += [set_vision] * 4
    count = rng.choices([0, 1, 2, 3], [2, 70, 20, 8])[0]
    what = []
    for _ in range(count):
        change = rng.choice(changes)
        try:
            what.append(change(rng, folder))
        except (KeyError, AttributeError, TypeError, StopIteration):
            what.append(f"not {change.__name__}")
    return ("packed " if packed else "") + family, "; ".join(what) or "sound", folder.all()
