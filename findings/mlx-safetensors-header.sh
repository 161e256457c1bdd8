#!/usr/bin/env bash
# mlx 0.32.4: the safetensors files that MLX writes have `"__metadata__": null` and an unpadded header.
#
# The format's description has __metadata__ as a map of strings, and its reference writer pads the header so that the
# data begins at a multiple of 8 bytes. mx.save_safetensors without metadata writes null, and no padding: the
# data begins at any byte, so no tensor is aligned to its type. Tensors do not lie in the header's order either. The
# reference reader (safetensors 0.8.0) takes such a file. A reader that wants a map, or that casts a memory-mapped
# tensor to floats in place, does not.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'mlx[cpu]==0.32.4' safetensors==0.8.0 numpy==2.4.6

cat >"$folder/try.py" <<'PYTHON'
import json, struct, sys
import mlx.core as mx
import numpy
from safetensors import safe_open
from safetensors.numpy import save_file

path = f"{sys.argv[1]}/model.safetensors"
def header():
    raw = open(path, "rb").read()
    length = struct.unpack("<Q", raw[:8])[0]
    return length, raw[8:8 + length]

mx.save_safetensors(path, {"a": mx.zeros((3,), dtype=mx.uint8), "b": mx.ones((8, 256))})
length, text = header()
fields = json.loads(text)
print("mlx: data begins at byte", 8 + length, "metadata", fields["__metadata__"])
print("mlx: offsets of a", fields["a"]["data_offsets"], "of b", fields["b"]["data_offsets"])
with safe_open(path, "numpy") as file:
    print("safetensors reads", sorted(file.keys()), file.metadata(), file.get_tensor("b").sum())

save_file({"a": numpy.zeros(3, numpy.uint8), "b": numpy.ones((8, 256), numpy.float32)}, path)
length, text = header()
print("safetensors: remainder of the data's first byte by 8:", (8 + length) % 8, "metadata", "__metadata__" in json.loads(text))
PYTHON

cat >"$folder/expected" <<'OUTPUT'
mlx: data begins at byte 147 metadata None
mlx: offsets of a [8192, 8195] of b [0, 8192]
safetensors reads ['a', 'b'] None 2048.0
safetensors: remainder of the data's first byte by 8: 0 metadata False
OUTPUT
"$folder/env/bin/python" "$folder/try.py" "$folder" | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
