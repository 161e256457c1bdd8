"""Runs the program `bitgauge` of this package, and reads its reports.

    import bitgauge

    report = bitgauge.inspect("model.zip")
    print(report.verdict, report.size_bytes)
    report = bitgauge.eval("model.zip", documents=["heldout.jsonl"])
    print(report.heldout_ppl)
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Optional, Sequence, Union

__all__ = ["Error", "Gate", "Report", "eval", "find_program", "inspect"]

StrPath = Union[str, "os.PathLike[str]"]
Verdict = Literal["eligible", "not-eligible", "inconclusive"]

# The exit status of wrong usage, an IO error or malformed input.
_FAULT = 2


class Error(RuntimeError):
    """The program failed; the message is its own."""


@dataclass(frozen=True)
class Gate:
    """One check of an artifact: what it got, what is allowed, what is left (negative: over)."""

    id: str
    title: str
    outcome: Literal["pass", "fail", "not-run"]
    got: Optional[int]
    wanted: Optional[int]
    margin: Optional[int]
    unit: str


@dataclass(frozen=True)
class Report:
    """What was found. `data` is the whole report as the program writes it."""

    data: dict[str, Any]

    @property
    def verdict(self) -> Verdict:
        """Whether the artifact is eligible."""
        return self.data["verdict"]

    @property
    def size_bytes(self) -> int:
        """The artifact's size in bytes."""
        return self.data["artifact"]["size_bytes"]

    @property
    def sha256(self) -> Optional[str]:
        """The SHA-256 of an artifact that is one file and was read to the end."""
        return self.data["artifact"].get("sha256")

    @property
    def gates(self) -> list[Gate]:
        """Every check, in order."""
        names = Gate.__dataclass_fields__
        return [Gate(**{name: gate.get(name) for name in names}) for gate in self.data["gates"]]

    @property
    def heldout_ppl(self) -> Optional[float]:
        """The perplexity, if it was measured."""
        evaluation = self.data.get("evaluation")
        return evaluation and evaluation["heldout_ppl"]

    @property
    def cross_entropy_nats(self) -> Optional[float]:
        """The mean loss in nats per token, if it was measured."""
        evaluation = self.data.get("evaluation")
        return evaluation and evaluation["cross_entropy_nats"]


def find_program() -> str:
    """The path of the program: that of this environment, else that of PATH."""
    name = "bitgauge" + (sysconfig.get_config_var("EXE") or "")
    schemes = [sysconfig.get_default_scheme(), f"{os.name}_user"] if hasattr(sysconfig, "get_default_scheme") else [None]
    for scheme in schemes:
        folder = sysconfig.get_path("scripts", scheme) if scheme else sysconfig.get_path("scripts")
        if folder and Path(folder, name).is_file():
            return str(Path(folder, name))
    found = shutil.which("bitgauge")
    if found is None:
        raise FileNotFoundError(f"{name} is neither among this environment's scripts nor on PATH")
    return found


def inspect(path: StrPath, *, pack: Literal["binary", "ternary"] = "binary", headers_only: bool = False) -> Report:
    """Judges an artifact. Raises `Error` if it can't be judged."""
    options = ["--headers-only"] if headers_only else []
    return _report(["inspect", os.fspath(path), "--pack", pack, *options])


def eval(
    path: StrPath,
    documents: Sequence[StrPath] = (),
    *,
    device: str = "auto",
    max_tokens: Optional[int] = None,
    pack: Literal["binary", "ternary"] = "binary",
    options: Sequence[str] = (),
) -> Report:
    """Measures the perplexity of a model on documents, by default on the demo's.

    `options` are further options of `bitgauge eval`. Raises `Error` if it can't be measured.
    """
    named = [part for document in documents for part in ("--documents", os.fspath(document))]
    longest = [] if max_tokens is None else ["--max-tokens", str(max_tokens)]
    return _report(["eval", os.fspath(path), "--pack", pack, "--device", device, *named, *longest, *options])


def _report(arguments: list[str]) -> Report:
    command = [find_program(), "--quiet", "--format", "json", *arguments]
    finished = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, encoding="utf-8")
    if finished.returncode == _FAULT or not finished.stdout:
        raise Error(finished.stderr.strip() or f"the program ended with status {finished.returncode}")
    return Report(json.loads(finished.stdout))
