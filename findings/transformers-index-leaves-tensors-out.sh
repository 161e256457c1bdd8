#!/usr/bin/env bash
# transformers 4.57.6 and 5.24.0 (torch 2.15.0) disagree on what model.safetensors.index.json is for.
#
# A llama model lies in one shard, which holds every tensor. Its index names the shard, but leaves one tensor out of
# `weight_map`. 4.57.6 loads only the tensors that the index names: the one left out keeps what initialization gave it, with
# a warning at most, and the model has other weights than its files. 5.24.0 takes only the file names from the index and
# loads all that the shard holds.
#
# So the same folder gives two models, and who rewrites an index (to drop a tied head, say) changes weights for one version
# alone.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/try.py" <<'PYTHON'
import json, pathlib, sys
import torch, transformers
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, LlamaConfig, LlamaForCausalLM

folder = pathlib.Path(sys.argv[1])
folder.mkdir()
config = LlamaConfig(vocab_size=32, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2,
                     num_key_value_heads=2, tie_word_embeddings=False)
torch.manual_seed(1)
stored = LlamaForCausalLM(config).state_dict()
config.architectures = ["LlamaForCausalLM"]
config.save_pretrained(folder)
shard = "model-00001-of-00001.safetensors"
save_file({name: tensor.contiguous() for name, tensor in stored.items()}, folder / shard, metadata={"format": "pt"})
left_out = "model.layers.0.mlp.up_proj.weight"
names = {name: shard for name in stored if name != left_out}
(folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": names}))

torch.manual_seed(2)
loaded = AutoModelForCausalLM.from_pretrained(folder).state_dict()
others = [name for name, tensor in stored.items() if not torch.equal(tensor, loaded[name])]
print("transformers", transformers.__version__, "other than stored:", others)
PYTHON

for version in 4.57.6 5.24.0; do
  python3 -m venv "$folder/env-$version"
  "$folder/env-$version/bin/pip" install --quiet "transformers==$version" torch==2.15.0 safetensors==0.8.0 numpy
  "$folder/env-$version/bin/python" "$folder/try.py" "$folder/model-$version" 2>/dev/null
  rm -rf "$folder/env-$version"
done | tee "$folder/seen"

diff "$folder/seen" - <<'OUTPUT'
transformers 4.57.6 other than stored: ['model.layers.0.mlp.up_proj.weight']
transformers 5.24.0 other than stored: []
OUTPUT
