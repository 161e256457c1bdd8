"""The bitpack artifact format, version 1 (FORMAT.md), for numpy: pack, unpack, and the budget.

A weight is one sign bit per entry with an f16 scale per row or per group of columns; chosen rows
("rescue rows") are 4-bit codes with an f16 scale per 128 columns. One basis (B = 1) is written.
"""
import io
import json
import math
import pathlib
import zipfile

import numpy as np
import safetensors.numpy

RESCUE_GROUP = 128  # columns per scale of a rescue row
BITS_PER_PARAMETER = 1.3125  # the artifact's budget: 0.9 * 1 + 0.1 * (4 + 16 / 128)
LARGEST_RESCUE_SHARE = 0.10  # of the parameters, weights left unpacked included
SMALLEST_SCALE = 2.0 ** -14  # the smallest normal f16: a stored scale is never 0
LOADER = pathlib.Path(__file__).parent.parent / "core" / "src" / "format" / "modeling_bitpack.py"
ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def f16_scale(values):
    """Scales as stored: rounded to f16, and never 0."""
    return np.maximum(values, SMALLEST_SCALE).astype(np.float16)


def grouped(rows, group, fill=0.0):
    """rows [N, K] as [N, ceil(K / group), group], the last group padded with `fill`."""
    count, width = rows.shape
    groups = -(-width // group)
    padded = np.pad(rows, ((0, 0), (0, groups * group - width)), constant_values=fill)
    return padded.reshape(count, groups, group)


def encode(name, weight, rescue, scale_group):
    """The stored tensors of one weight.

    weight f32 [N, K], rescue bool [N], scale_group columns per sign scale, 0 for the whole row.
    Binary rows become sign(w) * mean|w|; rescue rows round(w / s) * s with s = max|w| / 7.
    """
    width = weight.shape[1]
    tensors = {}
    binary = weight[~rescue]
    if len(binary):
        planes = np.packbits(grouped(binary, 32, fill=-1.0) >= 0, axis=-1, bitorder="little")
        group = scale_group or width
        totals = grouped(np.abs(binary), group).sum(-1, dtype=np.float64)
        columns = np.minimum(group, width - group * np.arange(totals.shape[1]))
        tensors[f"{name}.sign"] = planes.reshape(1, len(binary), -1)
        tensors[f"{name}.scale"] = f16_scale(totals / columns)[None]
    if rescue.any():
        groups = grouped(weight[rescue], RESCUE_GROUP)
        scale = f16_scale(np.abs(groups).max(-1) / 7)
        codes = np.clip(np.rint(groups / scale.astype(np.float32)[..., None]), -7, 7).astype(np.int8)
        nibbles = codes.reshape(len(codes), -1)[:, :width + width % 2].view(np.uint8) & 15
        tensors[f"{name}.rescue_rows"] = np.flatnonzero(rescue).astype(np.uint32)
        tensors[f"{name}.rescue_code"] = nibbles[:, 0::2] | nibbles[:, 1::2] << 4
        tensors[f"{name}.rescue_scale"] = scale
    return tensors


def decode(name, tensors, width, scale_group):
    """The dense f32 [N, width] weight of a packed one, in any number of bases."""
    sign = tensors.get(f"{name}.sign", np.zeros((1, 0, 0), np.uint8))
    rows = tensors.get(f"{name}.rescue_rows", np.zeros(0, np.uint32)).astype(np.int64)
    rescue = np.zeros(sign.shape[1] + len(rows), bool)
    rescue[rows] = True
    weight = np.empty((len(rescue), width), np.float32)
    if sign.shape[1]:
        signs = np.unpackbits(sign, axis=-1, bitorder="little")[:, :, :width].astype(np.float32) * 2 - 1
        scale = tensors[f"{name}.scale"].astype(np.float32)
        weight[~rescue] = (signs * np.repeat(scale, scale_group or width, axis=2)[:, :, :width]).sum(0)
    if len(rows):
        code = tensors[f"{name}.rescue_code"]
        nibbles = np.stack([code & 15, code >> 4], -1).reshape(len(rows), -1)[:, :width].astype(np.int8)
        scale = tensors[f"{name}.rescue_scale"].astype(np.float32)
        weight[rescue] = np.where(nibbles > 7, nibbles - 16, nibbles) * np.repeat(scale, RESCUE_GROUP, axis=1)[:, :width]
    return weight


def pack(config, weights, rescue, scale_group, tokenizer):
    """The artifact as zip bytes; the same input gives the same bytes.

    weights {name: f32 array}: the 2-D ones are packed, the others stored as f16.
    rescue {name of a 2-D weight: bool [N]}. tokenizer is the text of tokenizer.json.
    """
    tensors = {}
    for name, weight in weights.items():
        if weight.ndim == 2:
            tensors.update(encode(name, weight, rescue[name], scale_group))
        else:
            tensors[name] = weight.astype(np.float16)
    config = dict(config, auto_map={"AutoModelForCausalLM": "modeling_bitpack.BitpackForCausalLM"},
                  quantization_config={
                      "quant_method": "bitpack", "format_version": 1,
                      "scale_group_size": scale_group, "rescue_group_size": RESCUE_GROUP})
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    return archive(config, tokenizer, safetensors.numpy.save(tensors))


def archive(config, tokenizer, weights):
    """The zip of a packed model, with the code that transformers loads it with."""
    members = [("config.json", json.dumps(config, indent=2).encode() + b"\n", zipfile.ZIP_DEFLATED),
               ("modeling_bitpack.py", LOADER.read_bytes(), zipfile.ZIP_DEFLATED),
               ("tokenizer.json", tokenizer.encode(), zipfile.ZIP_DEFLATED),
               ("model.safetensors", weights, zipfile.ZIP_STORED)]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        for name, data, method in members:
            member = zipfile.ZipInfo(name, ZIP_TIME)
            member.external_attr = 0o644 << 16
            file.writestr(member, data, method, compresslevel=9)
    return out.getvalue()


def unpack(data):
    """(config, {name: dense f32 weight}, text of tokenizer.json) of an artifact's zip bytes."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        config = json.loads(archive.read("config.json"))
        tokenizer = archive.read("tokenizer.json").decode()
        tensors = safetensors.numpy.load(archive.read("model.safetensors"))
    scale_group = config["quantization_config"]["scale_group_size"]
    packed = {name.rsplit(".", 1)[0] for name in tensors if name.endswith((".sign", ".rescue_code"))}
    weights = {name: array.astype(np.float32) for name, array in tensors.items()
               if name.rsplit(".", 1)[0] not in packed}
    for name in packed:
        width = config["intermediate_size"] if "down_proj" in name else config["hidden_size"]
        if "o_proj" in name:
            width = config["num_attention_heads"] * config["head_dim"]
        weights[name] = decode(name, tensors, width, scale_group)
    return config, weights, tokenizer


def parameters(weights):
    """Logical parameters, a tied head counted once."""
    return sum(weight.size for weight in weights.values())


def budget_bytes(count):
    """The largest artifact that `count` parameters may have, in whole bytes."""
    return math.ceil(count * BITS_PER_PARAMETER) // 8


def row_cost_bits(width, scale_group):
    """How many more bits a rescue row of `width` columns takes than a binary row."""
    scales = -(-width // scale_group) if scale_group else 1
    binary = 8 * 4 * -(-width // 32) + 16 * scales
    return 8 * -(-width // 2) + 16 * -(-width // RESCUE_GROUP) + 32 - binary


def rescue_share(weights, rescue):
    """Share of the parameters stored with more than one bit: rescue rows and unpacked tensors."""
    high = sum(int(rescue[name].sum()) * weight.shape[1] if weight.ndim == 2 else weight.size
               for name, weight in weights.items())
    return high / parameters(weights)


def check_budget(data, weights, rescue):
    """Asserts that the artifact is within its size budget and rescue limit; returns the spare bytes."""
    spare = budget_bytes(parameters(weights)) - len(data)
    share = rescue_share(weights, rescue)
    assert spare >= 0, f"the artifact is {-spare} bytes over its budget"
    assert share <= LARGEST_RESCUE_SHARE, f"{share:.4f} of the parameters are rescued"
    assert len(data) <= 4_000_000, f"the artifact has {len(data)} bytes"
    return spare
