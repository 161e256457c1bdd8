#!/usr/bin/env python3
"""Compares the losses of llama.cpp and bitgauge on models of every type that llama.cpp quantizes to.

    pip install gguf==0.19.0 numpy
    npm pack @node-llama-cpp/linux-x64@3.22.1 && tar xf node-llama-cpp-linux-x64-*.tgz
    cargo build --release
    python3 bench/llama_cpp_types.py package/bins/linux-x64 target/release/bitgauge

Every matrix of a qwen3 of random weights is quantized by llama.cpp's own library. Both sides get the same bytes as token
ids.

- bitgauge on the quantized file against bitgauge on its values in F32, as llama.cpp's library gives them.
- llama.cpp on either file. It keeps keys and values in f16, and rounds activations to 8 bits where weights are quantized.
- The model in another type must not pass the first.
"""

import argparse
import ctypes
import enum
import math
import tempfile
from pathlib import Path

import gguf
import llama_cpp
import llama_cpp_loss as job
import numpy as np

# Bounds on the difference of the mean loss, in nats.
PEER, DECODED = 2e-3, 1e-5
MLP = 512  # rows of whole blocks


class Later(enum.IntEnum):
    """Types that the package does not know yet."""

    Q2_0 = 42


gguf.GGML_QUANT_SIZES[Later.Q2_0] = (64, 18)
NAMES = """Q1_0 Q2_0 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S IQ3_XXS IQ3_S
IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4""".split()
TYPES = {name: Later[name] if name in Later.__members__ else gguf.GGMLQuantizationType[name] for name in NAMES}


class Traits(ctypes.Structure):
    """The beginning of ggml_type_traits of ggml.h."""

    _fields_ = [
        ("name", ctypes.c_char_p),
        ("values", ctypes.c_int64),
        ("interleave", ctypes.c_int64),
        ("bytes", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    ]


class Ggml:
    """llama.cpp's quantizer."""

    def __init__(self, folder):
        self.library = ctypes.CDLL(str(folder / "libggml-base.so"), mode=ctypes.RTLD_GLOBAL)
        self.library.ggml_get_type_traits.restype = ctypes.POINTER(Traits)
        self.library.ggml_quantize_chunk.restype = ctypes.c_size_t
        pointer, i64 = ctypes.c_void_p, ctypes.c_int64
        self.library.ggml_quantize_chunk.argtypes = [ctypes.c_int, pointer, pointer, i64, i64, i64, pointer]

    def quantize(self, values, kind):
        """The blocks of a matrix, and their values."""
        rows, columns = values.shape
        block, size = gguf.GGML_QUANT_SIZES[kind]
        raw = np.zeros((rows, columns // block * size), np.uint8)
        importance = np.ones(columns, np.float32)  # some types ask for one
        written = self.library.ggml_quantize_chunk(
            int(kind), values.ctypes.data, raw.ctypes.data, 0, rows, columns, importance.ctypes.data
        )
        assert written == raw.size, f"{kind.name}: {written} bytes, not {raw.size}"
        traits = self.library.ggml_get_type_traits(int(kind)).contents
        assert (traits.values, traits.bytes) == (block, size), f"{kind.name}: {traits.values}, {traits.bytes}"
        dense = np.empty((rows, columns), np.float32)
        traits.to_float(raw.ctypes.data, dense.ctypes.data, dense.size)
        return raw, dense


class Writer(job.Writer):
    def __init__(self, ggml, path, kind, exact):
        self.ggml, self.kind = ggml, TYPES[kind]
        super().__init__(path, "qwen3", exact, seed=1)

    def matrix(self, name, rows, columns, _kind=None):
        values = (self.rng.standard_normal((rows, columns)) / math.sqrt(columns)).astype(np.float32)
        raw, dense = self.ggml.quantize(values, self.kind)
        if self.exact:
            self.file.add_tensor(name + ".weight", dense)
        else:
            self.file.add_tensor(name + ".weight", raw, raw_dtype=self.kind)


def write(ggml, path, kind, exact):
    writer = Writer(ggml, path, kind, exact)
    writer.file.add_rope_dimension_count(job.HEAD_DIM)
    writer.matrix("token_embd", job.VOCAB, job.HIDDEN)
    for layer in range(job.LAYERS):
        block = f"blk.{layer}"
        writer.norm(f"{block}.attn_norm", job.HIDDEN)
        writer.attention(block, False, True)
        writer.norm(f"{block}.ffn_norm", job.HIDDEN)
        writer.matrix(f"{block}.ffn_gate", MLP, job.HIDDEN)
        writer.matrix(f"{block}.ffn_up", MLP, job.HIDDEN)
        writer.matrix(f"{block}.ffn_down", job.HIDDEN, MLP)
    writer.norm("output_norm", job.HIDDEN)
    writer.matrix("output", job.VOCAB, job.HIDDEN)
    writer.finish()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("libraries", type=Path, help="folder with libllama and libggml")
    parser.add_argument("bitgauge", type=Path)
    parser.add_argument("--types", nargs="+", choices=NAMES, default=NAMES, help="two and more")
    asked = parser.parse_args()
    libraries = asked.libraries.resolve()
    job.MLP = MLP
    ggml = Ggml(libraries)
    failed, losses = 0, {}
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.types:
            exact, quantized = (Path(folder) / f"{kind}-{name}.gguf" for name in ("f32", "q"))
            write(ggml, exact, kind, True)
            write(ggml, quantized, kind, False)
            ours = [job.loss_of_bitgauge(asked.bitgauge, path, folder) for path in (quantized, exact)]
            theirs = [job.loss_of_llama_cpp(libraries, path) for path in (quantized, exact)]
            losses[kind] = ours, theirs
            exact.unlink()
            quantized.unlink()
    for kind, (ours, theirs) in losses.items():
        # Types of three values may all hold the same ones.
        [other, _], _ = losses[asked.types[1 if kind == asked.types[0] else 0]]
        decoded, *peer = (abs(ours[0] - loss) for loss in (ours[1], *theirs))
        fits = decoded <= DECODED < abs(other - ours[1]) and max(peer) <= PEER
        failed += not fits
        print(
            f"{'ok  ' if fits else 'FAIL'} {kind:8} {ours[0]:.6f}, its values in F32 off by {decoded:.1e} (bound {DECODED:.0e}), "
            f"llama.cpp by {peer[0]:.1e}, in F32 by {peer[1]:.1e} (bound {PEER:.0e})"
        )
    print(f"cases: {len(asked.types) - failed} passed, {failed} failed")
    raise SystemExit(failed)


if __name__ == "__main__":
    main()
