#!/usr/bin/env python3
"""Packs models of Qwen3.6-27B's widths; prints speed and peak memory.

    cargo build --release
    python3 tests/packing/large.py --bitgauge target/release/bitgauge --layers 1 3
    python3 tests/packing/large.py --bitgauge target/release/bitgauge --zip64
    python3 tests/packing/large.py --bitgauge target/release/bitgauge --mlx --layers 4 --python PYTHON

Not part of the default run: it writes some gigabytes. The largest matrix is the real one, 248320 x 5120.
Random shards are written piece by piece and packed under the binary budget. Fails when the packer's peak memory is
over 3 GB, when the archive is not within 0.1 % under its budget, or when models of different sizes are packed at
speeds that are more than 25 % apart.

With --mlx the model is Qwen3.6-27B's decoder as mlx-lm stores it, of 1 bit and a scale for every 128 inputs, cut to --layers.
It is packed as it is: every sign and scale, every norm and convolution of the artifact is compared with those that were
written. With --python, that of an environment with torch and transformers, it is loaded and rows of every matrix are compared.

With --zip64 the model is 16 GB of zeros, which are holes in its files, and the archive is over 4 GiB: read back by
Python's zipfile and by `bitgauge inspect`.
"""
import argparse
import array
import json
import math
import os
import pathlib
import random
import struct
import subprocess
import tempfile
import time
import zipfile

HIDDEN, INNER, VOCABULARY, HEADS, KV_HEADS, HEAD = 5120, 17408, 248320, 24, 4, 256
PIECE = 1 << 24  # bytes of random weights, repeated with another start in each place
PEAK_BYTES = 3_000_000_000
SPEEDS_APART = 0.25
ZIP64_LAYERS = 20
GROUP = 128


def config(layers):
    return {"model_type": "qwen3", "hidden_size": HIDDEN, "intermediate_size": INNER, "num_hidden_layers": layers,
            "num_attention_heads": HEADS, "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "vocab_size": VOCABULARY,
            "tie_word_embeddings": True, "rms_norm_eps": 1e-6, "rope_theta": 1e7}


def shards(layers):
    """The tensors of each file: [{name: shape}]."""
    files = [{"model.embed_tokens.weight": (VOCABULARY, HIDDEN), "model.norm.weight": (HIDDEN,)}]
    for layer in range(layers):
        p = f"model.layers.{layer}."
        files.append({
            p + "self_attn.q_proj.weight": (HEADS * HEAD, HIDDEN), p + "self_attn.k_proj.weight": (KV_HEADS * HEAD, HIDDEN),
            p + "self_attn.v_proj.weight": (KV_HEADS * HEAD, HIDDEN), p + "self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD),
            p + "self_attn.q_norm.weight": (HEAD,), p + "self_attn.k_norm.weight": (HEAD,),
            p + "mlp.gate_proj.weight": (INNER, HIDDEN), p + "mlp.up_proj.weight": (INNER, HIDDEN),
            p + "mlp.down_proj.weight": (HIDDEN, INNER),
            p + "input_layernorm.weight": (HIDDEN,), p + "post_attention_layernorm.weight": (HIDDEN,)})
    return files


def random_weights(seed):
    """BF16 of a bell curve: the upper halves of f32 values."""
    generator = random.Random(seed)
    values = [generator.gauss(0, 0.02) for _ in range(1 << 16)]
    halves = [struct.pack("<f", value)[2:] for value in values]
    return b"".join(generator.choices(halves, k=PIECE // 2))


def write(folder, layers, holes=False):
    """Writes the dense model, of random weights or of zeros that take no room on disk; returns its bytes."""
    piece, total, index = b"" if holes else random_weights(1), 0, {}
    generator = random.Random(2)
    for number, tensors in enumerate(shards(layers), 1):
        name = f"model-{number:05}-of-{layers + 1:05}.safetensors"
        header, end = {}, 0
        for tensor, shape in tensors.items():
            start, end = end, end + 2 * (shape[0] * (shape[1] if len(shape) > 1 else 1))
            header[tensor] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
            index[tensor] = name
        text = json.dumps(header).encode()
        with open(folder / name, "wb") as file:
            file.write(struct.pack("<Q", len(text)) + text)
            total += file.tell() + end
            if holes:
                file.truncate(file.tell() + end)
                continue
            while end > 0:
                start = 2 * generator.randrange(PIECE // 4)
                end -= file.write(piece[start:start + end])
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps(config(layers)))
    return total


def pack(bitgauge, folder, out, matrices, *arguments):
    """Packs; returns the summary, the use of resources, and the seconds after which calibration, the survey and all
    was done, by what lies in the packer's working folder."""
    work = out.parent / f".{out.name}.bitgauge-pack"
    done = [lambda: (work / "moments" / "sets.json").exists(),
            lambda: len(list((work / "survey").glob("*.f32"))) == matrices]
    begin, seconds = time.monotonic(), []
    process = subprocess.Popen([bitgauge, "pack", folder, out, *arguments, "--format", "json"], stdout=subprocess.PIPE,
                               text=True)
    pid = 0
    while pid == 0:
        time.sleep(0.1)
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if len(seconds) < len(done) and done[len(seconds)]():
            seconds.append(time.monotonic() - begin)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert status == 0, f"bitgauge pack: status {process.returncode}"
    return json.loads(process.stdout.read()), usage, [*seconds, time.monotonic() - begin]


def mlx_config(layers):
    """Qwen3.6-27B's config.json as mlx-lm writes it, with fewer layers."""
    config = json.loads((pathlib.Path(__file__).parents[1] / "fixtures/qwen3.6-27b.config.json").read_text())
    del config["auto_map"], config["quantization_config"]
    text = config["text_config"]
    text["num_hidden_layers"], text["layer_types"] = layers, text["layer_types"][:layers]
    # mlx-lm renames the field.
    text["rope_parameters"]["type"] = text["rope_parameters"].pop("rope_type")
    settings = {"group_size": GROUP, "bits": 1, "mode": "affine"}
    return config | {"quantization": settings, "quantization_config": settings}


def mlx_shards(text):
    """The tensors of each file, with the names and shapes of mlx-lm: [{name: shape}]."""
    hidden, inner, head = text["hidden_size"], text["intermediate_size"], text["head_dim"]
    queries, keys = text["num_attention_heads"] * head, text["num_key_value_heads"] * head
    delta_keys = text["linear_num_key_heads"] * text["linear_key_head_dim"]
    heads, delta_head = text["linear_num_value_heads"], text["linear_value_head_dim"]
    values, mixed = heads * delta_head, 2 * delta_keys + heads * delta_head
    p = "language_model."
    files = [{p + "model.embed_tokens.weight": (text["vocab_size"], hidden), p + "model.norm.weight": (hidden,)},
             {p + "lm_head.weight": (text["vocab_size"], hidden)}]
    for layer, kind in enumerate(text["layer_types"]):
        p = f"language_model.model.layers.{layer}."
        tensors = {
            p + "mlp.gate_proj.weight": (inner, hidden), p + "mlp.up_proj.weight": (inner, hidden),
            p + "mlp.down_proj.weight": (hidden, inner),
            p + "input_layernorm.weight": (hidden,), p + "post_attention_layernorm.weight": (hidden,)}
        if kind == "full_attention":
            p += "self_attn."
            tensors |= {
                p + "q_proj.weight": (2 * queries, hidden), p + "k_proj.weight": (keys, hidden),
                p + "v_proj.weight": (keys, hidden), p + "o_proj.weight": (hidden, queries),
                p + "q_norm.weight": (head,), p + "k_norm.weight": (head,)}
        else:
            p += "linear_attn."
            tensors |= {
                p + "in_proj_qkv.weight": (mixed, hidden), p + "in_proj_z.weight": (values, hidden),
                p + "in_proj_b.weight": (heads, hidden), p + "in_proj_a.weight": (heads, hidden),
                p + "out_proj.weight": (hidden, values), p + "conv1d.weight": (mixed, text["linear_conv_kernel_dim"], 1),
                p + "A_log": (heads,), p + "dt_bias": (heads,), p + "norm.weight": (delta_head,)}
        files.append(tensors)
    return files


def mlx_file(folder, file, tensors, index, piece, generator):
    """Writes one file of a model of MLX's. `index` gets the file of each tensor."""
    header, end, sources = {}, 0, []
    def add(name, dtype, shape, source):
        nonlocal end
        start, end = end, end + len(source)
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        index[name] = file
        sources.append(source)
    for tensor, shape in tensors.items():
        if len(shape) != 2:
            # From 0.5 to 2, and the same below zero for rates of decay.
            halves = array.array("H", (generator.randrange(0x3F00, 0x4000) for _ in range(math.prod(shape))))
            if tensor.endswith("A_log"):
                halves = array.array("H", (half | 0x8000 for half in halves))
            add(tensor, "BF16", shape, halves.tobytes())
            continue
        rows, cols = shape
        module = tensor.removesuffix(".weight")
        signs = generator.randbytes(rows * cols // 8)
        start = 2 * generator.randrange(len(piece) // 4)
        halves = (piece[start:] * (2 * rows * cols // GROUP // (len(piece) // 2) + 2))[:2 * rows * cols // GROUP]
        add(module + ".weight", "U32", (rows, cols // 32), signs)
        # The bias is minus half the scale: the exponent one less, the sign set.
        scales = array.array("H", halves)
        biases = array.array("H", [(half - 0x0400) | 0x8000 for half in scales])
        add(module + ".scales", "F16", (rows, cols // GROUP), scales.tobytes())
        add(module + ".biases", "F16", (rows, cols // GROUP), biases.tobytes())
    text = json.dumps(header).encode()
    with open(folder / file, "wb") as out:
        out.write(struct.pack("<Q", len(text)) + text)
        out.writelines(sources)
    return end


def read_tensors(file):
    """The header of a safetensors file, and where its data begins."""
    with open(file, "rb") as source:
        length = int.from_bytes(source.read(8), "little")
        return json.loads(source.read(length)), 8 + length


def bytes_of(file, name):
    header, start = read_tensors(file)
    begin, end = header[name]["data_offsets"]
    with open(file, "rb") as source:
        source.seek(start + begin)
        return source.read(end - begin)


def floats_of(file, name):
    """The numbers of a BF16 or F32 tensor."""
    raw = bytes_of(file, name)
    if read_tensors(file)[0][name]["dtype"] == "BF16":
        raw = b"".join(b"\0\0" + raw[at:at + 2] for at in range(0, len(raw), 2))
    return array.array("f", raw)


def expect_same(folder, out, index):
    """Compares signs and scales of the artifact with MLX's, and its vectors. Returns how many matrices and vectors there were."""
    weights, matrices, vectors = out / "model.safetensors", 0, 0
    for name in [name for name in index if name.endswith(".scales")]:
        module = name.removesuffix(".scales")
        own = module.removeprefix("language_model.")
        assert bytes_of(weights, own + ".weight.sign") == bytes_of(folder / index[name], module + ".weight"), module
        halves = array.array("H", bytes_of(folder / index[name], name))
        scales = array.array("H", [half - 0x0400 for half in halves])
        found = bytes_of(weights, own + ".weight.scale")
        assert found == scales.tobytes(), module
        assert found[2:] + found[:2] != scales.tobytes(), "scales in another order went unnoticed"
        matrices += 1
    modules = {name.removesuffix(".scales") for name in index if name.endswith(".scales")}
    for name in [name for name in index if name.rsplit(".", 1)[0] not in modules]:
        stored, found = floats_of(folder / index[name], name), floats_of(weights, name.removeprefix("language_model."))
        # A checkpoint has norms as their difference from 1, but for those of the delta rule; a convolution's bytes lie alike.
        is_centred = name.endswith("norm.weight") and not name.endswith("linear_attn.norm.weight")
        assert found.tolist() == [value - 1 if is_centred else value for value in stored], name
        assert found.tolist() != [value if is_centred else value - 1 for value in stored], "other norms went unnoticed"
        vectors += 1
    return matrices, vectors


# Loads the artifact, and compares two rows of every matrix with what MLX's words stand for.
LOAD = """
import json, pathlib, sys, torch, transformers
from safetensors import safe_open
out, folder = map(pathlib.Path, sys.argv[1:])
model = transformers.AutoModelForCausalLM.from_pretrained(out, trust_remote_code=True, dtype=torch.float16)
count = sum(parameter.numel() for parameter in model.parameters())
index = json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]
state, compared = model.state_dict(), 0
for name in [name for name in index if name.endswith(".scales")]:
    module = name.removesuffix(".scales")
    own = module.removeprefix("language_model.") + ".weight"
    with safe_open(folder / index[name], "pt") as file:
        words, scales, biases = (file.get_slice(f"{module}.{part}")[:2] for part in ("weight", "scales", "biases"))
    codes = (words.view(torch.int32)[..., None] >> torch.arange(32)) & 1
    codes = codes.view(2, scales.shape[1], -1).half()
    rows = (codes * scales[..., None] + biases[..., None]).view(2, -1)
    found = [value for key, value in state.items() if key.replace("language_model.", "") == own]
    assert len(found) == 1 and torch.equal(found[0][:2].cpu(), rows), own
    assert not torch.equal(found[0][:2].cpu(), rows.flip(0)), "rows in another order went unnoticed"
    compared += 1
print(f"transformers {transformers.__version__}: {count:,} parameters; rows of {compared} matrices: the same values")
"""


def mlx(options, layers):
    """Packs a model of MLX's as it is."""
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        folder, out = pathlib.Path(root) / "mlx", pathlib.Path(root) / "packed"
        folder.mkdir()
        generator, index, source = random.Random(3), {}, 0
        # Halves of 1/64 to 1/16, log-uniform.
        piece = struct.pack("<65536H", *(generator.randrange(0x2400, 0x2C00) for _ in range(1 << 16)))
        config = mlx_config(layers)
        files = mlx_shards(config["text_config"])
        for number, tensors in enumerate(files, 1):
            file = f"model-{number:05}-of-{len(files):05}.safetensors"
            source += mlx_file(folder, file, tensors, index, piece, generator)
        (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
        (folder / "config.json").write_text(json.dumps(config))
        print(f"\nsource: {source:,} bytes of MLX in {len(files)} files, {layers} layers; {machine()}", flush=True)
        summary, usage, seconds = pack(options.bitgauge, folder, out, 0)
        peak = 1024 * usage.ru_maxrss
        print(f"packed: {summary['bytes']:,} bytes, {summary['bits_per_parameter']:.4f} bits a parameter, in "
              f"{seconds[-1]:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of CPU time; peak memory {peak / 1e6:.1f} MB")
        assert summary["exact"] == summary["packed"] and summary["rounded"] == 0
        matrices, vectors = expect_same(folder, out, index)
        assert matrices == summary["packed"]
        print(f"{matrices} matrices: the same signs and scales; {vectors} vectors: the same numbers", flush=True)
        assert peak <= PEAK_BYTES
        result = subprocess.run([options.bitgauge, "inspect", out, "--format", "json"], stdout=subprocess.PIPE)
        report = json.loads(result.stdout)
        print(f"bitgauge inspect: {report['verdict']}, {report['model']['parameters']:,} parameters", flush=True)
        assert report["verdict"] == "eligible"
        if options.python:
            subprocess.run([options.python, "-c", LOAD, out, folder], check=True)


def machine():
    return f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"


def budget(options, layers):
    """Packs a random model under the binary budget. Returns the speed in source bytes per second of CPU time."""
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        folder, out = pathlib.Path(root) / "dense", pathlib.Path(root) / "packed.zip"
        folder.mkdir()
        source = write(folder, layers)
        print(f"\nsource: {source:,} bytes in {layers + 1} files; {machine()}", flush=True)
        summary, usage, seconds = pack(options.bitgauge, folder, out, 7 * layers + 1, "--budget", "binary", "--fit",
                                       options.fit)
        limit, size = summary["budget_bytes"], summary["bytes"]
        wall, cpu, peak = seconds[-1], usage.ru_utime + usage.ru_stime, 1024 * usage.ru_maxrss
        print(f"packed: {size:,} of {limit:,} bytes ({limit - size:,} spare) in {wall:.1f} s, "
              f"{cpu:.1f} s of CPU time; {machine()}")
        if len(seconds) == 3:
            for name, begin, end in zip(["calibration", "survey", "coding"], [0, *seconds], seconds):
                print(f"  {name}: {end - begin:.1f} s, {source / (end - begin) / 1e6:.1f} MB/s")
        print(f"all: {source / wall / 1e6:.1f} MB/s, {source / cpu / 1e6:.1f} MB per second of CPU time; "
              f"peak memory {peak / 1e6:.1f} MB", flush=True)
        assert size == out.stat().st_size and 0.999 * limit < size <= limit
        assert peak <= PEAK_BYTES
        return source / cpu


def zip64(options):
    """Packs zeros into an archive of more than 4 GiB and reads it back."""
    with tempfile.TemporaryDirectory(dir=options.folder) as root:
        folder, out = pathlib.Path(root) / "dense", pathlib.Path(root) / "packed.zip"
        folder.mkdir()
        source = write(folder, ZIP64_LAYERS, holes=True)
        print(f"source: {source:,} bytes of holes; {machine()}", flush=True)
        summary, usage, seconds = pack(options.bitgauge, folder, out, 0, "--bases", "4", "--fit", "mean")
        size, peak = out.stat().st_size, 1024 * usage.ru_maxrss
        print(f"packed: {size:,} bytes in {seconds[-1]:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of CPU time; "
              f"peak memory {peak / 1e6:.1f} MB", flush=True)
        assert size == summary["bytes"] and size > 1 << 32 and peak <= PEAK_BYTES
        with open(out, "rb") as file:
            file.seek(-512, os.SEEK_END)
            end = file.read()
        records = {"end of central directory": b"PK\5\6", "zip64 end of central directory": b"PK\6\6",
                   "its locator": b"PK\6\7"}
        print("last 512 bytes:", ", ".join(name for name, signature in records.items() if signature in end))
        assert all(signature in end for signature in records.values())
        with zipfile.ZipFile(out) as archive:
            for member in archive.infolist():
                print(f"  {member.filename:24} {member.file_size:>13,} bytes, {member.compress_size:>13,} stored, "
                      f"header at {member.header_offset:,}, CRC-32 {member.CRC:08x}, version {member.extract_version}")
            damaged = archive.testzip()
            print(f"zipfile.testzip(): {damaged}", flush=True)
            assert damaged is None and max(member.file_size for member in archive.infolist()) > 1 << 32
        result = subprocess.run([options.bitgauge, "inspect", out], stdout=subprocess.PIPE, text=True)
        print(f"bitgauge inspect: status {result.returncode}\n{result.stdout}")
        assert result.returncode == 1, "4.5 bits per weight are over the limits, and nothing else is wrong"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bitgauge", required=True)
    parser.add_argument("--layers", type=int, nargs="+", default=[1, 3], help="one model for each number")
    parser.add_argument("--fit", default="output", help="how `bitgauge pack` chooses signs")
    parser.add_argument("--zip64", action="store_true", help="write an archive of more than 4 GiB instead")
    parser.add_argument("--mlx", action="store_true", help="pack a model of MLX's with 1 bit instead")
    parser.add_argument("--python", help="with --mlx: the Python of an environment with transformers, to load the artifact")
    parser.add_argument("--folder", help="where the models are written; default: the system's temporary folder")
    options = parser.parse_args()
    if options.zip64:
        return zip64(options)
    if options.mlx:
        return [mlx(options, layers) for layers in options.layers]
    speeds = [budget(options, layers) for layers in options.layers]
    assert max(speeds) <= (1 + SPEEDS_APART) * min(speeds), f"time is not proportional to bytes: {speeds}"


if __name__ == "__main__":
    main()
