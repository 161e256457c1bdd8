#!/usr/bin/env python3
"""Times llama.cpp on the job that `bitgauge bench --shape qwen3-0.6b --device cpu` does.

The job: documents of random tokens, prefill only, the loss of every next token. The model has the
shape of Qwen3-0.6B and random weights: one sign per weight and one f16 scale per 128 of them, the
same ones in each format, so that the losses of two formats can be compared as well.

    pip install gguf numpy
    npm pack @node-llama-cpp/linux-x64                # llama.cpp's own libraries, already built
    tar xf node-llama-cpp-linux-x64-*.tgz

    python3 bench/llama_cpp.py write model.gguf --format f16          # or bf16, or q1_0
    python3 bench/llama_cpp.py run package/bins/linux-x64 model.gguf --threads 2

`run` prints the seconds inside llama.cpp (all logits of all positions), then those of the loss,
which numpy computes here on the same number of threads, and the mean loss in nats.
"""

import argparse
import ctypes
import math
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

LAYERS, HIDDEN, MLP, HEADS, KV_HEADS, HEAD_DIM, VOCAB = 28, 1024, 3072, 16, 8, 128, 151_936
GROUP = 128  # weights that share a scale


# --- The model ----------------------------------------------------------------------------------


def packed_matrix(rng, rows, columns, kind):
    """A [rows, columns] matrix of random signs and scales, as the bytes of one GGUF format."""
    groups = columns // GROUP
    scale = (rng.uniform(0.5, 1.5, (rows, groups, 1)) / math.sqrt(columns)).astype(np.float16)
    bits = rng.integers(0, 256, (rows, groups, GROUP // 8), dtype=np.uint8)
    if kind == "q1_0":  # a block is its scale, then one bit a weight, lowest first, 1 for +scale
        return np.concatenate([scale.view(np.uint8), bits], axis=2).reshape(rows, -1)
    sign = np.unpackbits(bits, axis=2, bitorder="little")
    weights = np.where(sign == 1, scale, -scale)
    if kind == "bf16":  # the upper half of an f32, rounded to nearest
        return ((weights.astype(np.float32).view(np.uint32) + 0x8000) >> 16).astype(np.uint16).view(np.uint8).reshape(rows, -1)
    return weights.reshape(rows, columns)


def matrices():
    """(name, rows, columns) of every matrix of the model."""
    yield "token_embd", VOCAB, HIDDEN  # and the output layer: the two are tied
    for layer in range(LAYERS):
        for name, rows, columns in [
            ("attn_q", HEADS * HEAD_DIM, HIDDEN),
            ("attn_k", KV_HEADS * HEAD_DIM, HIDDEN),
            ("attn_v", KV_HEADS * HEAD_DIM, HIDDEN),
            ("attn_output", HIDDEN, HEADS * HEAD_DIM),
            ("ffn_gate", MLP, HIDDEN),
            ("ffn_up", MLP, HIDDEN),
            ("ffn_down", HIDDEN, MLP),
        ]:
            yield f"blk.{layer}.{name}", rows, columns


def norms():
    """(name, length) of every norm of the model."""
    yield "output_norm", HIDDEN
    for layer in range(LAYERS):
        for name, length in [("attn_norm", HIDDEN), ("attn_q_norm", HEAD_DIM), ("attn_k_norm", HEAD_DIM), ("ffn_norm", HIDDEN)]:
            yield f"blk.{layer}.{name}", length


def write(path, kind):
    """Writes the model to `path` in the format `kind`."""
    import gguf

    raw_dtype = {"f16": None, "bf16": gguf.GGMLQuantizationType.BF16, "q1_0": gguf.GGMLQuantizationType.Q1_0}[kind]
    writer = gguf.GGUFWriter(path, "qwen3")
    writer.add_context_length(4096)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(MLP)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_key_length(HEAD_DIM)
    writer.add_value_length(HEAD_DIM)
    writer.add_rope_freq_base(1e6)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_vocab_size(VOCAB)
    writer.add_tokenizer_model("none")

    rng = np.random.default_rng(1)
    for name, rows, columns in matrices():
        writer.add_tensor(f"{name}.weight", packed_matrix(rng, rows, columns, kind), raw_dtype=raw_dtype)
    for name, length in norms():
        writer.add_tensor(f"{name}.weight", (1 + 0.1 * rng.standard_normal(length)).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


# --- llama.cpp ----------------------------------------------------------------------------------


class Params(ctypes.Structure):
    """Parameters of a model or context. Their fields differ between releases, and the defaults are
    what this job wants, so they pass through unread: C copies no more of this than it declares."""

    _fields_ = [("opaque", ctypes.c_uint64 * 64)]


class Batch(ctypes.Structure):
    """llama_batch of llama.h."""

    _fields_ = [
        ("n_tokens", ctypes.c_int32),
        ("token", ctypes.POINTER(ctypes.c_int32)),
        ("embd", ctypes.POINTER(ctypes.c_float)),
        ("pos", ctypes.POINTER(ctypes.c_int32)),
        ("n_seq_id", ctypes.POINTER(ctypes.c_int32)),
        ("seq_id", ctypes.POINTER(ctypes.POINTER(ctypes.c_int32))),
        ("logits", ctypes.POINTER(ctypes.c_int8)),
    ]


@ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)
def log(level, text, _):
    """Prints llama.cpp's warnings, its errors, and which CPU backend it chose."""
    if level in (3, 4) or b"load_backend" in text:
        print("llama.cpp:", text.decode(errors="replace").strip())


def load_libraries(folder):
    """libllama of `folder`, with its functions declared and its CPU backends loaded."""
    [ggml_path] = [p for p in folder.glob("libggml.*") if ".so" in p.name]
    [llama_path] = [p for p in folder.glob("libllama.*") if ".so" in p.name]
    ggml = ctypes.CDLL(str(ggml_path), mode=ctypes.RTLD_GLOBAL)
    llama = ctypes.CDLL(str(llama_path), mode=ctypes.RTLD_GLOBAL)
    pointer, i32 = ctypes.c_void_p, ctypes.c_int32
    for name, result, arguments in [
        ("llama_log_set", None, [type(log), pointer]),
        ("llama_model_default_params", Params, []),
        ("llama_model_load_from_file", pointer, [ctypes.c_char_p, Params]),
        ("llama_context_default_params", Params, []),
        ("llama_init_from_model", pointer, [pointer, Params]),
        ("llama_n_ctx", ctypes.c_uint32, [pointer]),
        ("llama_set_n_threads", None, [pointer, i32, i32]),
        ("llama_get_memory", pointer, [pointer]),
        ("llama_memory_clear", None, [pointer, ctypes.c_bool]),
        ("llama_batch_init", Batch, [i32, i32, i32]),
        ("llama_decode", i32, [pointer, Batch]),
        ("llama_get_logits", ctypes.POINTER(ctypes.c_float), [pointer]),
    ]:
        function = getattr(llama, name)
        function.restype, function.argtypes = result, arguments
    llama.llama_log_set(log, None)
    ggml.ggml_backend_load_all_from_path(str(folder).encode())
    return llama


class Model:
    """A loaded model, ready to give the logits of one document at a time."""

    def __init__(self, folder, path, threads, tokens):
        self.llama = load_libraries(folder)
        model = self.llama.llama_model_load_from_file(str(path).encode(), self.llama.llama_model_default_params())
        if not model:
            raise SystemExit(f"llama.cpp could not load {path}")
        self.context = self.llama.llama_init_from_model(model, self.llama.llama_context_default_params())
        if not self.context or self.llama.llama_n_ctx(self.context) < tokens:
            raise SystemExit(f"llama.cpp's default context is shorter than {tokens} tokens")
        self.llama.llama_set_n_threads(self.context, threads, threads)
        self.batch = self.llama.llama_batch_init(tokens, 0, 1)

    def logits(self, document):
        """[tokens, VOCAB] f32, valid until the next call."""
        batch = self.batch
        batch.n_tokens = len(document)
        for position, token in enumerate(document):
            batch.token[position], batch.pos[position], batch.logits[position] = int(token), position, 1
            batch.n_seq_id[position], batch.seq_id[position][0] = 1, 0
        self.llama.llama_memory_clear(self.llama.llama_get_memory(self.context), True)
        status = self.llama.llama_decode(self.context, batch)
        if status != 0:
            raise SystemExit(f"llama_decode returned {status}")
        return np.ctypeslib.as_array(self.llama.llama_get_logits(self.context), (len(document), VOCAB))


# --- The job ------------------------------------------------------------------------------------


def loss_sum(logits, targets):
    """Sum over rows of log-sum-exp minus the target's logit, in nats."""
    top = logits.max(axis=1)
    partition = np.exp(logits - top[:, None]).sum(axis=1, dtype=np.float64)
    return float((np.log(partition) + top - logits[np.arange(len(targets)), targets]).sum())


def run(folder, path, threads, documents, tokens):
    """Evaluates random documents and prints the seconds and the mean loss."""
    began = time.perf_counter()
    model = Model(folder, path, threads, tokens)
    print(f"load: {time.perf_counter() - began:.2f} s")

    rng = np.random.default_rng(2)
    corpus = rng.integers(0, VOCAB, (documents, tokens))
    model.logits(corpus[0])  # the first pass touches every page of the file
    inside, outside, total = 0.0, 0.0, 0.0
    with ThreadPoolExecutor(threads) as pool:
        for document in corpus:
            began = time.perf_counter()
            logits = model.logits(document)
            halfway = time.perf_counter()
            blocks = [slice(start, min(start + 16, tokens - 1)) for start in range(0, tokens - 1, 16)]
            total += sum(pool.map(lambda block: loss_sum(logits[block], document[1:][block]), blocks))
            inside += halfway - began
            outside += time.perf_counter() - halfway

    print(f"llama.cpp: {inside:.2f} s, {documents * tokens / inside:.0f} tokens/s ({documents} x {tokens} tokens, {threads} threads)")
    print(f"loss: {outside:.2f} s more")
    print(f"mean loss: {total / (documents * (tokens - 1)):.6f} nats")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    writing = commands.add_parser("write", help="write the model")
    writing.add_argument("model", type=Path)
    writing.add_argument("--format", choices=["f16", "bf16", "q1_0"], default="f16")
    running = commands.add_parser("run", help="time llama.cpp on it")
    running.add_argument("libraries", type=Path, help="folder with libllama and libggml")
    running.add_argument("model", type=Path)
    running.add_argument("--threads", type=int, default=2)
    running.add_argument("--documents", type=int, default=16)
    running.add_argument("--tokens", type=int, default=512)
    asked = parser.parse_args()
    if asked.command == "write":
        write(asked.model, asked.format)
    else:
        run(asked.libraries.resolve(), asked.model, asked.threads, asked.documents, asked.tokens)


if __name__ == "__main__":
    main()
