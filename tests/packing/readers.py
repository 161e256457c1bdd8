#!/usr/bin/env python3
"""Decodes bitpacked weights with the two Python readers of the format: demo/bitpack.py, which needs numpy, and
modeling_bitpack.py, which needs torch.

Reads cases as JSON from standard input: rows, columns, scale_group, each stored part as its data type, shape and
bytes in hex, and the weight that it means as f32 in hex. Prints a line per reader; `not run` where its library is
missing. Exit status: 0, or 1 where a reader gives another weight.
"""
import importlib.util
import json
import pathlib
import sys
import types

ROOT = pathlib.Path(__file__).parents[2]
DTYPES = {"U8": "uint8", "U32": "uint32", "F16": "float16"}


def load(path, *replaced):
    """A module from its file, with modules replaced that decoding does not need."""
    for name in replaced:
        module = sys.modules.setdefault(name, types.ModuleType(name))
        module.__getattr__ = lambda attribute: None
        parent, _, leaf = name.rpartition(".")
        if parent:
            setattr(sys.modules[parent], leaf, module)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def by_numpy():
    import numpy as np
    bitpack = load(ROOT / "demo" / "bitpack.py", "safetensors", "safetensors.numpy")

    def decode(case):
        tensors = {f"w.{part}": np.frombuffer(bytes.fromhex(stored["bytes"]), DTYPES[stored["dtype"]])
                   .reshape(stored["shape"]) for part, stored in case["parts"].items()}
        return bitpack.decode("w", tensors, case["columns"], case["scale_group"]).astype("<f4").tobytes()
    return decode


def by_torch():
    import torch
    modeling = load(ROOT / "core" / "src" / "format" / "modeling_bitpack.py", "safetensors", "transformers",
                    "transformers.models", "transformers.models.auto", "transformers.models.auto.modeling_auto")

    def decode(case):
        stored = {part: torch.frombuffer(bytearray.fromhex(stored["bytes"]), dtype=getattr(torch, DTYPES[stored["dtype"]]))
                  .reshape(stored["shape"]) for part, stored in case["parts"].items()}
        shape = (case["rows"], case["columns"])
        weight = modeling.unpack(stored, shape, case["scale_group"], torch.float32)
        return bytes(weight.contiguous().view(torch.uint8).flatten().tolist())
    return decode


def main():
    cases = json.load(sys.stdin)
    faults = 0
    for name, reader in [("numpy", by_numpy), ("torch", by_torch)]:
        try:
            decode = reader()
        except ModuleNotFoundError as error:
            print(f"{name}: not run, {error}")
            continue
        wrong = [case["name"] for case in cases if decode(case) != bytes.fromhex(case["weight"])]
        print(f"{name}: {len(cases)} weights, {len(wrong)} differ {wrong}")
        faults += len(wrong)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
