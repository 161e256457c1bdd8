#!/usr/bin/env python3
"""Times bitgauge beside whatever of llama.cpp and transformers is installed, on the same weights and token ids.

    pip install gguf numpy                                   # and torch, transformers, matplotlib where wanted
    npm pack @node-llama-cpp/linux-x64 && tar xf node-llama-cpp-linux-x64-*.tgz
    cargo build --release
    python3 bench/side_by_side.py target/release/bitgauge --device cpu --shapes qwen3-0.6b \\
        --llama CPU=package/bins/linux-x64 --plot times.svg

Each job is a shape, a number of documents and their length. Its model is written as GGUF Q1_0 with random signs and
scales (`--keep FOLDER` keeps it for the next time); documents are random printable characters, whose bytes plus one
are the ids. Every side runs in a process of its own and gives the loss of every position; sides run in turns, as often
as `--rounds` says, and the best of each counts. What is timed is the evaluation: from ids to losses, without loading
and, for the sides that compile or warm up, after one document.

- bitgauge: `--device`, as for `bitgauge eval`.
- llama.cpp: one side for each `--llama NAME=FOLDER` with libllama and libggml (CPU, CUDA, Vulkan packages).
- transformers: with `--transformers`, in f16 on CUDA, or in f32 on the CPU; its weights are the file's, decoded.

The mean losses are printed so that everybody sees that it is the same job; they differ by what each side rounds.
`--plot` draws time against tokens and against the model's size.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

import llama_cpp

# Hidden, MLP, layers, query heads, tied; all have 8 key/value heads of 128 channels and the same vocabulary.
SHAPES = {
    "tiny": (256, 512, 4, 2, True),
    "qwen3-0.6b": (1024, 3072, 28, 16, True),
    "qwen3-1.7b": (2048, 6144, 28, 16, True),
    "qwen3-4b": (2560, 9728, 36, 32, True),
    "qwen3-8b": (4096, 12288, 36, 32, False),
}
HEAD_DIM, KV_HEADS, VOCAB, EPS, THETA = 128, 8, 151_936, 1e-6, 1e6


def kv_heads(shape):
    return min(KV_HEADS, SHAPES[shape][3])


def matrices(shape):
    """(GGUF name, transformers name, rows, columns) of every matrix."""
    hidden, mlp, layers, heads, tied = SHAPES[shape]
    width, kv_width = heads * HEAD_DIM, kv_heads(shape) * HEAD_DIM
    yield "token_embd", "model.embed_tokens", VOCAB, hidden
    for layer in range(layers):
        for gguf_name, name, rows, columns in [
            ("attn_q", "self_attn.q_proj", width, hidden),
            ("attn_k", "self_attn.k_proj", kv_width, hidden),
            ("attn_v", "self_attn.v_proj", kv_width, hidden),
            ("attn_output", "self_attn.o_proj", hidden, width),
            ("ffn_gate", "mlp.gate_proj", mlp, hidden),
            ("ffn_up", "mlp.up_proj", mlp, hidden),
            ("ffn_down", "mlp.down_proj", hidden, mlp),
        ]:
            yield f"blk.{layer}.{gguf_name}", f"model.layers.{layer}.{name}", rows, columns
    if not tied:
        yield "output", "lm_head", VOCAB, hidden


def norms(shape):
    """(GGUF name, transformers name, length) of every norm."""
    hidden, _, layers, _, _ = SHAPES[shape]
    for layer in range(layers):
        for gguf_name, name, length in [
            ("attn_norm", "input_layernorm", hidden),
            ("attn_q_norm", "self_attn.q_norm", HEAD_DIM),
            ("attn_k_norm", "self_attn.k_norm", HEAD_DIM),
            ("ffn_norm", "post_attention_layernorm", hidden),
        ]:
            yield f"blk.{layer}.{gguf_name}", f"model.layers.{layer}.{name}", length
    yield "output_norm", "model.norm", hidden


def parameters(shape):
    return sum(rows * columns for _, _, rows, columns in matrices(shape))


def values(shape):
    """(names, whether a matrix, the matrix in Q1_0 or the norm) in a fixed order, each made when it is asked for."""
    rng = np.random.default_rng(1)
    for gguf_name, name, rows, columns in matrices(shape):
        yield gguf_name, name, True, llama_cpp.packed_matrix(rng, rows, columns, "q1_0")
    for gguf_name, name, length in norms(shape):
        yield gguf_name, name, False, (1 + 0.1 * rng.standard_normal(length)).astype(np.float32)


def write(path, shape):
    """Writes the model as GGUF."""
    import gguf

    hidden, mlp, layers, heads, _ = SHAPES[shape]
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_context_length(40_960)
    writer.add_embedding_length(hidden)
    writer.add_block_count(layers)
    writer.add_feed_forward_length(mlp)
    writer.add_head_count(heads)
    writer.add_head_count_kv(kv_heads(shape))
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_freq_base(THETA)
    writer.add_layer_norm_rms_eps(EPS)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("none")
    for name, _, is_matrix, value in values(shape):
        kind = gguf.GGMLQuantizationType.Q1_0 if is_matrix else None
        writer.add_tensor(f"{name}.weight", value, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def texts(documents, tokens):
    """Documents of random printable characters."""
    characters = np.random.default_rng(3).integers(32, 127, (documents, tokens), dtype=np.uint8)
    return [document.tobytes().decode() for document in characters]


def ids(documents, tokens):
    return [np.array([byte + 1 for byte in text.encode()]) for text in texts(documents, tokens)]


# --- The sides: each prints {"seconds", "loss", "device"} as its last line ------------------------


def run_llama(asked):
    llama_cpp.VOCAB = VOCAB
    tokens = asked.tokens
    model = llama_cpp.Model(Path(asked.libraries).resolve(), asked.model, asked.threads, tokens)
    corpus = ids(asked.documents, tokens)
    model.logits(corpus[0])
    began, total = time.perf_counter(), 0.0
    for document in corpus:
        logits = model.logits(document)
        blocks = range(0, tokens - 1, 64)
        total += sum(
            llama_cpp.loss_sum(logits[s : min(s + 64, tokens - 1)], document[1:][s : s + 64]) for s in blocks
        )
    seconds = time.perf_counter() - began
    return {"seconds": seconds, "loss": total / (asked.documents * (tokens - 1)), "device": asked.libraries}


def run_transformers(asked):
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    torch.set_num_threads(asked.threads)
    hidden, mlp, layers, heads, tied = SHAPES[asked.shape]
    on_gpu = torch.cuda.is_available()
    device, dtype = ("cuda", torch.float16) if on_gpu else ("cpu", torch.float32)
    config = Qwen3Config(
        vocab_size=VOCAB, hidden_size=hidden, intermediate_size=mlp, num_hidden_layers=layers,
        num_attention_heads=heads, num_key_value_heads=kv_heads(asked.shape), head_dim=HEAD_DIM, rms_norm_eps=EPS,
        rope_theta=THETA, tie_word_embeddings=tied, max_position_embeddings=40_960,
    )
    with torch.device("meta"):
        model = Qwen3ForCausalLM(config)
    model = model.to(dtype).to_empty(device=device)
    # What config.json says of positions is computed, not stored.
    model.model.rotary_emb = type(model.model.rotary_emb)(config).to(device)
    weights = dict(model.named_parameters())
    for _, name, is_matrix, value in values(asked.shape):
        if is_matrix:
            blocks = value.reshape(value.shape[0], -1, 18)
            scale = np.ascontiguousarray(blocks[:, :, :2]).view(np.float16)
            signs = np.unpackbits(np.ascontiguousarray(blocks[:, :, 2:]), axis=2, bitorder="little")
            value = np.where(signs == 1, scale, -scale).reshape(value.shape[0], -1)
        weights[f"{name}.weight"].data.copy_(torch.from_numpy(np.ascontiguousarray(value)))
    model.eval()

    def sync():
        if on_gpu:
            torch.cuda.synchronize()

    corpus = [torch.from_numpy(document)[None].to(device) for document in ids(asked.documents, asked.tokens)]
    batches = [torch.cat(corpus[i : i + asked.batch]) for i in range(0, len(corpus), asked.batch)]
    with torch.inference_mode():
        model(batches[0])
        sync()
        began, total = time.perf_counter(), 0.0
        for batch in batches:
            logits = model(batch).logits
            for row, targets in zip(logits, batch):
                loss = torch.nn.functional.cross_entropy(row[:-1].float(), targets[1:], reduction="sum")
                total += float(loss)
        sync()
    seconds = time.perf_counter() - began
    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    return {"seconds": seconds, "loss": total / (asked.documents * (asked.tokens - 1)), "device": name}


def run_bitgauge(asked, model, documents, tokens, folder):
    path = Path(folder) / f"documents-{documents}-{tokens}.json"
    path.write_text(json.dumps(texts(documents, tokens)))
    command = [asked.bitgauge, "eval", model, "--documents", path, "--tokenizer", "byte-utf8", "--max-tokens", tokens]
    command += ["--device", asked.device, "--format", "json"]
    if asked.device == "cpu":
        command += ["--threads", asked.threads]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    try:
        evaluation = json.loads(result.stdout)["evaluation"]
    except (ValueError, KeyError):
        raise SystemExit(f"bitgauge: {result.stderr}") from None
    return {"seconds": evaluation["seconds"], "loss": evaluation["cross_entropy_nats"], "device": evaluation["device"]}


def run_child(asked, side, shape, model, documents, tokens):
    """A side in a process of its own."""
    command = [sys.executable, __file__, "--child", side, "--shape", shape, "--model", model]
    command += ["--documents", documents, "--tokens", tokens, "--threads", asked.threads, "--batch", asked.batch]
    if side != "transformers":
        command += ["--libraries", asked.llama[side]]
    result = subprocess.run([*map(str, command)], capture_output=True, text=True)
    lines = result.stdout.strip().splitlines()
    if result.returncode or not lines:
        raise SystemExit(f"{side}: {result.stderr or result.stdout}")
    return json.loads(lines[-1])


# --- The table and the plot ------------------------------------------------------------------------


def measure(asked, folder):
    """{(shape, documents, tokens): {side: [results]}}, sides by turns."""
    sides = ["bitgauge", *asked.llama, *(["transformers"] if asked.transformers else [])]
    jobs = [(shape, d, t) for shape in asked.shapes for d in asked.documents for t in asked.tokens]
    results = {job: {side: [] for side in sides} for job in jobs}
    for shape, documents, tokens in jobs:
        model = Path(asked.keep or folder) / f"{shape}.gguf"
        if not model.exists():
            partial = model.with_suffix(".part")
            write(partial, shape)
            partial.rename(model)
        for _ in range(asked.rounds):
            for side in sides:
                if side == "bitgauge":
                    result = run_bitgauge(asked, model, documents, tokens, folder)
                else:
                    result = run_child(asked, side, shape, model, documents, tokens)
                results[shape, documents, tokens][side].append(result)
                print(f"  {shape} {documents} x {tokens} {side}: {result['seconds']:.3f} s", file=sys.stderr)
    return results


def table(results):
    print(f"{'job':26} {'side':14} {'best, s':>9} {'median, s':>9} {'of the best peer':>17} {'mean loss':>10}")
    for (shape, documents, tokens), sides in results.items():
        best = {side: min(r["seconds"] for r in runs) for side, runs in sides.items()}
        peers = [seconds for side, seconds in best.items() if side != "bitgauge"]
        for side, runs in sides.items():
            ratio = f"{best[side] / min(peers):.2f}" if peers else "-"
            median = statistics.median(r["seconds"] for r in runs)
            job = f"{shape} {documents} x {tokens}"
            print(f"{job:26} {side:14} {best[side]:9.3f} {median:9.3f} {ratio:>17} {runs[0]['loss']:10.6f}")
    for side, runs in next(iter(results.values())).items():
        print(f"{side}: {runs[0]['device']}")


def plot(results, path):
    import matplotlib

    matplotlib.use("svg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    sides = list(next(iter(results.values())))
    shapes = list(dict.fromkeys(shape for shape, _, _ in results))
    by_tokens, by_size = {}, {}
    for (shape, documents, tokens), runs in results.items():
        for side in sides:
            best = min(r["seconds"] for r in runs[side])
            label = side if len(shapes) == 1 else f"{side}, {shape}"
            by_tokens.setdefault(label, []).append((documents * tokens, best))
            by_size.setdefault(side, []).append((parameters(shape) / 1e9, best / (documents * tokens) * 1e3))
    for axis, lines, x, y in [
        (axes[0], by_tokens, "tokens", "seconds"),
        (axes[1], by_size, "parameters, billions", "milliseconds a token"),
    ]:
        for label, points in lines.items():
            axis.plot(*zip(*sorted(points)), marker="o", label=label)
        axis.set(xlabel=x, ylabel=y, xscale="log", yscale="log")
        axis.grid(True, which="both", alpha=0.3)
        axis.legend()
    figure.tight_layout()
    figure.savefig(path)
    print(f"plot: {path}")


def main():
    if "--child" in sys.argv:
        child = argparse.ArgumentParser()
        for name, kind in [("child", str), ("shape", str), ("model", Path), ("libraries", str), ("documents", int)]:
            child.add_argument(f"--{name}", type=kind)
        for name in ("tokens", "threads", "batch"):
            child.add_argument(f"--{name}", type=int)
        asked = child.parse_args()
        result = run_transformers(asked) if asked.child == "transformers" else run_llama(asked)
        print(json.dumps(result))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bitgauge", type=Path)
    parser.add_argument("--device", default="auto", help="for bitgauge: auto, cpu, gpu")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=["qwen3-0.6b"])
    parser.add_argument("--documents", nargs="+", type=int, default=[16])
    parser.add_argument("--tokens", nargs="+", type=int, default=[512])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2, help="on the CPU")
    parser.add_argument("--llama", nargs="*", default=[], metavar="NAME=FOLDER")
    parser.add_argument("--transformers", action="store_true")
    parser.add_argument("--batch", type=int, default=8, help="documents a pass of transformers")
    parser.add_argument("--keep", type=Path, help="folder for the models")
    parser.add_argument("--plot", type=Path, help="SVG to write; needs matplotlib")
    asked = parser.parse_args()
    asked.llama = dict(named.split("=", 1) for named in asked.llama)
    with tempfile.TemporaryDirectory() as folder:
        results = measure(asked, folder)
    table(results)
    if asked.plot:
        plot(results, asked.plot)


if __name__ == "__main__":
    main()
