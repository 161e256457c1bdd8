#!/usr/bin/env bash
# transformers 5.24.0: `rope_scaling` beside `rope_parameters` throws the model's rotary base away.
#
# Version 5 writes `rope_parameters` (with `rope_theta` inside); version 4 wrote `rope_theta` and `rope_scaling`. A
# config.json with both, as an editor makes who adds scaling to a model saved by version 5, is not merged: the object
# under `rope_scaling` replaces `rope_parameters` whole. Without a theta of its own the base falls back to the class's
# default, 10,000, even where the model was trained with 500,000. No warning is printed. A top-level `rope_theta` is
# taken with `rope_scaling`, but is ignored beside `rope_parameters` that has one.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0

cat >"$folder/try.py" <<'PYTHON'
import json, pathlib, sys
from transformers import AutoConfig

LINEAR = {"rope_type": "linear", "factor": 2.0}
OWN = {"rope_type": "default", "rope_theta": 500000.0}
cases = {
    "rope_parameters": {"rope_parameters": OWN},
    "rope_parameters + rope_scaling": {"rope_parameters": OWN, "rope_scaling": LINEAR},
    "rope_theta + rope_scaling": {"rope_theta": 500000.0, "rope_scaling": LINEAR},
    "rope_theta + rope_scaling with a theta": {"rope_theta": 500000.0, "rope_scaling": LINEAR | {"rope_theta": 333.0}},
    "rope_theta + rope_parameters": {"rope_theta": 7.0, "rope_parameters": OWN},
}
for name, fields in cases.items():
    folder = pathlib.Path(sys.argv[1]) / name.replace(" ", "-")
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"model_type": "qwen3"} | fields))
    rope = AutoConfig.from_pretrained(folder).rope_parameters
    print(f"{name}: {rope['rope_type']}, theta {rope['rope_theta']:g}")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
rope_parameters: default, theta 500000
rope_parameters + rope_scaling: linear, theta 10000
rope_theta + rope_scaling: linear, theta 500000
rope_theta + rope_scaling with a theta: linear, theta 333
rope_theta + rope_parameters: default, theta 500000
OUTPUT
"$folder/env/bin/python" "$folder/try.py" "$folder" 2>/dev/null | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
