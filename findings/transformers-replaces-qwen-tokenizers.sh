#!/usr/bin/env bash
# transformers 5.24.0 with tokenizers 0.23.3: AutoTokenizer does not use tokenizer.json as it stands for Qwen models.
#
# A tokenizer.json has no normalizer, a ByteLevel pre-tokenizer without the splitting pattern, and a BPE model with
# `ignore_merges`. In a model folder of type qwen2, qwen3 or qwen3_5 AutoTokenizer gives it Qwen2's NFC normalizer and
# splitting pattern and drops `ignore_merges`, without a word, so that the same text has other token ids. Beside a
# llama config the same file is used as it stands.
#
# `"tokenizer_class": "PreTrainedTokenizerFast"` in tokenizer_config.json keeps the file's own way for qwen3, but
# changes nothing for qwen2 and qwen3_5.
#
# Who scores a model by its tokenizer.json alone (the tokenizers crate, llama.cpp's converter) scores other ids than
# transformers does. No model weights and no torch are needed to see it.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet transformers==5.24.0 tokenizers==0.23.3

cat >"$folder/try.py" <<'PYTHON'
import json, pathlib, sys
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import AutoTokenizer

vocabulary = {byte: number for number, byte in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
vocabulary |= {"12": 256, "123": 257}
own = Tokenizer(models.BPE(vocab=vocabulary, merges=[("1", "2"), ("12", "3")], ignore_merges=True))
own.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
print("tokenizer.json", own.encode("123").ids)

for model_type in ("llama", "qwen2", "qwen3", "qwen3_5"):
    for named in (None, "PreTrainedTokenizerFast"):
        folder = pathlib.Path(sys.argv[1]) / f"{model_type}-{named}"
        folder.mkdir()
        own.save(str(folder / "tokenizer.json"))
        (folder / "config.json").write_text(json.dumps({"model_type": model_type}))
        if named:
            (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": named}))
        loaded = AutoTokenizer.from_pretrained(folder)
        state = json.loads(loaded.backend_tokenizer.to_str())
        normalizer = state["normalizer"] and state["normalizer"]["type"]
        print(model_type, named, type(loaded).__name__, loaded("123")["input_ids"],
              f"ignore_merges={state['model']['ignore_merges']}", f"normalizer={normalizer}")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
tokenizer.json [257]
llama None TokenizersBackend [257] ignore_merges=True normalizer=None
llama PreTrainedTokenizerFast TokenizersBackend [257] ignore_merges=True normalizer=None
qwen2 None Qwen2Tokenizer [16, 17, 18] ignore_merges=False normalizer=NFC
qwen2 PreTrainedTokenizerFast Qwen2Tokenizer [16, 17, 18] ignore_merges=False normalizer=NFC
qwen3 None Qwen2Tokenizer [16, 17, 18] ignore_merges=False normalizer=NFC
qwen3 PreTrainedTokenizerFast TokenizersBackend [257] ignore_merges=True normalizer=None
qwen3_5 None Qwen3_5Tokenizer [16, 17, 18] ignore_merges=False normalizer=NFC
qwen3_5 PreTrainedTokenizerFast Qwen3_5Tokenizer [16, 17, 18] ignore_merges=False normalizer=NFC
OUTPUT
"$folder/env/bin/python" "$folder/try.py" "$folder" 2>/dev/null | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
