#!/usr/bin/env bash
# transformers 5.24.0 (torch 2.15.0): FP8 weights are dequantized with a block size that is not the config's where a side is
# no multiple of it.
#
# With `dequantize: true` (and on every machine without FP8 kernels) the size of a block is worked out as rows // rows of
# scales, not read from `weight_block_size`. Of 192 rows in blocks of 128 there are two rows of scales, the second for the last
# 64 rows; 192 // 2 = 96, so rows 96 to 127 get the scale of the next block. The model loads without a warning.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0 torch==2.15.0 safetensors==0.8.0 numpy accelerate

cat >"$folder/try.py" <<'PYTHON'
import json, pathlib, sys
import torch, transformers
from safetensors.torch import load_file, save_file

transformers.logging.set_verbosity_error()
folder = pathlib.Path(sys.argv[1])
torch.manual_seed(1)
config = transformers.Qwen3Config(vocab_size=64, hidden_size=128, intermediate_size=int(sys.argv[2]), num_hidden_layers=1,
                                  num_attention_heads=2, num_key_value_heads=2, head_dim=64, tie_word_embeddings=False)
transformers.Qwen3ForCausalLM(config).save_pretrained(folder)
(folder / "generation_config.json").unlink(missing_ok=True)
stored = load_file(folder / "model.safetensors")
BLOCK = 128
for name in [name for name in stored if name.endswith("_proj.weight")]:
    rows, cols = stored[name].shape
    scales = torch.arange(1, 1 + -(-rows // BLOCK) * -(-cols // BLOCK)).float().reshape(-(-rows // BLOCK), -1)
    stored[name] = torch.ones(rows, cols).to(torch.float8_e4m3fn)
    stored[name + "_scale_inv"] = scales
save_file(stored, folder / "model.safetensors", {"format": "pt"})
settings = json.loads((folder / "config.json").read_text())
settings["quantization_config"] = {"quant_method": "fp8", "activation_scheme": "dynamic", "weight_block_size": [BLOCK, BLOCK],
                                   "dequantize": True}
(folder / "config.json").write_text(json.dumps(settings))
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
values = model.model.layers[0].mlp.up_proj.weight[:, 0].tolist()
runs = [index for index in range(1, len(values)) if values[index] != values[index - 1]]
print(f"{len(values)} rows in blocks of {BLOCK}: another scale from row {runs} on")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
256 rows in blocks of 128: another scale from row [128] on
192 rows in blocks of 128: another scale from row [96] on
OUTPUT
for rows in 256 192; do
  "$folder/env/bin/python" "$folder/try.py" "$folder/$rows" "$rows" 2>/dev/null
done | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
