"""Makes a small model in each writer's format with the writer itself, and compares the writer's loss with bitgauge's, before
and after `bitgauge pack`. See README.md.

    python peers.py BITGAUGE [NAME...]
"""

import contextlib
import importlib.metadata
import pathlib
import sys
import tempfile

import torch
import transformers
import writers
from transformers import AutoModelForCausalLM
from writers import EXACT, KEPT, bitgauge, bitgauge_nats, dense, families, transformers_nats


def verdict(stored):
    """What transformers makes of a folder and what bitgauge says of it: the words, and whether they agree."""
    report = bitgauge("inspect", stored)
    gates = {gate["id"]: gate for gate in report["gates"]}
    loads = gates["loadable"]["outcome"] == "pass"
    try:
        model = AutoModelForCausalLM.from_pretrained(stored, trust_remote_code=True, dtype=torch.float32)
    except Exception:
        return "does not load", not loads
    counted = sum(parameter.numel() for parameter in model.parameters())
    fits = loads and counted == gates["parameter_count"]["got"]
    return str(counted) if fits else f"{counted}, not {gates['parameter_count']['got']}", fits


def compare(name, write, few, family, work):
    """The line to print, and whether all is well."""
    source = dense(work / "dense", few, family)
    peer, bound = write(source, work / "stored")
    stored = work / "stored"
    ours = bitgauge_nats(stored, work)
    says, is_judged = verdict(stored)
    packed = work / "packed"
    summary = bitgauge("pack", stored, packed, "--fit", "least-squares")
    after = bitgauge_nats(packed, work)
    loaded = transformers_nats(packed)
    rounds = any("rounds the inputs" in note for note in summary["notes"])
    is_kept = summary["exact"] == summary["packed"] and summary["rounded"] == 0 and not rounds
    ok = is_judged and abs(peer - ours) <= bound and abs(after - loaded) <= EXACT
    if is_kept:
        ok = ok and abs(after - ours) <= KEPT
    elif not rounds:
        # What is packed with an error has another loss, or nothing was compared.
        ok = ok and abs(after - ours) > KEPT
    kept = f"{summary['exact']}/{summary['packed']}"
    line = f"{name:24}{peer:>10.6f}{ours:>10.6f}  {abs(peer - ours):.1e}{after:>11.6f}{loaded:>10.6f}  {abs(after - loaded):.1e}  {kept:>6}  {says}"
    return line, ok


def main():
    names = ("torch", "transformers", "mlx", "mlx-lm", "gptqmodel", "compressed-tensors", "bitsandbytes", "torchao", "gguf")
    print(", ".join(f"{name} {importlib.metadata.version(name)}" for name in names))
    print("nats a token of the writer, of bitgauge; packed: of bitgauge, of transformers; matrices kept as they are; "
          "parameters that transformers and bitgauge count")
    passed, failed = 0, 0
    for name, (write, few, family) in families().items():
        if len(sys.argv) > 2 and name not in sys.argv[2:]:
            continue
        with tempfile.TemporaryDirectory() as folder:
            try:
                # Some writers print, and the table is to be read.
                with contextlib.redirect_stdout(sys.stderr):
                    line, ok = compare(name, write, few, family, pathlib.Path(folder))
            except Exception as error:
                line, ok = f"{name:24}{type(error).__name__}: {str(error)[:400]}", False
        print(f"{'ok  ' if ok else 'FAIL'}  {line}", flush=True)
        passed, failed = passed + ok, failed + (not ok)
    print(f"cases: {passed} passed, {failed} failed")
    return failed > 0 or passed == 0


if __name__ == "__main__":
    writers.BITGAUGE = sys.argv[1]
    transformers.logging.set_verbosity_error()
    sys.exit(main())
