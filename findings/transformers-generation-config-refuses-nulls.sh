#!/usr/bin/env bash
# transformers 5.24.0 and 4.57.6: a null in generation_config.json can keep a model from loading, and a true beside it heals it.
#
# Loading a model reads generation_config.json and validates it. Arguments of `generate` that are no settings, such as `streamer`,
# raise even with the value null. With `"_from_model_config": true` in the
# same file, which save_pretrained writes, the check is passed over. `"early_stopping": null` raises in 4.57.6 alone. A text
# for a number is taken by both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

cat >"$folder/try.py" <<'PYTHON'
import json
import pathlib
import sys

from transformers import GenerationConfig, __version__

path = pathlib.Path(sys.argv[1])
for settings in (
    {"streamer": None},
    {"streamer": None, "_from_model_config": True},
    {"early_stopping": None},
    {"temperature": "x"},
):
    (path / "generation_config.json").write_text(json.dumps(settings))
    try:
        GenerationConfig.from_pretrained(path)
        outcome = "loads"
    except Exception as error:
        outcome = type(error).__name__
    print(f"{__version__} {json.dumps(settings)}: {outcome}")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
5.24.0 {"streamer": null}: ValueError
5.24.0 {"streamer": null, "_from_model_config": true}: loads
5.24.0 {"early_stopping": null}: loads
5.24.0 {"temperature": "x"}: loads
4.57.6 {"streamer": null}: ValueError
4.57.6 {"streamer": null, "_from_model_config": true}: loads
4.57.6 {"early_stopping": null}: ValueError
4.57.6 {"temperature": "x"}: loads
OUTPUT
for version in 5.24.0 4.57.6; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet "transformers==$version"
  mkdir "$folder/model-$version"
  "$folder/$version/bin/python" "$folder/try.py" "$folder/model-$version" 2>/dev/null
done | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
