#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.15.0): the two linear layers of BitNet disagree on a bias.
#
# `quantization_config.linear_class` picks BitLinear or AutoBitLinear. BitLinear divides its product by the weight's scale and
# then adds the bias; AutoBitLinear multiplies product and bias together. A converter that stores the bias of a dense layer
# gets the layer it meant from the former alone; for the latter the bias must be divided by the scale first. Neither says so,
# models without biases never show it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0 torch==2.15.0 numpy

cat >"$folder/try.py" <<'PYTHON'
import torch
from transformers.integrations.bitnet import AutoBitLinear, BitLinear, pack_weights

torch.manual_seed(1)
signs = torch.randint(-1, 2, (8, 16)).float()
bias = torch.arange(8).float()
nothing = torch.zeros(1, 16)  # What is left of W x + b at x = 0 is what a layer makes of its bias.

packed = BitLinear(16, 8, bias=True, dtype=torch.float32)
packed.weight = pack_weights(signs.clone())  # It adds 1 to its argument in place.
packed.weight_scale = torch.tensor([4.0])
packed.bias = bias.clone()

auto = AutoBitLinear(16, 8, bias=True, online_quant=False, use_rms_norm=False)
auto.weight.data = signs.clone()
auto.weight_scale = torch.tensor([0.25])
auto.bias.data = bias.clone()

with torch.no_grad():
    for layer in packed, auto:
        factor = (layer(nothing)[0, 1:] / bias[1:]).unique()
        print(f"{type(layer).__name__}: the bias times {[round(x, 6) for x in factor.tolist()]}")
    both = torch.randn(1, 16)
    same = [layer(both)[0] - layer(nothing)[0] for layer in (packed, auto)]
    print("products alone are the same:", torch.allclose(*same, atol=1e-5))
PYTHON

cat >"$folder/expected" <<'OUTPUT'
BitLinear: the bias times [1.0]
AutoBitLinear: the bias times [0.25]
products alone are the same: True
OUTPUT
"$folder/env/bin/python" "$folder/try.py" 2>/dev/null | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
