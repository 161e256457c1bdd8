#!/usr/bin/env bash
# mlx 0.32.4: one bit of MLX's affine quantization keeps a group's two extremes, not signs.
#
# mx.quantize stores w = scale * q + bias. At 2 bits and more the extreme of greater magnitude becomes bias, zero is one
# of the levels, and the scale is negative wherever that extreme is the positive one (in half of the groups): a reader
# that takes scales for positive is wrong. One bit follows another rule: the two levels are the least and the greatest
# weight of the group, so scales are positive, zero is no level, and the two are not +d and -d. On a bell curve the
# squared error is 3.6 times the weights' own, where a sign with the mean magnitude leaves 0.36 of it. The 1-bit models
# that are published for MLX were not made by this function: they store scale = 2 d and bias = -d.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'mlx[cpu]==0.32.4'

cat >"$folder/try.py" <<'PYTHON'
import mlx.core as mx

mx.random.seed(1)
weights = mx.random.normal((512, 128))
least, greatest = mx.min(weights, axis=1), mx.max(weights, axis=1)
for bits in (1, 2, 4):
    stored = mx.quantize(weights, group_size=128, bits=bits)
    scale, bias = stored[1][:, 0], stored[2][:, 0]
    levels = bias[:, None] + scale[:, None] * mx.arange(2**bits)
    decoded = mx.dequantize(*stored, group_size=128, bits=bits)
    count = lambda condition: mx.sum(condition).item()
    print(f"{bits} bit: of {scale.size} groups",
          count(mx.abs(levels[:, -1] - greatest) + mx.abs(levels[:, 0] - least) < 1e-5), "span both extremes,",
          count(mx.min(mx.abs(levels), axis=1) < 1e-5), "have zero as a level,",
          "some" if 100 < count(scale < 0) < 400 else count(scale < 0), "have a negative scale;",
          f"squared error {(mx.mean((weights - decoded) ** 2) / mx.mean(weights ** 2)).item():.1f}")
sign = mx.sign(weights) * mx.mean(mx.abs(weights), axis=1, keepdims=True)
print(f"sign and mean magnitude: squared error {(mx.mean((weights - sign) ** 2) / mx.mean(weights ** 2)).item():.1f}")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
1 bit: of 512 groups 512 span both extremes, 0 have zero as a level, 0 have a negative scale; squared error 3.6
2 bit: of 512 groups 0 span both extremes, 512 have zero as a level, some have a negative scale; squared error 0.2
4 bit: of 512 groups 0 span both extremes, 512 have zero as a level, some have a negative scale; squared error 0.0
sign and mean magnitude: squared error 0.4
OUTPUT
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
