#!/usr/bin/env bash
# CPython 3.11.7: a valid .xz with four or eight zeros of stream padding can't be read to its end.
#
# The xz format lets zeros follow a stream, in multiples of four bytes, and python-xz 0.5.0 reads such files as meant.
# The lzma module looks for another stream behind the first one and takes zeros for the older .lzma format, which has no
# magic number: thirteen of them are its header, eighteen a whole file that unpacks to nothing. So four or eight zeros
# are a file that was cut off (EOFError), thirty-six are read, and so are eighteen, which the format forbids and python-xz
# refuses. tarfile reads .tar.xz through this module. Source: Lib/_compression.py, DecompressReader.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet 'python-xz==0.5.0'

cat >"$folder/try.py" <<'PYTHON'
import io, lzma
import xz

def said(read):
    try:
        return read().decode()
    except Exception as error:
        return type(error).__name__

whole = lzma.compress(b"contents")
for zeros in (0, 4, 8, 18, 36):
    data = whole + bytes(zeros)
    print(f"{zeros} zeros: lzma.open {said(lambda: lzma.open(io.BytesIO(data)).read())},",
          f"xz.open {said(lambda: xz.open(io.BytesIO(data)).read())}")
PYTHON

cat >"$folder/expected" <<'OUTPUT'
0 zeros: lzma.open contents, xz.open contents
4 zeros: lzma.open EOFError, xz.open contents
8 zeros: lzma.open EOFError, xz.open contents
18 zeros: lzma.open contents, xz.open XZError
36 zeros: lzma.open contents, xz.open contents
OUTPUT
"$folder/env/bin/python" "$folder/try.py" | tee "$folder/seen"
diff "$folder/expected" "$folder/seen"
