"""Packs the golden models, loads them with transformers and compares with bitgauge. See README.md.

    python compare.py BITGAUGE [DEVICE]
"""

import json
import pathlib
import subprocess
import sys
import tempfile
import zipfile

import torch
import transformers
from transformers import AutoConfig, AutoModelForCausalLM

MODELS = pathlib.Path(__file__).parents[1] / "fixtures" / "models"
NAMES = ["qwen3_tied", "qwen3_untied", "llama", "llama_rope3_tied", "qwen3_5_text", "qwen3_5_full"]
SETTINGS = [
    ["--scale-group", "128"],
    ["--scale-group", "0", "--rescue-fraction", "0.1"],
    ["--scale-group", "128", "--rescue-fraction", "0.25", "--bases", "2"],
]
# Bytes below 127, so that the byte tokenizer's ids (byte + 1) are in every golden vocabulary.
DOCUMENTS = [
    "Binary weights keep a sign and share a scale.",
    "~!@#$%^&*()_+ 0123456789 [];',./ {}:\"<>?",
    # `eval` trims documents, as the validator does.
    ("The quick brown fox jumps over the lazy dog. " * 4).strip(),
    "a" * 70,
]
DEVICE = sys.argv[2] if len(sys.argv) > 2 else "cpu"
# Nats per token: float32 sums of the same terms in another order.
BOUND = 1e-5


def bitgauge(*arguments):
    run = subprocess.run([sys.argv[1], "--format", "json", *map(str, arguments)], stdout=subprocess.PIPE, check=False)
    return json.loads(run.stdout)


def nats(model):
    """Summed loss of each document."""
    losses = []
    for text in DOCUMENTS:
        ids = torch.tensor([[byte + 1 for byte in text.encode()]], device=model.device)
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1].to(torch.float64)
        losses.append(torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item())
    return losses


def load(folder, dtype=torch.float32):
    place = {} if DEVICE == "cpu" else {"device_map": DEVICE}
    return AutoModelForCausalLM.from_pretrained(folder, trust_remote_code=True, torch_dtype=dtype, **place)


def loads_as(folder, dtype):
    """Whether every parameter has the wanted dtype, on the wanted device."""
    return all(p.dtype == dtype and p.device.type == DEVICE for p in load(folder, dtype).parameters())


def worst(found, expected):
    tokens = [len(text) - 1 for text in DOCUMENTS]
    return max(abs(a - b) / n for a, b, n in zip(found, expected, tokens))


def flip_signs(folder):
    """Inverts 64 bytes in the middle of the first plane of signs."""
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + length])
    start, end = next(entry["data_offsets"] for name, entry in sorted(header.items()) if name.endswith("q_proj.weight.sign")
                      or name.endswith("in_proj_qkv.weight.sign"))
    for i in range((start + end) // 2, min(end, (start + end) // 2 + 64)):
        data[8 + length + i] ^= 0xff
    file.write_bytes(data)


def compare(name, settings, folder):
    """The line to print, and whether all is well."""
    packed, archive = folder / "packed", folder / "packed.zip"
    for target in (packed, archive):
        bitgauge("pack", MODELS / name, target, *settings)
    documents = folder / "documents.json"
    documents.write_text(json.dumps(DOCUMENTS))
    report = bitgauge("eval", packed, "--documents", documents, "--tokenizer", "byte-utf8", "--device", "cpu")
    expected = [document["nats"] for document in report["evaluation"]["documents"]]
    extracted = folder / "extracted"
    zipfile.ZipFile(archive).extractall(extracted)
    model = load(packed)
    count = sum(parameter.numel() for parameter in model.parameters())
    difference = max(worst(nats(model), expected), worst(nats(load(extracted)), expected))
    is_as_asked = all(loads_as(packed, dtype) for dtype in (torch.float32, torch.float16, torch.bfloat16))
    # A dense model of the family that is loaded afterwards is the library's, as always.
    is_as_asked &= type(load(MODELS / name)).__module__.startswith("transformers.")
    flip_signs(packed)
    noticed = worst(nats(load(packed)), expected)
    ok = difference <= BOUND and noticed > BOUND and is_as_asked and count == report["model"]["parameters"]
    line = f"{name:18}{' '.join(settings):50}{count:>9} parameters  {difference:.1e}  flipped {noticed:.1e}"
    return line, ok


def main():
    name = torch.cuda.get_device_name() if DEVICE == "cuda" else DEVICE
    versions = f"transformers {transformers.__version__}, torch {torch.__version__}, {name}"
    print(f"{versions}: nats a token, bound {BOUND:.0e}")
    passed, failed, skipped = 0, 0, 0
    for name in NAMES:
        try:
            AutoConfig.from_pretrained(MODELS / name)
        except ValueError:
            print(f"skipped: {name}, which this version of transformers does not know")
            skipped += 1
            continue
        for settings in SETTINGS:
            with tempfile.TemporaryDirectory() as folder:
                line, ok = compare(name, settings, pathlib.Path(folder))
            print(f"{'ok  ' if ok else 'FAIL'}  {line}")
            passed, failed = passed + ok, failed + (not ok)
    print(f"cases: {passed} passed, {failed} failed, {skipped} skipped\n")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    transformers.logging.set_verbosity_error()
    sys.exit(main())
