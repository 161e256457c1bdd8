#!/usr/bin/env python3
"""Packs a dense model in several ways and prints bytes, squared error and loss of each (docs/packing.md).

    python3 demo/corpus.py --out build && python3 demo/train_dense.py --data build --out build/dense
    cargo build --release
    mv build/dense/tokenizer.json build/
    python3 tests/packing/compare.py --bitgauge target/release/bitgauge --model build/dense \\
        --tokenizer build/tokenizer.json --documents build/documents.json --corpus build/corpus.json.gz

Calibration documents are training documents of the corpus; the loss is that of the held-out ones.

The tokenizer is kept out of the artifacts: it is a fifth of the bytes of so small a model.

Needs numpy.
"""
import argparse
import gzip
import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "demo"))
import bitpack

# Rows of equal bytes stand together; DOCUMENTS stands for the calibration documents.
WAYS = [
    "--fit mean", "--fit least-squares", "", "DOCUMENTS",
    "--scale-group 0 --bases 2 --fit mean", "--scale-group 0 --bases 2 --fit least-squares",
    "--scale-group 0 --bases 2", "--scale-group 0 --bases 2 DOCUMENTS",
    "--budget binary --fit mean", "--budget binary --fit least-squares", "--budget binary",
    "--budget binary --scale-group 128", "--budget binary DOCUMENTS", "--budget binary --scale-group 128 DOCUMENTS",
    "--budget ternary --fit mean", "--budget ternary --fit least-squares", "--budget ternary",
    "--budget ternary DOCUMENTS"]
# What a budget's best mix may not lose to, by the way that asks for it.
PLAIN = "--budget ternary --fit mean"
NOT_WORSE = ["--budget ternary", "--budget ternary DOCUMENTS"]
CALIBRATION_DOCUMENTS = 64


def run(bitgauge, *arguments):
    result = subprocess.run([bitgauge, *arguments, "--format", "json"], stdout=subprocess.PIPE, text=True)
    if result.returncode not in (0, 1):  # 1: over the limit of the pack that is judged by default
        sys.exit(f"bitgauge {' '.join(map(str, arguments))}: status {result.returncode}")
    return json.loads(result.stdout)


def tensors_of(raw):
    """{name: array} of a safetensors file; BF16 is the upper half of an f32."""
    length = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8:8 + length])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + length + offset for offset in entry["data_offsets"])
        kind = {"BF16": "<u2", "F16": "<f2", "U8": "<u1", "U32": "<u4"}[entry["dtype"]]
        values = np.frombuffer(raw[begin:end], kind)
        if entry["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.reshape(entry["shape"])
    return tensors


def unpacked(path, dense, scale_group):
    """The weights of the packed zip that `dense` has as matrices."""
    tensors = tensors_of(zipfile.ZipFile(path).read("model.safetensors"))
    return {name: bitpack.decode(name, tensors, w.shape[1], scale_group) for name, w in dense.items()}


def calibration_documents(corpus):
    """Training documents of some length, spread over the corpus."""
    documents = json.loads(gzip.decompress(corpus.read_bytes()))["train"]
    texts = [document["text"] for document in documents if len(document["text"]) > 3000]
    return texts[::len(texts) // CALIBRATION_DOCUMENTS][:CALIBRATION_DOCUMENTS]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--bitgauge", required=True)
    parser.add_argument("--model", type=pathlib.Path, required=True)
    parser.add_argument("--tokenizer", required=True)
    parser.add_argument("--documents", required=True)
    parser.add_argument("--corpus", type=pathlib.Path, required=True, help="corpus.json.gz, for calibration documents")
    options = parser.parse_args()
    tensors = tensors_of((options.model / "model.safetensors").read_bytes())
    dense = {name: w for name, w in tensors.items() if w.ndim == 2}
    energy = sum(float(np.square(w, dtype=np.float64).sum()) for w in dense.values())
    evaluate = lambda path: run(
        options.bitgauge, "eval", path, "--documents", options.documents, "--tokenizer", options.tokenizer, "--device", "cpu")
    nats = lambda report: report["evaluation"]["cross_entropy_nats"]
    print("| options of `bitgauge pack` | bytes | squared error | nats a token |\n|---|---:|---:|---:|")
    print(f"| (not packed) | {sum(f.stat().st_size for f in options.model.iterdir()):,} | 0 | "
          f"{nats(evaluate(options.model)):.4f} |", flush=True)
    with tempfile.TemporaryDirectory() as root:
        calibration = pathlib.Path(root) / "calibration.json"
        calibration.write_text(json.dumps(calibration_documents(options.corpus)))
        with_documents = ["--calibration", calibration, "--tokenizer", options.tokenizer]
        losses = {}
        for way in WAYS:
            out = pathlib.Path(root) / "packed.zip"
            words = [word for word in way.split() if word != "DOCUMENTS"]
            words += with_documents if "DOCUMENTS" in way else []
            summary = run(options.bitgauge, "pack", options.model, out, "--force", *words)
            weights = unpacked(out, dense, summary["scale_group"])
            error = sum(float(np.square(weights[name] - w, dtype=np.float64).sum()) for name, w in dense.items())
            name = f"`{way.replace('DOCUMENTS', '--calibration').strip()}`" if way else "(default)"
            losses[way] = nats(evaluate(out))
            print(f"| {name} | {summary['bytes']:,} | {100 * error / energy:.2f} % | {losses[way]:.4f} |", flush=True)
    worse = [way for way in NOT_WORSE if losses[way] > losses[PLAIN]]
    if worse:
        sys.exit(f"worse than plain rounding: {', '.join(worse)}")


if __name__ == "__main__":
    main()
