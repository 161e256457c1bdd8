#!/usr/bin/env python3
"""Writes grids.rs from the tables in ggml's Python package.

    python -m venv venv && venv/bin/pip install gguf==0.19.0
    venv/bin/python core/src/format/blocks/grids.py
"""

import pathlib

import gguf.quants as quants
import numpy as np

TABLES = [
    ("IQ1_S", "Rows of IQ1_S and IQ1_M: eight values of two bits, the first lowest."),
    ("IQ2_XXS", "Rows of IQ2_XXS: eight levels of two bits, the first lowest."),
    ("IQ2_XS", "Rows of IQ2_XS."),
    ("IQ2_S", "Rows of IQ2_S."),
    ("IQ3_XXS", "Rows of IQ3_XXS: four levels in four bits each, the first lowest."),
    ("IQ3_S", "Rows of IQ3_S."),
]
NUMBERS_IN_A_LINE = 14

HEAD = """//! The tables that the IQ types' codes name rows of, as grids.py wrote them from ggml's Python package.
"""


def rows(kind):
    """Each row as one number: the places of its values among the levels."""
    kind.init_grid()
    levels = np.array(kind.grid_map, dtype=np.float32)
    bits = 2 if len(levels) == 3 else 4
    places = np.searchsorted(levels, kind.grid.reshape(kind.grid_shape))
    assert np.array_equal(levels[places], kind.grid.reshape(kind.grid_shape))
    return [sum(int(place) << (bits * i) for i, place in enumerate(row)) for row in places]


def table(name, words):
    numbers = rows(getattr(quants, name))
    lines = [numbers[i : i + NUMBERS_IN_A_LINE] for i in range(0, len(numbers), NUMBERS_IN_A_LINE)]
    body = "".join("    " + " ".join(f"{n:#06x}," for n in line) + "\n" for line in lines)
    return f"\n/// {words}\n#[rustfmt::skip]\npub(super) static {name}: [u16; {len(numbers)}] = [\n{body}];\n"


text = HEAD + "".join(table(name, words) for name, words in TABLES)
pathlib.Path(__file__).with_suffix(".rs").write_text(text)
