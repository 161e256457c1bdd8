#!/usr/bin/env python3
"""Archives and what CPython's zipfile and tarfile make of them, as the validator uses the two.

Makes small archives from a seed, sound ones and ones with something odd about them, unpacks each as the validator
does, and writes both to archives.xz: for each a line of JSON (its family, what is odd, its length in bytes, and the
files with a hash each, or the class of the exception), then the archive. `cargo test -p conformance --test
differential` holds bitgauge to it.

    tests/differential/archives.py              # write archives.xz anew; as root, like the recorded run
    tests/differential/archives.py --show 17    # what number 17 is
    tests/differential/archives.py 15 other.xz  # another seed, for BITGAUGE_ARCHIVES=other.xz cargo test ...

Needs nothing but CPython's standard library. No archive here leads out of its folder unseen, unpacks to more than a
megabyte, or makes a reader crash or hang: what takes longer than a few seconds is left out.
"""

import hashlib
import io
import json
import lzma
import os
import pathlib
import random
import resource
import signal
import stat
import sys
import tarfile
import tempfile
import zipfile

from tars import make_tar
from zips import make_zip

SEED = 14
COUNT = 2_600
HERE = pathlib.Path(__file__).parent
RECORDED = HERE / "archives.xz"


def check_names(root, names):
    for name in names:
        path = os.path.normpath(os.path.join(root, name))
        if path != root and not path.startswith(root + os.sep):
            raise RuntimeError("unsafe archive path")


def unpack(archive, root):
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as opened:
            check_names(root, opened.namelist())
            opened.extractall(root)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as opened:
            check_names(root, [member.name for member in opened.getmembers()])
            opened.extractall(root)
    else:
        raise RuntimeError("submission artifact must be a directory, .zip, or tar archive")


def files_below(root):
    found = {}
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            shown = os.fsencode(os.path.relpath(path, root)).decode("utf-8", "backslashreplace")
            if stat.S_ISREG(os.lstat(path).st_mode):
                found[shown] = hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()[:12]
            else:
                found[shown] = "no file"
    return dict(sorted(found.items()))


class TooLong(BaseException):
    pass


def too_long(*_):
    raise TooLong


def answer(data):
    """The files with their hashes, or the exception's class."""
    with tempfile.TemporaryDirectory(prefix="a") as folder:
        archive = os.path.join(folder, "m")
        root = os.path.join(folder, "artifact")
        os.mkdir(root)
        pathlib.Path(archive).write_bytes(data)
        signal.alarm(5)
        try:
            unpack(archive, root)
            return files_below(root)
        except Exception as error:
            return type(error).__name__
        finally:
            signal.alarm(0)


def archives(seed):
    seen = set()
    rng = random.Random(seed)
    while len(seen) < COUNT:
        kind, what, data = (make_tar if rng.random() < 0.6 else make_zip)(random.Random(rng.getrandbits(64)))
        if data not in seen:
            seen.add(data)
            yield kind, what, data


def write(seed, target):
    signal.signal(signal.SIGALRM, too_long)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 20, 16 << 20))
    out, left_out, taken = [], 0, 0
    for kind, what, data in archives(seed):
        try:
            found = answer(data)
        except TooLong:
            left_out += 1
            continue
        taken += isinstance(found, dict)
        line = {"family": kind, "what": what, "bytes": len(data), "python": found}
        out.append(json.dumps(line).encode() + b"\n" + data)
    head = {"python": sys.version.split()[0], "seed": seed, "archives": len(out), "root": os.geteuid() == 0}
    target.write_bytes(lzma.compress(json.dumps(head).encode() + b"\n" + b"".join(out), preset=9))
    print(head, f"{taken} read, {len(out) - taken} refused, {left_out} left out, {target.stat().st_size} bytes")


def show(number):
    stream = io.BytesIO(lzma.decompress(RECORDED.read_bytes()))
    print(stream.readline().decode(), end="")
    for _ in range(number + 1):
        line = json.loads(stream.readline())
        data = stream.read(line["bytes"])
    print(json.dumps(line, indent=1))
    print(data[:2_048])


if __name__ == "__main__":
    if sys.argv[1:2] == ["--show"]:
        show(int(sys.argv[2]))
    else:
        seed, target = sys.argv[1:3] or (SEED, RECORDED)
        write(int(seed), pathlib.Path(target))
