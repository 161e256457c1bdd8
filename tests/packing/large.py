#!/usr/bin/env python3
"""Packs a random model of Qwen3.6-27B's widths under the binary budget; prints speed and peak memory.

    cargo build --release
    python3 tests/packing/large.py --bitgauge target/release/bitgauge --layers 1

Not part of the default run: it writes some gigabytes. The largest matrix is the real one, 248320 x 5120.
Shards are written piece by piece. Fails when the packer's peak memory is over 3 GB or the archive is
not within 0.1 % under its budget.
"""
import argparse
import json
import os
import pathlib
import random
import resource
import struct
import subprocess
import tempfile
import time

HIDDEN, INNER, VOCABULARY, HEADS, KV_HEADS, HEAD = 5120, 17408, 248320, 24, 4, 256
PIECE = 1 << 24  # bytes of random weights, repeated with another start in each place
PEAK_BYTES = 3_000_000_000


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


def write(folder, layers):
    """Writes the dense model; returns its bytes."""
    piece, total, index = random_weights(1), 0, {}
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
            while end > 0:
                start = 2 * generator.randrange(PIECE // 4)
                end -= file.write(piece[start:start + end])
            total += file.tell()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    (folder / "config.json").write_text(json.dumps(config(layers)))
    return total


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bitgauge", required=True)
    parser.add_argument("--layers", type=int, default=1)
    parser.add_argument("--fit", default="output", help="how `bitgauge pack` chooses signs")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as root:
        folder, out = pathlib.Path(root) / "dense", pathlib.Path(root) / "packed.zip"
        folder.mkdir()
        source = write(folder, options.layers)
        print(f"source: {source:,} bytes in {options.layers + 1} files, {os.cpu_count()} cores", flush=True)
        begin = time.monotonic()
        result = subprocess.run([options.bitgauge, "pack", folder, out, "--budget", "binary", "--fit", options.fit,
                                 "--format", "json"], check=True, stdout=subprocess.PIPE, text=True)
        seconds = time.monotonic() - begin
        peak = 1024 * resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        summary = json.loads(result.stdout)
        budget, size = summary["budget_bytes"], summary["bytes"]
        print(f"packed: {size:,} of {budget:,} bytes ({budget - size:,} spare) in {seconds:.1f} s")
        print(f"read twice: {2 * source / seconds / 1e6:.1f} MB/s; peak memory {peak / 1e6:.1f} MB")
        assert size == out.stat().st_size and 0.999 * budget < size <= budget
        assert peak <= PEAK_BYTES


if __name__ == "__main__":
    main()
