"""Small model folders that differ from sound ones in a field, a file or a tensor. Used by models.py."""

import json
import math
import pathlib
import struct

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures" / "loader"
ROWS = 48
NAN, INFINITE = math.nan, math.inf

QWEN3 = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "vocab_size": ROWS,
    "rms_norm_eps": 1e-6,
    "rope_theta": 10000.0,
    "hidden_act": "silu",
    "attention_bias": False,
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "initializer_range": 0.02,
    "use_cache": True,
}
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "vocab_size": ROWS,
    "rms_norm_eps": 1e-5,
    "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0},
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "tie_word_embeddings": False,
    "mlp_bias": False,
    "attention_bias": False,
    "pad_token_id": None,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "dtype": "float32",
    "pretraining_tp": 1,
}
HYBRID = {
    "model_type": "qwen3_5_text",
    "hidden_size": 16,
    "intermediate_size": 20,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 16,
    "vocab_size": ROWS,
    "rms_norm_eps": 1e-6,
    "layer_types": ["linear_attention", "full_attention"],
    "linear_conv_kernel_dim": 4,
    "linear_key_head_dim": 8,
    "linear_num_key_heads": 1,
    "linear_num_value_heads": 2,
    "linear_value_head_dim": 8,
    "hidden_act": "silu",
    "max_position_embeddings": 64,
    "tie_word_embeddings": True,
    "attention_bias": False,
    "rope_parameters": {
        "rope_type": "default",
        "rope_theta": 10000.0,
        "partial_rotary_factor": 0.25,
        "mrope_section": [1, 1, 0],
        "mrope_interleaved": True,
    },
}
NESTED = {
    "architectures": ["Qwen3_5ForConditionalGeneration"],
    "model_type": "qwen3_5",
    "tie_word_embeddings": True,
    "image_token_id": 40,
    "video_token_id": 41,
    "vision_start_token_id": 42,
    "vision_end_token_id": 43,
    "text_config": HYBRID,
    "vision_config": {
        "depth": 1,
        "hidden_size": 16,
        "intermediate_size": 24,
        "num_heads": 2,
        "in_channels": 3,
        "patch_size": 2,
        "spatial_merge_size": 2,
        "temporal_patch_size": 2,
        "out_hidden_size": 16,
        "num_position_embeddings": 16,
        "hidden_act": "gelu_pytorch_tanh",
        "initializer_range": 0.02,
    },
}
CONFIGS = {"qwen3": QWEN3, "llama": LLAMA, "qwen3_5_text": HYBRID, "qwen3_5": NESTED}


def values(seed, count):
    """Multiples of 1/64: every type of float holds them, and xz packs them well."""
    state, out = seed & 0xFFFFFFFF, []
    for _ in range(count):
        state = (state * 1664525 + 1013904223) & 0xFFFFFFFF
        out.append(((state >> 24) % 33 - 16) / 64)
    return out


def shapes(config):
    """The tensors of a model, without its head."""
    text = config.get("text_config", config)
    prefix = "model.language_model." if "text_config" in config else "model."
    width, inner = text["hidden_size"], text["intermediate_size"]
    heads, kv = text["num_attention_heads"], text["num_key_value_heads"]
    dim = text.get("head_dim", width // heads)
    is_hybrid = "linear_conv_kernel_dim" in text
    found = {"embed_tokens.weight": [ROWS, width], "norm.weight": [width]}
    for layer in range(text["num_hidden_layers"]):
        own = {
            "input_layernorm.weight": [width],
            "post_attention_layernorm.weight": [width],
            "mlp.gate_proj.weight": [inner, width],
            "mlp.up_proj.weight": [inner, width],
            "mlp.down_proj.weight": [width, inner],
        }
        if is_hybrid and text["layer_types"][layer] == "linear_attention":
            key, value = text["linear_num_key_heads"], text["linear_num_value_heads"]
            keys, all_values = key * text["linear_key_head_dim"], value * text["linear_value_head_dim"]
            own |= {
                "linear_attn.A_log": [value],
                "linear_attn.dt_bias": [value],
                "linear_attn.conv1d.weight": [2 * keys + all_values, 1, text["linear_conv_kernel_dim"]],
                "linear_attn.in_proj_qkv.weight": [2 * keys + all_values, width],
                "linear_attn.in_proj_z.weight": [all_values, width],
                "linear_attn.in_proj_a.weight": [value, width],
                "linear_attn.in_proj_b.weight": [value, width],
                "linear_attn.norm.weight": [text["linear_value_head_dim"]],
                "linear_attn.out_proj.weight": [width, all_values],
            }
        else:
            gates = 2 if is_hybrid else 1
            own |= {
                "self_attn.q_proj.weight": [gates * heads * dim, width],
                "self_attn.k_proj.weight": [kv * dim, width],
                "self_attn.v_proj.weight": [kv * dim, width],
                "self_attn.o_proj.weight": [width, heads * dim],
            }
            if text["model_type"] != "llama":
                own |= {"self_attn.q_norm.weight": [dim], "self_attn.k_norm.weight": [dim]}
        found |= {f"layers.{layer}.{name}": shape for name, shape in own.items()}
    return {prefix + name: shape for name, shape in found.items()}


class Tensor:
    """A tensor of multiples of 1/64, or of given bytes."""

    def __init__(self, shape, seed=0, dtype="BF16", data=None, shift=0):
        self.shape, self.seed, self.dtype, self.data, self.shift = shape, seed, dtype, data, shift

    def bytes(self):
        if self.data is not None:
            return self.data
        numbers = [self.shift + number for number in values(self.seed, math.prod(self.shape))]
        code = {"F32": "f", "F64": "d", "F16": "e", "I8": "b", "U8": "B", "F8_E4M3": "B"}.get(self.dtype)
        if self.dtype == "BF16":
            return b"".join(struct.pack("<f", number)[2:] for number in numbers)
        if code in ("b", "B"):
            numbers = [int(abs(number) * 64) for number in numbers]
        return struct.pack(f"<{len(numbers)}{code}", *numbers)


def safetensors(tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        piece = tensor.bytes()
        header[name] = {
            "dtype": tensor.dtype,
            "shape": tensor.shape,
            "data_offsets": [len(data), len(data) + len(piece)],
        }
        data += piece
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def read_safetensors(data):
    length = int.from_bytes(data[:8], "little")
    header, found = json.loads(data[8 : 8 + length]), {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            found[name] = Tensor(entry["shape"], 0, entry["dtype"], data[8 + length + begin : 8 + length + end])
    return found


def seed_of(name):
    number = 0
    for byte in name.encode():
        number = (number * 31 + byte) & 0xFFFFFFFF
    return number


class Folder:
    """A model folder in the making: configuration, tensors by file, other files."""

    def __init__(self, family, packed=False, tied=None):
        self.family, self.packed = family, packed
        self.files, self.index = {}, None
        if packed:
            read = lambda name: (FIXTURES / name).read_bytes()
            self.config = json.loads(read("config-91cb141f.json"))
            self.tensors = read_safetensors(read("weights-e95cb680.safetensors"))
            self.tensors |= read_safetensors(read("weights-517b57fb.safetensors"))
            self.files["modeling_bitpack.py"] = (
                FIXTURES.parents[2] / "core/src/format/modeling_bitpack.py"
            ).read_bytes()
        else:
            self.config = json.loads(json.dumps(CONFIGS[family]))
            # Norms near 1, as they are stored everywhere but in Qwen3.5's decoder.
            shift = lambda name: int(
                name.endswith("norm.weight") and (family in ("qwen3", "llama") or "linear" in name)
            )
            self.tensors = {
                name: Tensor(shape, seed_of(name), shift=shift(name)) for name, shape in shapes(self.config).items()
            }
            text = self.config.get("text_config", self.config)
            if tied is not None:
                text["tie_word_embeddings"] = tied
            if not text["tie_word_embeddings"]:
                self.tensors["lm_head.weight"] = Tensor([ROWS, text["hidden_size"]], 7)
        self.shards = {"model.safetensors": list(self.tensors)}

    def with_fields(self, other):
        """The odd fields of another model's configuration, whose sizes this one does not have."""
        for name, value in other.items():
            if name not in self.config or not isinstance(value, (int, float)) or isinstance(value, bool):
                self.config[name] = value
        for name in ("rms_norm_eps", "pad_token_id"):
            self.config |= {name: other[name]} if name in other else {}
        return self

    def text(self):
        """The fields of the decoder."""
        return self.config["text_config"] if self.family == "qwen3_5" else self.config

    def shard(self, count, index=True):
        """Spreads the tensors over files with an index."""
        names, shards = list(self.tensors), {}
        for number in range(count):
            shards[f"model-{number + 1:05}-of-{count:05}.safetensors"] = names[number::count]
        self.shards = shards
        if index:
            places = {name: file for file, held in shards.items() for name in held}
            self.index = {"metadata": {"total_size": 1}, "weight_map": places}

    def all(self):
        """Every file, by name."""
        files = {}
        if self.config is not None:
            files["config.json"] = json.dumps(self.config, indent=1).encode()
        for file, names in self.shards.items():
            held = {name: self.tensors[name] for name in names if name in self.tensors}
            if len(self.shards) == 1:
                held |= {name: tensor for name, tensor in self.tensors.items() if name not in held}
            files[file] = safetensors(held)
        if self.index is not None:
            files["model.safetensors.index.json"] = json.dumps(self.index, indent=1).encode()
        return files | self.files
