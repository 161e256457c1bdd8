"""Loads a model in the bitpack format: sign planes with scales, and 4-bit rescue rows.

    AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, dtype=torch.float16)

The result is the ordinary transformers model that config.json names, with dense parameters of the
wanted dtype. Weights are unpacked one after the other, so no second copy of the model exists.
Needs torch, transformers and safetensors. The format is described in bitgauge's FORMAT.md.
"""

import copy
import json
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn
from transformers import AutoModelForCausalLM, PreTrainedModel

PARTS = ("sign", "scale", "rescue_rows", "rescue_code", "rescue_scale")
RESCUE_GROUP = 128
ROWS_AT_ONCE = 4096


class BitpackForCausalLM(PreTrainedModel):
    """What config.json's auto_map names. Only `from_pretrained` is its own."""

    @classmethod
    def from_pretrained(cls, folder, *_, config, **options):
        quantization = config.quantization_config
        if not isinstance(quantization, dict):
            quantization = quantization.to_dict()
        if quantization["quant_method"] != "bitpack" or quantization["format_version"] != 1:
            raise ValueError(f"not the bitpack format, version 1: {quantization}")
        dtype = options.get("dtype") or options.get("torch_dtype") or torch.float32
        if dtype == "auto":
            dtype = getattr(config, "dtype", None) or torch.float32
        if isinstance(dtype, str):
            dtype = getattr(torch, dtype)
        device = single_device(options.get("device_map"))
        with parameters_without_memory():
            model = AutoModelForCausalLM.from_config(dense_config(config))
        load_weights(model, Path(folder), quantization["scale_group_size"], dtype, device)
        return model.to(device).eval()


def dense_config(config):
    """The text model's config without what makes it a packed model."""
    config = copy.deepcopy(config.get_text_config())
    for name in ("quantization_config", "auto_map"):
        if hasattr(config, name):
            delattr(config, name)
    return config


def single_device(device_map):
    """The one device that everything goes to."""
    if isinstance(device_map, dict):
        if len(set(device_map.values())) != 1:
            raise ValueError(f"the bitpack loader uses one device, not {device_map}")
        device_map = next(iter(device_map.values()))
    if device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        device_map = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device("cpu" if device_map is None else device_map)


@contextmanager
def parameters_without_memory():
    """Modules made inside get parameters on the meta device; buffers stay real."""
    register = nn.Module.register_parameter

    def register_on_meta(module, name, parameter):
        register(module, name, parameter)
        if parameter is not None:
            module._parameters[name] = nn.Parameter(parameter.to("meta"), requires_grad=False)

    nn.Module.register_parameter = register_on_meta
    try:
        yield
    finally:
        nn.Module.register_parameter = register


def load_weights(model, folder, scale_group, dtype, device):
    """Fills every parameter, one tensor of the files at a time."""
    missing = set(dict(model.named_parameters()))
    for file in weight_files(folder):
        with safe_open(file, "pt") as tensors:
            for name, parts in weights_in(tensors.keys()).items():
                target = name.replace("model.language_model.", "model.")
                if target not in missing:
                    raise ValueError(f"{file.name}: {name} is no weight of this model, or stored twice")
                if parts:
                    stored = {part: tensors.get_tensor(f"{name}.{part}") for part in parts}
                    weight = unpack(stored, model.get_parameter(target).shape, scale_group, dtype)
                else:
                    weight = tensors.get_tensor(name).to(dtype)
                put_parameter(model, target, weight.to(device))
                missing.discard(target)
    model.tie_weights()
    left = [name for name, parameter in model.named_parameters() if parameter.is_meta]
    if left:
        raise ValueError(f"weights that no file holds: {', '.join(left)}")


def weight_files(folder):
    """The one file, or the shards that the index names."""
    single, index = folder / "model.safetensors", folder / "model.safetensors.index.json"
    if single.exists():
        return [single]
    return [folder / name for name in sorted(set(json.loads(index.read_text())["weight_map"].values()))]


def weights_in(names):
    """{weight: its parts}; a weight that is not packed has none."""
    weights = {}
    for name in names:
        weight, _, part = name.rpartition(".")
        if part in PARTS:
            weights.setdefault(weight, []).append(part)
        else:
            weights[name] = []
    return weights


def put_parameter(model, name, weight):
    module, _, leaf = name.rpartition(".")
    module = model.get_submodule(module)
    if module._parameters[leaf].shape != weight.shape:
        raise ValueError(f"{name}: expected {tuple(module._parameters[leaf].shape)}, found {tuple(weight.shape)}")
    module._parameters[leaf] = nn.Parameter(weight, requires_grad=False)


def unpack(stored, shape, scale_group, dtype):
    """The dense weight [N, K] of its stored parts, evaluated in float32."""
    rows, columns = shape
    weight = torch.empty(rows, columns, dtype=dtype)
    rescued = stored.get("rescue_rows", torch.empty(0)).to(torch.int64)
    is_binary = torch.ones(rows, dtype=torch.bool)
    is_binary[rescued] = False
    binary = is_binary.nonzero().flatten()
    for start in range(0, len(binary), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        sign, scale = stored["sign"][:, part], stored["scale"][:, part]
        weight[binary[part]] = unpack_signs(sign, scale, columns, scale_group).to(dtype)
    for start in range(0, len(rescued), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        code, scale = stored["rescue_code"][part], stored["rescue_scale"][part]
        weight[rescued[part]] = unpack_codes(code, scale, columns).to(dtype)
    return weight


def unpack_signs(sign, scale, columns, scale_group):
    """sign is [B, M, bytes], scale is [B, M, groups]; the sum of the bases, [M, columns]."""
    bits = (sign.unsqueeze(-1) >> torch.arange(8, dtype=torch.uint8)) & 1
    signs = bits.flatten(2)[..., :columns].to(torch.float32).mul_(2).sub_(1)
    scales = scale.to(torch.float32)
    if scale_group:
        scales = scales.repeat_interleave(scale_group, dim=-1)[..., :columns]
    total = signs[0] * scales[0]
    for basis in range(1, len(signs)):
        total += signs[basis] * scales[basis]
    return total


def unpack_codes(code, scale, columns):
    """code is [R, bytes] of two 4-bit numbers, the lower first; scale is [R, groups]."""
    nibbles = torch.stack((code & 15, code >> 4), dim=-1).flatten(1)[:, :columns].to(torch.int16)
    signed = torch.where(nibbles > 7, nibbles - 16, nibbles).to(torch.float32)
    return signed * scale.to(torch.float32).repeat_interleave(RESCUE_GROUP, dim=-1)[:, :columns]
