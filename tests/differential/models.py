#!/usr/bin/env python3
"""Model folders and what the real transformers makes of them.

Makes small folders from a seed: configurations, indexes, weights, code and tokenizers, sound ones and ones with
something odd about them, and those of tests/fixtures/loader. Loads each as the validator does, and writes all to
models.xz: for each a line of JSON (its family, what is odd, its files' names and lengths, and what each version said),
then the files. `cargo test -p conformance --test differential` holds bitgauge to it.

    ask                      # both versions, each in an environment that it makes
    models.py                # the version that is installed: its answers are written anew, the others' kept
    models.py --show 17      # what number 17 is
    models.py 15 other.xz    # another seed, for BITGAUGE_MODELS=other.xz cargo test ...

An answer is the class of an exception, or the count of parameters, the weights made up at random, and, where there are
none, the mean loss of IDS in nats; of a tokenizer the ids of texts.TEXTS, cut to MAX_LENGTH. Each folder is loaded in a process of its own.
"""

import contextlib
import hashlib
import io
import json
import lzma
import os
import pathlib
import random
import resource
import shutil
import signal
import sys
import tempfile

from changes import make_model
from folders import FIXTURES, Folder
from lines import make_line, make_tokenizer_line
from texts import TEXTS, make_tokenizer, sound

SEED = 14
MODELS, TOKENIZERS = 700, 240
LINES, TOKENIZER_LINES = 260, 100
HERE = pathlib.Path(__file__).parent
RECORDED = HERE / "models.xz"
IDS = [[(7 * i * i + 3 * i + 5) % 40 for i in range(24)], [11, 2, 39, 2, 2, 17, 30, 8, 0]]
MAX_LENGTH = 24
SECONDS = 60
FIRST_LOADER = "first_modeling_bitpack.py"


def given():
    """The cases that people met: what tests/fixtures/loader holds. Their files are not written again."""
    for case in json.loads((FIXTURES / "cases.json").read_text())["cases"]:
        files = {name: (FIXTURES / stored).read_bytes() for name, stored in case["files"].items()}
        yield "given", case["name"], files
    for path in sorted(FIXTURES.glob("hostile-*.json")):
        yield "given config", path.name, Folder("qwen3", packed=True).with_fields(json.loads(path.read_text())).all()


def folders(seed):
    yield from given()
    rng, seen = random.Random(seed), set()
    kinds = [
        (make_model, MODELS),
        (make_tokenizer, TOKENIZERS),
        (make_line, LINES),
        (make_tokenizer_line, TOKENIZER_LINES),
    ]
    for make, count in kinds:
        made = 0
        while made < count:
            family, what, files = make(random.Random(rng.getrandbits(64)))
            key = hashlib.sha256(repr(sorted(files.items())).encode()).digest()
            if key not in seen:
                seen.add(key)
                made += 1
                yield family, what, files


def ask_model(folder):
    import torch
    import transformers

    load = lambda **how: transformers.AutoModelForCausalLM.from_pretrained(
        folder, trust_remote_code=True, torch_dtype=torch.float32, **how
    )
    model = load()
    found = {"parameters": sum(parameter.numel() for parameter in model.parameters())}
    answer = load(output_loading_info=True)
    # Our own loader says nothing: it makes nothing up.
    if isinstance(answer, tuple):
        found["made_up"] = len(answer[1]["missing_keys"]) + len(answer[1].get("mismatched_keys", ()))
    # Another loss each time.
    if found.get("made_up"):
        return found
    total, count = 0.0, 0
    for ids in IDS:
        ids = torch.tensor([ids])
        with torch.no_grad():
            logits = model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits[0, :-1].to(torch.float64)
        total += torch.nn.functional.cross_entropy(logits, ids[0, 1:], reduction="sum").item()
        count += ids.numel() - 1
    return found | {"nats": round(total / count, 9) if total == total else None}


def ask_tokenizer(folder):
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
    return {"ids": [list(tokenizer(text, truncation=True, max_length=MAX_LENGTH)["input_ids"]) for text in TEXTS]}


def warm_up():
    """Imports what the processes need, once for all."""
    for packed, family in [(False, "qwen3"), (False, "llama"), (False, "qwen3_5"), (True, "qwen3")]:
        with tempfile.TemporaryDirectory() as place:
            for name, data in Folder(family, packed).all().items():
                pathlib.Path(place, name).write_bytes(data)
            pathlib.Path(place, "tokenizer.json").write_text(json.dumps(sound()))
            for ask_one in (ask_model, ask_tokenizer):
                with contextlib.suppress(Exception):
                    ask_one(pathlib.Path(place))


def ask(family, files):
    """What transformers says; once more where torch fell over the threads of another process."""
    for _ in range(3):
        answer = ask_once(family, files)
        if answer is None or "INTERNAL ASSERT" not in answer.get("says", ""):
            return answer
    return None


def ask_once(family, files):
    """What transformers says, in a process of its own; none if it takes too long."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        signal.alarm(SECONDS)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with tempfile.TemporaryDirectory(prefix="m") as place:
            os.environ["HF_MODULES_CACHE"] = place + "/modules"
            folder = pathlib.Path(place) / "model"
            for name, data in files.items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(data)
            try:
                answer = (ask_tokenizer if family.startswith("tokenizer") else ask_model)(folder)
            # What Rust panics with is no Exception.
            except BaseException as error:
                answer = {"error": type(error).__name__, "says": str(error).replace(place, "").replace(sys.prefix, "")[:160]}
            os.write(write, json.dumps(answer).encode())
            shutil.rmtree(place, ignore_errors=True)
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return json.loads(text) if text else None


def read(target):
    """The recorded seed, and each folder with its answers."""
    if not target.exists():
        return {}, []
    stream, found = io.BytesIO(lzma.decompress(target.read_bytes())), []
    head = json.loads(stream.readline())
    for _ in range(head["folders"]):
        line = json.loads(stream.readline())
        found.append((line, {name: stream.read(size) for name, size in line["files"]}))
    return head, found


def write(seed, target):
    os.environ |= {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import torch
    import transformers

    torch.set_num_threads(1)
    # Weights that are left out and not made up either are NaN then, not what lay in that memory: 4.57.6 has such.
    torch.use_deterministic_algorithms(True)
    transformers.logging.set_verbosity_error()
    sys.stderr = open(os.devnull, "w")
    version = transformers.__version__
    warm_up()
    head, old = read(target)
    answers = [line["answers"] for line, _ in old] if head.get("seed") == seed else []
    out, taken, unanswered = [], 0, 0
    for number, (family, what, files) in enumerate(folders(seed)):
        answer = ask(family, files)
        taken += answer is not None and "error" not in answer
        unanswered += answer is None
        kept = {
            key: value for key, value in (answers[number] if number < len(answers) else {}).items() if key != version
        }
        written = {} if family == "given" else files
        line = {
            "family": family,
            "what": what,
            "files": [[name, len(data)] for name, data in written.items()],
            "answers": kept | {version: answer},
        }
        out.append(json.dumps(line).encode() + b"\n" + b"".join(written.values()))
    head = {"seed": seed, "folders": len(out), "ids": IDS, "texts": TEXTS, "max_length": MAX_LENGTH}
    target.write_bytes(lzma.compress(json.dumps(head).encode() + b"\n" + b"".join(out), preset=9 | lzma.PRESET_EXTREME))
    print(
        f"transformers {version}: {len(out)} folders, {taken} load, {unanswered} without an answer, {target.stat().st_size} bytes"
    )


def show(number):
    line, files = read(RECORDED)[1][number]
    print(json.dumps(line, indent=1))
    for name, data in files.items():
        print(f"--- {name}\n{data[:2_048].decode('utf-8', 'backslashreplace')}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(int(sys.argv[2]))
    else:
        seed, target = sys.argv[1:3] or (SEED, RECORDED)
        write(int(seed), pathlib.Path(target))
