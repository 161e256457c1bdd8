"""Zips with something odd about them."""

import bz2
import io
import lzma
import struct
import zipfile
import zlib

from contents import CONFIG, LONG_NAMES, NAMES, text


def raw_deflate(data, level=6):
    packer = zlib.compressobj(level, zlib.DEFLATED, -15)
    return packer.compress(data) + packer.flush()


def zip_lzma(data, marked=True, properties=b"]\0\0\x80\0", version=b"\x09\x04"):
    filters = [{"id": lzma.FILTER_LZMA1}]
    if marked:
        stream = lzma.compress(data, lzma.FORMAT_RAW, filters=filters)
    else:
        alone = lzma.compress(data, lzma.FORMAT_ALONE)[13:]
        stream = alone[:-6]
    return version + struct.pack("<H", len(properties)) + properties + stream


def compressed(method, data):
    return {0: lambda: data, 8: lambda: raw_deflate(data), 12: lambda: bz2.compress(data), 14: lambda: zip_lzma(data)}.get(
        method, lambda: data)()


class Entry:
    def __init__(self, name, data, method=0):
        self.name, self.data, self.method = name, data, method
        self.stored = compressed(method, data)
        self.flags = 2 if method == 14 else 0
        self.version, self.system, self.attributes = 20, 3, (0o40755 if name.endswith(b"/") else 0o100644) << 16
        self.crc, self.bytes = zlib.crc32(data), len(data)
        self.extra = self.local_extra = b""
        self.comment = b""
        self.local = {}
        self.descriptor = b""
        self.offset_off = 0
        self.disk = 0
        self.size_fields = None

    def local_header(self):
        get = lambda field, value: self.local.get(field, value)
        name = get("name", self.name)
        stored, length = get("stored", len(self.stored)), get("bytes", self.bytes)
        head = struct.pack("<4s2B4HL2L2H", b"PK\3\4", get("version", self.version), 0, get("flags", self.flags), get("method", self.method),
                           0, 0x5821, get("crc", self.crc), stored, length, len(name), len(self.local_extra))
        return head + name + self.local_extra + self.stored + self.descriptor

    def central(self, offset):
        stored, length = self.size_fields or (len(self.stored), self.bytes)
        offset = 0xFFFFFFFF if self.offset_off is None else (offset + self.offset_off) & 0xFFFFFFFF
        head = struct.pack("<4s4B4HL2L5H2L", b"PK\1\2", 20, self.system, self.version, 0, self.flags, self.method, 0, 0x5821, self.crc,
                           stored, length, len(self.name), len(self.extra), len(self.comment), self.disk, 0, self.attributes, offset)
        return head + self.name + self.extra + self.comment


class Zip:
    def __init__(self, rng):
        names = [b"config.json", b"tokenizer.json", b"README.md", b"code/modeling.py", b"notes.txt"]
        self.entries = [Entry(name, CONFIG if name == b"config.json" else text(rng), rng.choice([0, 0, 8, 8, 8, 12, 14]))
                        for name in names[: rng.randrange(2, 6)]]
        if rng.random() < 0.2:
            self.entries.insert(0, Entry(b"code/", b""))
        self.comment, self.front, self.between, self.behind = b"", b"", b"", b""
        self.end = {}
        self.zip64 = None
        self.hook = None

    def joined(self):
        out, offsets = self.front, []
        base = 0 if self.end.get("shifted") is None else len(self.front)
        for entry in self.entries:
            offsets.append(len(out) - base)
            out += entry.local_header()
        out += self.between
        directory = b"".join(entry.central(offset) for entry, offset in zip(self.entries, offsets))
        start = len(out)
        out += directory
        count = len(self.entries)
        values = {"disk": 0, "start_disk": 0, "here": count, "count": count, "bytes": len(directory), "offset": start - base}
        values.update({key: value for key, value in self.end.items() if key in values})
        if self.zip64 is not None:
            long = {**{"here": count, "count": count, "bytes": len(directory), "offset": start, "disks": 1, "extra": b"", "at": len(out),
                       "signature": b"PK\6\6", "size": 44}, **self.zip64}
            out += struct.pack("<4sQ2H2L4Q", long["signature"], long["size"], 45, 45, 0, 0, long["here"], long["count"], long["bytes"],
                               long["offset"]) + long["extra"]
            out += struct.pack("<4sLQL", b"PK\6\7", 0, long["at"], long["disks"])
        out += struct.pack("<4s4H2LH", b"PK\5\6", values["disk"], values["start_disk"], values["here"] & 0xFFFF, values["count"] & 0xFFFF,
                           values["bytes"] & 0xFFFFFFFF, values["offset"] & 0xFFFFFFFF,
                           self.end.get("comment_length", len(self.comment)) & 0xFFFF)
        return out + self.comment + self.behind


def field(number, body, length=None):
    return struct.pack("<HH", number, len(body) if length is None else length) + body


def zip_sound(rng, zip, odd):
    return "sound"


def zip_library(rng, zip, odd):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as writer:
        for entry in zip.entries:
            info = zipfile.ZipInfo(entry.name.decode(), (2024, 1, 1, 0, 0, 0))
            writer.writestr(info, entry.data, rng.choice([0, 8, 12, 14]))
        if rng.random() < 0.5:
            with writer.open(zipfile.ZipInfo("ä.txt", (2024, 1, 1, 0, 0, 0)), "w", force_zip64=True) as member:
                member.write(b"wide")
    zip.hook = lambda _: out.getvalue()
    return "by zipfile"


def zip_version(rng, zip, odd):
    odd.version = rng.choice([0, 10, 20, 45, 46, 51, 62, 63, 64, 65, 99, 255])
    if rng.random() < 0.3:
        odd.local["version"], odd.version = odd.version, 20
    odd.system = rng.choice([0, 3, 7, 10, 255])
    return f"version {odd.version} {odd.local}"


def zip_flags(rng, zip, odd):
    odd.flags |= 1 << rng.randrange(16)
    if odd.flags & 8:
        odd.descriptor = struct.pack("<LLL", odd.crc, len(odd.stored), odd.bytes)
    if rng.random() < 0.2:
        odd.local["flags"] = odd.flags ^ 1 << rng.randrange(16)
    return f"flags {odd.flags:#x} {odd.local}"


def zip_method(rng, zip, odd):
    odd.method = rng.choice([1, 6, 9, 10, 11, 12, 13, 14, 16, 18, 19, 20, 93, 95, 96, 97, 98, 99, 8, 0])
    if rng.random() < 0.5:
        odd.stored = compressed(odd.method, odd.data)
    return f"method {odd.method}"


def zip_name(rng, zip, odd):
    odd.name = rng.choice([name for name in NAMES + LONG_NAMES if name])
    if rng.random() < 0.4:
        odd.flags |= 1 << 11
    if odd.name.endswith(b"/") and rng.random() < 0.7:
        odd.data = odd.stored = b""
        odd.method, odd.crc, odd.bytes = 0, 0, 0
    return f"name {odd.name[:40]!r} flags {odd.flags:#x}"


def zip_local_differs(rng, zip, odd):
    key = rng.choice(["name", "flags", "method", "crc", "stored", "bytes"])
    odd.local[key] = {"name": b"other.txt", "flags": odd.flags ^ rng.choice([1, 2, 8, 1 << 11]), "method": rng.choice([0, 8, 12]),
                      "crc": rng.choice([0, 1]), "stored": rng.choice([0, 1, 0xFFFFFFFF]), "bytes": rng.choice([0, 1, 0xFFFFFFFF])}[key]
    return f"local {key}"


def zip_extra(rng, zip, odd):
    unicode_path = field(0x7075, b"\1" + struct.pack("<L", zlib.crc32(rng.choice([odd.name, b"x"]))) + rng.choice([b"other.txt", odd.name]))
    wide = struct.pack("<QQQ", odd.bytes, len(odd.stored), 0)
    choices = [unicode_path, unicode_path, field(0x7075, b""), field(0x5455, b"\1" + b"\0" * 4), field(0x9999, b"abc"),
               field(0x9999, b"abc", 9), b"\1", b"\1\0\0", b"\0" * 5, field(1, b""), field(1, wide[:8]), field(1, wide), field(1, b"\1" * 4),
               field(1, wide[:16]) * 2, field(0x7875, b"\1\4\0\0\0\0\4\0\0\0\0"), field(0xA11E, b"\0" * 40)]
    odd.extra = rng.choice(choices)
    if rng.random() < 0.5:
        odd.local_extra = rng.choice([odd.extra, rng.choice(choices)])
    if rng.random() < 0.4:
        odd.extra = field(1, struct.pack("<QQ", odd.bytes, len(odd.stored))[: rng.choice([8, 16])])
        odd.size_fields = (rng.choice([0xFFFFFFFF, len(odd.stored)]), rng.choice([0xFFFFFFFF, odd.bytes]))
    return f"extra {odd.extra[:12].hex()}"


def zip_sizes(rng, zip, odd):
    what = rng.choice(["crc", "bytes+", "bytes-", "stored+", "stored-", "offset"])
    if what == "crc":
        odd.crc ^= 1
    elif what in ("bytes+", "bytes-"):
        odd.bytes = max(0, odd.bytes + (1 if what == "bytes+" else -1))
    elif what == "offset":
        odd.offset_off = rng.choice([-1, 1, 30, None])
    else:
        odd.size_fields = (max(0, len(odd.stored) + (1 if what == "stored+" else -1)), odd.bytes)
        if rng.random() < 0.5:
            odd.local["stored"] = odd.size_fields[0]
    return f"sizes: {what}"


def zip_descriptor(rng, zip, odd):
    odd.flags |= 8
    values = (odd.crc, len(odd.stored), odd.bytes)
    short, long = struct.pack("<LLL", *values), struct.pack("<LQQ", *values)
    wrong = struct.pack("<LLL", odd.crc ^ 1, *values[1:])
    odd.descriptor = rng.choice([short, b"PK\7\x08" + short, long, b"PK\7\x08" + long, b"", wrong, b"x" * 12, short + b"x", short[:8]])
    if rng.random() < 0.7:
        odd.local.update({"crc": 0, "stored": 0, "bytes": 0})
    return f"descriptor of {len(odd.descriptor)}"


def zip_attributes(rng, zip, odd):
    odd.attributes = rng.choice([0, 0x10, 0o40755 << 16 | 0x10, 0o120777 << 16, 0o100000 << 16, 0o644 << 16, 0o20644 << 16, 0o10644 << 16,
                                 0o140644 << 16, 0xFFFFFFFF, 0o100777 << 16 | 0x3F])
    odd.system = rng.choice([0, 3, 3])
    return f"attributes {odd.attributes:#x}"


def zip_stream(rng, zip, odd):
    odd.method = rng.choice([8, 12, 14, 14])
    data = odd.data or b"data"
    odd.data, odd.crc, odd.bytes = data, zlib.crc32(data), len(data)
    good = compressed(odd.method, data)
    what = rng.choice(["behind", "cut", "flip", "two streams", "empty", "unmarked", "properties", "stored blocks", "twice"])
    odd.stored = {
        "behind": lambda: good + rng.choice([b"x", b"\0", b"garbage" * 3]),
        "cut": lambda: good[: -rng.choice([1, 2, 4, 6, 10])],
        "flip": lambda: flipped(rng, good),
        "two streams": lambda: compressed(odd.method, data[:2]) + compressed(odd.method, data[2:]),
        "empty": lambda: b"",
        "unmarked": lambda: zip_lzma(data, marked=False) if odd.method == 14 else good,
        "properties": lambda: zip_lzma(data, properties=rng.choice([b"]\0\0\x80", b"]\0\0\x80\0\0", b"\xe1\0\0\x80\0", b"]\0\x10\0\0",
                                                                    b"\x5e\0\0\x80\0", b"", b"]\xff\xff\xff\xff"]),
                                       version=rng.choice([b"\x09\x04", b"\0\0"])) if odd.method == 14 else good,
        "stored blocks": lambda: raw_deflate(data, 0) if odd.method == 8 else good,
        "twice": lambda: good + good,
    }[what]()
    if what == "empty":
        odd.data, odd.crc, odd.bytes = b"", 0, 0
    return f"stream of {odd.method}: {what}"


def flipped(rng, data):
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ 1 << rng.randrange(8)]) + data[at + 1 :]


def zip_twice(rng, zip, odd):
    what = rng.choice(["file", "folder", "file below a file", "file and folder", "folder and file", "case", "overlap"])
    f, d = lambda name, data=b"again": Entry(name, data, 8), lambda name: Entry(name, b"")
    zip.entries.extend({
        "file": [f(b"t.txt"), f(b"t.txt", b"other")],
        "folder": [d(b"t/"), f(b"t/a"), d(b"t/")],
        "file below a file": [f(b"t"), f(b"t/a")],
        "file and folder": [f(b"t"), d(b"t/")],
        "folder and file": [d(b"t/"), f(b"t")],
        "case": [f(b"t"), f(b"T")],
        "overlap": [],
    }[what])
    if what == "overlap":
        again = Entry(odd.name, odd.data, odd.method)
        zip.entries.append(again)
    return f"twice: {what}"


def zip_folder(rng, zip, odd):
    folder = Entry(rng.choice([b"dir/", b"dir/sub/", b"dir//"]), rng.choice([b"", b"contents"]), rng.choice([0, 8, 12]))
    folder.attributes = rng.choice([0, 0x10, 0o40755 << 16 | 0x10, 0o100644 << 16])
    zip.entries.insert(rng.randrange(2), folder)
    return f"folder {folder.name!r} {len(folder.data)}"


def zip_end(rng, zip, odd):
    what = rng.choice(["comment", "comment too long", "comment too short", "behind", "front", "front shifted", "between", "count", "here",
                       "disk", "bytes", "offset", "comment with an end"])
    if what.startswith("comment"):
        zip.comment = rng.choice([b"hello", b"x" * 300, b"PK\5", b"\0"])
        if what == "comment too long":
            zip.end["comment_length"] = len(zip.comment) + 3
        elif what == "comment too short":
            zip.end["comment_length"] = 0
        elif what == "comment with an end":
            zip.comment = b"a" + struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 0, 0, 0, 0, rng.choice([0, 4])) + rng.choice([b"", b"abcd"])
    elif what == "behind":
        zip.behind = rng.choice([b"x", b"\0" * 22, b"\n", b"x" * 100])
    elif what in ("front", "front shifted"):
        zip.front = rng.choice([b"#!/bin/sh\n", b"\0", b"{", b"x" * 600])
        if what == "front":
            zip.end["shifted"] = 1
    elif what == "between":
        zip.between = rng.choice([b"x", b"\0" * 10])
    else:
        count = len(zip.entries)
        zip.end.update({"count": {"count": rng.choice([0, count + 1, count - 1])}, "here": {"here": count + 1},
                        "disk": {rng.choice(["disk", "start_disk"]): 1}, "bytes": {"bytes": rng.choice([0, 46, 0xFFFFFFFF])},
                        "offset": {"offset": rng.choice([0, 1, 0xFFFFFFFF])}}[what])
    return f"end: {what}"


def zip_wide(rng, zip, odd):
    zip.zip64 = rng.choice([{}, {}, {"disks": 0}, {"disks": 2}, {"count": 99}, {"here": 99}, {"bytes": 1}, {"offset": 1}, {"extra": b"xx"},
                            {"at": 0}, {"signature": b"PK\6\5"}, {"size": 0}])
    if rng.random() < 0.6:
        zip.end.update(rng.choice([{"count": 0xFFFF, "here": 0xFFFF}, {"offset": 0xFFFFFFFF}, {"bytes": 0xFFFFFFFF},
                                   {"count": 0xFFFF, "here": 0xFFFF, "offset": 0xFFFFFFFF, "bytes": 0xFFFFFFFF}]))
    return f"zip64 {zip.zip64}"


def zip_flip(rng, zip, odd):
    def hook(data):
        for _ in range(rng.choice([1, 1, 2])):
            data = flipped(rng, data)
        return data
    zip.hook = hook
    return "bits anywhere"


def zip_cut(rng, zip, odd):
    cut = rng.random()
    zip.hook = lambda data: data[: int(len(data) * cut)]
    return "cut"


ZIP_FAMILIES = [zip_sound, zip_library, zip_library, zip_version, zip_version, zip_flags, zip_flags, zip_method, zip_name, zip_name, zip_name,
                zip_local_differs, zip_local_differs, zip_extra, zip_extra, zip_extra, zip_sizes, zip_descriptor, zip_attributes, zip_stream,
                zip_stream, zip_stream, zip_twice, zip_folder, zip_end, zip_end, zip_wide, zip_flip, zip_flip, zip_cut]


def make_zip(rng):
    zip = Zip(rng)
    odd = Entry(b"odd.txt", text(rng, 200) + b"!", rng.choice([0, 8, 8, 12, 14]))
    what = rng.choice(ZIP_FAMILIES)(rng, zip, odd)
    zip.entries.insert(rng.randrange(len(zip.entries) + 1), odd)
    data = zip.joined()
    return "zip", what, zip.hook(data) if zip.hook else data
