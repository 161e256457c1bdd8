#!/usr/bin/env python3
"""Compares the losses of llama.cpp and bitgauge on GGUF files of random weights, token for token.

    pip install gguf numpy
    npm pack @node-llama-cpp/linux-x64 && tar xf node-llama-cpp-linux-x64-*.tgz
    cargo build --release
    python3 bench/llama_cpp_loss.py package/bins/linux-x64 target/release/bitgauge

For each architecture (qwen3, qwen35, llama) llama.cpp's own package writes a file with 1-bit matrices,
some in Q4_0, Q8_0, F16 and BF16 beside them, and a second one with the same values in F32. Both sides
get the same bytes as token ids.

- llama.cpp on the F32 file against bitgauge on the quantized one: every format is decoded right and the
  forward pass is the same. llama.cpp keeps keys and values in f16, hence the bound.
- Both on the quantized file: llama.cpp also rounds activations to 8 bits there.
- A file of other weights must not pass either.
"""

import argparse
import json
import math
import subprocess
import tempfile
from pathlib import Path

import gguf
import numpy as np

import llama_cpp

HIDDEN, MLP, HEADS, KV_HEADS, HEAD_DIM, VOCAB, LAYERS = 256, 384, 4, 2, 64, 384, 4
KEY_HEADS, VALUE_HEADS, STATE, TAPS, ROTARY = 2, 6, 64, 4, 16
DOCUMENTS, TOKENS = 16, 512
TYPES = gguf.GGMLQuantizationType
# Bounds on the difference of the mean loss, in nats.
QUANTIZED, EXACT = 2e-3, 1e-4


def texts():
    """Documents of random printable characters; no spaces, since those at either end are no part of a document."""
    characters = np.random.default_rng(3).integers(33, 127, (DOCUMENTS, TOKENS), dtype=np.uint8)
    return [document.tobytes().decode() for document in characters]


class Writer:
    def __init__(self, path, architecture, exact, seed):
        self.file, self.exact = gguf.GGUFWriter(path, architecture), exact
        self.rng = np.random.default_rng(seed)
        write = self.file
        write.add_context_length(4096)
        write.add_embedding_length(HIDDEN)
        write.add_block_count(LAYERS)
        write.add_feed_forward_length(MLP)
        write.add_head_count(HEADS)
        write.add_head_count_kv(KV_HEADS)
        write.add_key_length(HEAD_DIM)
        write.add_value_length(HEAD_DIM)
        write.add_rope_freq_base(1e6)
        write.add_layer_norm_rms_eps(1e-6)
        write.add_vocab_size(VOCAB)
        write.add_tokenizer_model("none")

    def matrix(self, name, rows, columns, kind="Q1_0"):
        if kind == "Q1_0":
            # The same draws make the same signs and scales in either form.
            raw = llama_cpp.packed_matrix(self.rng, rows, columns, "f16" if self.exact else "q1_0")
            dense = raw.astype(np.float32) if self.exact else None
        else:
            # Not only signs, so that every code of the format occurs.
            values = (self.rng.standard_normal((rows, columns)) / math.sqrt(columns)).astype(np.float32)
            raw = gguf.quants.quantize(values, TYPES[kind])
            dense = gguf.quants.dequantize(raw, TYPES[kind]).astype(np.float32)
        if self.exact:
            self.file.add_tensor(name + ".weight", dense)
        else:
            self.file.add_tensor(name + ".weight", raw, raw_dtype=TYPES[kind])

    def vector(self, name, values):
        self.file.add_tensor(name, np.asarray(values, np.float32))

    def norm(self, name, length):
        self.vector(name + ".weight", 1 + 0.2 * self.rng.standard_normal(length))

    def attention(self, block, gated, normed):
        self.matrix(f"{block}.attn_q", HEADS * HEAD_DIM * (2 if gated else 1), HIDDEN)
        self.matrix(f"{block}.attn_k", KV_HEADS * HEAD_DIM, HIDDEN)
        self.matrix(f"{block}.attn_v", KV_HEADS * HEAD_DIM, HIDDEN, "Q8_0")
        self.matrix(f"{block}.attn_output", HIDDEN, HEADS * HEAD_DIM, "BF16")
        if normed:
            self.norm(f"{block}.attn_q_norm", HEAD_DIM)
            self.norm(f"{block}.attn_k_norm", HEAD_DIM)

    def delta_net(self, block):
        keys, values = KEY_HEADS * STATE, VALUE_HEADS * STATE
        self.matrix(f"{block}.attn_qkv", 2 * keys + values, HIDDEN)
        self.matrix(f"{block}.attn_gate", values, HIDDEN)
        self.matrix(f"{block}.ssm_beta", VALUE_HEADS, HIDDEN, "F16")
        self.matrix(f"{block}.ssm_alpha", VALUE_HEADS, HIDDEN, "F16")
        self.vector(f"{block}.ssm_conv1d.weight", 0.5 * self.rng.standard_normal((2 * keys + values, TAPS)))
        self.vector(f"{block}.ssm_a", -np.exp(self.rng.uniform(-4, 2, VALUE_HEADS)))
        self.vector(f"{block}.ssm_dt.bias", self.rng.standard_normal(VALUE_HEADS))
        self.norm(f"{block}.ssm_norm", STATE)
        self.matrix(f"{block}.ssm_out", HIDDEN, values)

    def finish(self):
        self.file.write_header_to_file()
        self.file.write_kv_data_to_file()
        self.file.write_tensors_to_file()
        self.file.close()


def write(path, architecture, exact, seed=1):
    """Writes a model of random weights."""
    writer = Writer(path, architecture, exact, seed)
    hybrid = architecture == "qwen35"
    writer.file.add_rope_dimension_count(ROTARY if hybrid else HEAD_DIM)
    if hybrid:
        writer.file.add_rope_dimension_sections([3, 3, 2, 0])
        writer.file.add_full_attention_interval(4)
        writer.file.add_ssm_conv_kernel(TAPS)
        writer.file.add_ssm_state_size(STATE)
        writer.file.add_ssm_group_count(KEY_HEADS)
        writer.file.add_ssm_time_step_rank(VALUE_HEADS)
        writer.file.add_ssm_inner_size(VALUE_HEADS * STATE)
    writer.matrix("token_embd", VOCAB, HIDDEN)
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        writer.norm(f"{block}.attn_norm", HIDDEN)
        if hybrid and layer % 4 != 3:
            writer.delta_net(block)
        else:
            writer.attention(block, hybrid, architecture != "llama")
        writer.norm(f"{block}.{'post_attention_norm' if hybrid else 'ffn_norm'}", HIDDEN)
        writer.matrix(f"{block}.ffn_gate", MLP, HIDDEN)
        writer.matrix(f"{block}.ffn_up", MLP, HIDDEN)
        writer.matrix(f"{block}.ffn_down", HIDDEN, MLP, "Q4_0")
    writer.norm("output_norm", HIDDEN)
    writer.matrix("output", VOCAB, HIDDEN, "F16")
    writer.finish()


def loss_of_llama_cpp(libraries, path):
    """Mean loss in nats; the documents' bytes plus one are the ids."""
    llama_cpp.VOCAB = VOCAB
    model = llama_cpp.Model(libraries, path, 2, TOKENS)
    total = 0.0
    for text in texts():
        ids = np.array([byte + 1 for byte in text.encode()])
        total += llama_cpp.loss_sum(model.logits(ids)[:-1], ids[1:])
    return total / (DOCUMENTS * (TOKENS - 1))


def loss_of_bitgauge(binary, path, folder):
    documents = Path(folder) / "documents.json"
    documents.write_text(json.dumps(texts()))
    command = [binary, "eval", path, "--documents", documents, "--tokenizer", "byte-utf8", "--max-tokens", TOKENS]
    result = subprocess.run([*map(str, command), "--device", "cpu", "--format", "json"], capture_output=True, text=True)
    if result.returncode not in (0, 1):
        raise SystemExit(f"bitgauge: {result.stderr}")
    return json.loads(result.stdout)["evaluation"]["cross_entropy_nats"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", type=Path, help="folder with libllama and libggml")
    parser.add_argument("bitgauge", type=Path)
    asked = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        for architecture in ("qwen3", "qwen35", "llama"):
            exact, quantized, other = (Path(folder) / f"{architecture}-{name}.gguf" for name in ("f32", "q", "other"))
            write(exact, architecture, True)
            write(quantized, architecture, False)
            write(other, architecture, False, seed=2)
            ours, others = (loss_of_bitgauge(asked.bitgauge, path, folder) for path in (quantized, other))
            for name, path, bound in (("F32", exact, EXACT), ("quantized", quantized, QUANTIZED)):
                theirs = loss_of_llama_cpp(asked.libraries.resolve(), path)
                fits = abs(ours - theirs) <= bound < abs(others - theirs)
                failed += not fits
                print(
                    f"{'ok  ' if fits else 'FAIL'} {architecture}: llama.cpp, {name} {theirs:.6f}, bitgauge {ours:.6f}, "
                    f"off by {abs(ours - theirs):.1e} (bound {bound:.0e}); other weights {others:.6f}"
                )
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
