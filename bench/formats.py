#!/usr/bin/env python3
"""Times models in other writers' formats beside the packed artifact of the same shape, in turns in one run.

    cargo build --release
    python3 bench/formats.py target/release/bitgauge FOLDER --shape qwen3-8b

Writes what FOLDER lacks: random but valid weights as bitpack, as GGUF Q4_K and as an MLX folder of 1 bit (about 1.3, 4.7
and 1.4 GB for qwen3-8b). Then `bitgauge bench --artifact` and `bitgauge inspect` of each, in turns, and the medians' ratios to
the packed artifact: tokens/s of evaluation, time of loading and bytes/s of it, bytes/s of `inspect`. A ratio over 1 is
faster than the packed artifact. Needs nothing beside Python; the table is printed anew after each round. The first round warms the files and the kernels and does not count.
"""
import argparse
import array
import json
import os
import pathlib
import statistics
import struct
import subprocess
import sys
import time

# Hidden, MLP width, layers, query heads, tied; 8 key/value heads of 128 channels and this vocabulary.
SHAPES = {
    "qwen3-0.6b": (1024, 3072, 28, 16, True), "qwen3-1.7b": (2048, 6144, 28, 16, True),
    "qwen3-4b": (2560, 9728, 36, 32, True), "qwen3-8b": (4096, 12288, 36, 32, False),
}
VOCABULARY, KV_HEADS, HEAD, GROUP = 151_936, 8, 128, 128
F32, Q4_K, ALIGNMENT = 0, 12, 32
PIECE_ROWS = 4096


def tensors(shape, layers):
    """(name in a checkpoint, name in GGUF, shape) of each tensor."""
    hidden, inner, all_layers, heads, tied = SHAPES[shape]
    yield "model.embed_tokens", "token_embd", (VOCABULARY, hidden)
    for layer in range(layers or all_layers):
        p, g = f"model.layers.{layer}.", f"blk.{layer}."
        for name, gguf, sizes in [
            ("self_attn.q_proj", "attn_q", (heads * HEAD, hidden)), ("self_attn.k_proj", "attn_k", (KV_HEADS * HEAD, hidden)),
            ("self_attn.v_proj", "attn_v", (KV_HEADS * HEAD, hidden)), ("self_attn.o_proj", "attn_output", (hidden, heads * HEAD)),
            ("self_attn.q_norm", "attn_q_norm", (HEAD,)), ("self_attn.k_norm", "attn_k_norm", (HEAD,)),
            ("mlp.gate_proj", "ffn_gate", (inner, hidden)), ("mlp.up_proj", "ffn_up", (inner, hidden)),
            ("mlp.down_proj", "ffn_down", (hidden, inner)), ("input_layernorm", "attn_norm", (hidden,)),
            ("post_attention_layernorm", "ffn_norm", (hidden,)),
        ]:
            yield p + name, g + gguf, sizes
    yield "model.norm", "output_norm", (hidden,)
    if not tied:
        yield "lm_head", "output", (VOCABULARY, hidden)


def ones(count):
    return array.array("f", [1.0] * count).tobytes()


def halves(value, count):
    return struct.pack("<e", value) * count


def pieces(rows, cols, bytes_of):
    """The bytes of a matrix, some rows at a time."""
    for first in range(0, rows, PIECE_ROWS):
        yield bytes_of(min(PIECE_ROWS, rows - first) * cols)


def q4_k(count):
    """Random blocks of 256 values between about -0.1 and 0.1."""
    blocks = count // 256
    data = bytearray(os.urandom(144 * blocks))
    for at, byte in enumerate(struct.pack("<ee", 2e-4, 1.5e-3)):
        data[at::144] = bytes([byte]) * blocks
    return data


def write_gguf(path, shape, layers):
    hidden, inner, all_layers, heads, _ = SHAPES[shape]

    def text(value):
        return struct.pack("<Q", len(value)) + value.encode()

    u32, f32 = 4, 6
    keys = [("general.architecture", 8, text("qwen3"))]
    for name, value in [
        ("block_count", layers or all_layers), ("embedding_length", hidden), ("feed_forward_length", inner),
        ("attention.head_count", heads), ("attention.head_count_kv", KV_HEADS), ("attention.key_length", HEAD),
        ("attention.value_length", HEAD), ("rope.dimension_count", HEAD), ("context_length", 40960),
    ]:
        keys.append((f"qwen3.{name}", u32, struct.pack("<I", value)))
    for name, value in [("attention.layer_norm_rms_epsilon", 1e-6), ("rope.freq_base", 1e6)]:
        keys.append((f"qwen3.{name}", f32, struct.pack("<f", value)))
    listed = list(tensors(shape, layers))
    header = b"GGUF" + struct.pack("<IQQ", 3, len(listed), len(keys))
    header += b"".join(text(name) + struct.pack("<I", kind) + value for name, kind, value in keys)
    end = 0
    for _, name, sizes in listed:
        kind = Q4_K if len(sizes) == 2 else F32
        header += text(name + ".weight") + struct.pack("<I", len(sizes))
        header += b"".join(struct.pack("<Q", size) for size in reversed(sizes)) + struct.pack("<IQ", kind, end)
        elements = sizes[0] * (sizes[1] if len(sizes) == 2 else 1)
        end += elements // 256 * 144 if kind == Q4_K else 4 * elements
        end += -end % ALIGNMENT
    with open(path, "wb") as file:
        file.write(header + bytes(-len(header) % ALIGNMENT))
        for _, _, sizes in listed:
            parts = pieces(*sizes, q4_k) if len(sizes) == 2 else [ones(sizes[0])]
            for part in parts:
                file.write(part)
            file.write(bytes(-file.tell() % ALIGNMENT))


def write_mlx(path, shape, layers):
    hidden, inner, all_layers, heads, tied = SHAPES[shape]
    header, sources, end = {}, [], 0

    def add(name, dtype, sizes, length, source):
        nonlocal end
        header[name] = {"dtype": dtype, "shape": sizes, "data_offsets": [end, end + length]}
        sources.append(source)
        end += length

    for name, _, sizes in tensors(shape, layers):
        if len(sizes) == 1:
            add(name + ".weight", "F32", sizes, 4 * sizes[0], lambda sizes=sizes: [ones(sizes[0])])
            continue
        rows, cols = sizes
        groups = cols // GROUP
        signs = lambda rows=rows, cols=cols: pieces(rows, cols, lambda count: os.urandom(count // 8))
        add(name + ".weight", "U32", (rows, cols // 32), rows * cols // 8, signs)
        for suffix, value in ("scales", 0.04), ("biases", -0.02):
            same = lambda value=value, count=rows * groups: [halves(value, count)]
            add(f"{name}.{suffix}", "F16", (rows, groups), 2 * rows * groups, same)
    path.mkdir()
    config = {
        "model_type": "qwen3", "hidden_size": hidden, "intermediate_size": inner, "num_hidden_layers": layers or all_layers,
        "num_attention_heads": heads, "num_key_value_heads": KV_HEADS, "head_dim": HEAD, "vocab_size": VOCABULARY,
        "tie_word_embeddings": tied, "rms_norm_eps": 1e-6, "rope_theta": 1e6,
        "quantization": {"group_size": GROUP, "bits": 1, "mode": "affine"},
    }
    (path / "config.json").write_text(json.dumps(config))
    text = json.dumps(header).encode()
    with open(path / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for source in sources:
            file.writelines(source())


def size_of(path):
    return sum(file.stat().st_size for file in path.iterdir()) if path.is_dir() else path.stat().st_size


def timed_bench(options, path):
    command = [options.bitgauge, "--format", "json", "bench", "--shape", options.shape, "--artifact", path,
               "--documents", options.documents, "--tokens", options.tokens, "--device", options.device]
    command += ["--layers", options.layers] if options.layers else []
    result = json.loads(subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, check=True).stdout)
    return result["tokens_per_second"], result["load"]["seconds"], result["device"]


def timed_inspect(options, path):
    begin = time.monotonic()
    done = subprocess.run([options.bitgauge, "inspect", path], stdout=subprocess.DEVNULL, check=False)
    assert done.returncode in (0, 1, 3), f"inspect {path}: status {done.returncode}"
    return size_of(path) / (time.monotonic() - begin)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("bitgauge")
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--shape", choices=SHAPES, default="qwen3-8b")
    parser.add_argument("--layers", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--documents", type=int, default=64)
    parser.add_argument("--tokens", type=int, default=512)
    parser.add_argument("--device", default="gpu")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    name = options.shape + (f"-{options.layers}" if options.layers else "")
    # The packed one is written by the first `bench`.
    forms = {"bitpack": options.folder / f"{name}-bitpack", "GGUF Q4_K": options.folder / f"{name}-q4_k.gguf",
             "MLX 1 bit": options.folder / f"{name}-mlx"}
    begin = time.monotonic()
    for form, write in ("GGUF Q4_K", write_gguf), ("MLX 1 bit", write_mlx):
        if not forms[form].exists():
            write(forms[form], options.shape, options.layers)
            print(f"{time.monotonic() - begin:6.1f} s: {form} is written", file=sys.stderr, flush=True)
    found = {form: {"tokens/s": [], "load s": [], "inspect B/s": []} for form in forms}
    for count in range(options.rounds + 1):
        for form, path in forms.items():
            speed, load, device = timed_bench(options, path)
            inspected = timed_inspect(options, path)
            print(f"{time.monotonic() - begin:6.1f} s, round {count}: {form}: {speed:.1f} tokens/s, load {load:.2f} s, "
                  f"inspect {inspected / 1e9:.2f} GB/s", file=sys.stderr, flush=True)
            if count > 0:
                for what, value in ("tokens/s", speed), ("load s", load), ("inspect B/s", inspected):
                    found[form][what].append(value)
        if count > 0:
            show(f"{name}, {options.documents} x {options.tokens} tokens, {count} rounds in turns; {device}", forms, found)


def show(title, forms, found):
    """The medians so far, so that a run that is cut off leaves a table, too."""
    print(title)
    print(f"{'':10}{'bytes':>15}{'tokens/s':>11}{'ratio':>7}{'load s':>9}{'ratio':>7}{'GB/s':>7}{'ratio':>7}"
          f"{'inspect GB/s':>14}{'ratio':>7}")
    middle = {form: {what: statistics.median(values) for what, values in of.items()} for form, of in found.items()}
    sizes = {form: size_of(path) for form, path in forms.items()}
    base = middle["bitpack"]
    for form, of in middle.items():
        rate, base_rate = sizes[form] / of["load s"], sizes["bitpack"] / base["load s"]
        print(f"{form:10}{sizes[form]:>15,}{of['tokens/s']:>11.1f}{of['tokens/s'] / base['tokens/s']:>7.2f}"
              f"{of['load s']:>9.2f}{base['load s'] / of['load s']:>7.2f}{rate / 1e9:>7.2f}{rate / base_rate:>7.2f}"
              f"{of['inspect B/s'] / 1e9:>14.2f}{of['inspect B/s'] / base['inspect B/s']:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
