#!/usr/bin/env bash
# gguf 0.19.0 and llama.cpp (the libraries in node-llama-cpp 3.22.1): a block of Q8_1 takes 40 bytes to the one and 36 to
# the other.
#
# ggml's own structure holds 32 codes of 8 bits and two f16, the scale and the scale times the sum of the codes. gguf's table
# of sizes, which readers of GGUF files copy, still counts two f32 there. A reader that trusts it finds the next tensor four
# bytes a block too late. No tool writes weights in Q8_1, so that nobody meets this until one does; other types agree.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'gguf==0.19.0'
(cd "$folder" && npm pack --silent @node-llama-cpp/linux-x64@3.22.1 >/dev/null && tar xf node-llama-cpp-linux-x64-*.tgz)

cat >"$folder/try.py" <<'PYTHON'
import ctypes
import glob
import sys

from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

base = glob.glob(sys.argv[1] + "/**/libggml-base.so*", recursive=True)[0]
ggml = ctypes.CDLL(base)
ggml.ggml_type_size.restype = ctypes.c_size_t
ggml.ggml_blck_size.restype = ctypes.c_int64
differ = same = 0
for kind in GGMLQuantizationType:
    values, size = GGML_QUANT_SIZES[kind]
    theirs = (ggml.ggml_blck_size(int(kind)), ggml.ggml_type_size(int(kind)))
    if theirs == (values, size):
        same += 1
    else:
        differ += 1
        print(f"{kind.name}: gguf {values} values in {size} bytes, ggml {theirs[0]} values in {theirs[1]} bytes")
print(f"{differ} differ, {'all others' if same > 25 else same} agree")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
Q8_1: gguf 32 values in 40 bytes, ggml 32 values in 36 bytes
1 differ, all others agree
OUTPUT
"$folder/env/bin/python" "$folder/try.py" "$folder/package" | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
