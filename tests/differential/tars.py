"""Tars with something odd about them, plain and compressed."""

import bz2
import gzip
import io
import lzma
import struct
import tarfile

from contents import CONFIG, LONG_NAMES, NAMES, text

BLOCK = 512

def octal(number, width):
    return b"%0*o\0" % (width - 1, number)


FIELDS = {
    "name": (0, 100),
    "mode": (100, 108),
    "uid": (108, 116),
    "gid": (116, 124),
    "size": (124, 136),
    "mtime": (136, 148),
    "checksum": (148, 156),
    "type": (156, 157),
    "link": (157, 257),
    "magic": (257, 265),
    "uname": (265, 297),
    "gname": (297, 329),
    "major": (329, 337),
    "minor": (337, 345),
    "prefix": (345, 500),
    "rest": (500, 512),
}
MAGICS = {"ustar": b"ustar\x0000", "gnu": b"ustar  \0", "v7": b"\0" * 8}


def set_field(block, field, value):
    start, end = FIELDS[field]
    block[start:end] = value[: end - start].ljust(end - start, b"\0")


def checksum(block):
    return sum(block[:148]) + sum(block[156:]) + 8 * 32


def tar_header(name, kind=b"0", size=0, magic="ustar", fields=None, sum_as=None):
    block = bytearray(BLOCK)
    values = {
        "name": name,
        "mode": b"0000644\0",
        "uid": b"0000000\0",
        "gid": b"0000000\0",
        "size": octal(size, 12),
        "mtime": octal(1_700_000_000, 12),
        "type": kind,
        "magic": MAGICS[magic],
        **(fields or {}),
    }
    for field, value in values.items():
        set_field(block, field, value)
    if "checksum" not in values:
        total = checksum(block)
        block[148:156] = sum_as(total, block) if sum_as else b"%06o\0 " % total
    return bytes(block)


def padded(data, padding=b"\0"):
    missing = -len(data) % BLOCK
    return data + (padding * missing)[:missing]


def tar_member(name, data=b"", kind=b"0", padding=b"\0", **more):
    return tar_header(name, kind, len(data), **more) + padded(data, padding)


def record(key, value):
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest)
    while length != len(rest) + len(str(length)):
        length = len(rest) + len(str(length))
    return str(length).encode() + rest


NUMBERS = {
    8: [b"0000755\0", b"755 \0\0\0\0", b"    755\0", b"00000755", b"\0" * 8, b"        ", b"\t755\0\0\0\0", b"\x0b755\0",
        b"0o755\0\0\0", b"+755\0\0\0\0", b"-755\0\0\0\0", b"7_5\0\0\0\0\0", b"0000789\0", b"notanum\0", b"7x5\0\0\0\0\0",
        b"755\x00999", b"7 5\0\0\0\0\0", b"\xc3\xa4\0\0\0\0\0\0", b"0x1f\0\0\0\0", b"77777777", b"\x80\0\0\0\0\0\1\xed",
        b"\x80\0\0\0\x7f\xff\xff\xff", b"\x80\0\0\0\xff\xff\xff\xff", b"\x80\0\0\1\0\0\0\0", b"\x80\1\0\0\0\0\0\0",
        b"\x80\xff\xff\xff\xff\xff\xff\xff", b"\x81\0\0\0\0\0\0\1", b"\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\xff\xff\xff\xff\xff\xff\xff\xfe", b"\xc0\0\0\0\0\0\0\0", b"1.5\0\0\0\0\0", b"1e3\0\0\0\0\0"],
    12: [b"14524530000\0", b"1 \0\0\0\0\0\0\0\0\0\0", b"        7777", b"777777777777", b"\0" * 12, b" " * 12,
         b"0o17\0\0\0\0\0\0\0\0", b"1_7\0\0\0\0\0\0\0\0\0", b"+17\0\0\0\0\0\0\0\0\0", b"-17\0\0\0\0\0\0\0\0\0",
         b"9\0\0\0\0\0\0\0\0\0\0\0", b"yesterday\0\0\0", b"\x80" + b"\0" * 10 + b"\5", b"\x80\0\0\0\x7f" + b"\xff" * 7,
         b"\x80\0\0\0\x80" + b"\0" * 7, b"\x80\0\0\1" + b"\0" * 8, b"\x81" + b"\0" * 10 + b"\5", b"\xff" * 12,
         b"\xff" * 11 + b"\xfe", b"1.5\0\0\0\0\0\0\0\0\0"],
}
TIMES = [b"1700000000", b"1700000000.25", b"0", b"-1", b"-1.5", b"nan", b"NaN", b"inf", b"-Infinity", b"1e3", b"1e400", b"abc", b"",
         b" 5", b"5 ", b"1_000", b"9223372036854775807", b"9223372036854775808", b"99999999999999999999", b"1e19", b"+5", b"5.",
         b".5", b"0x10", "٣".encode(), b"1" * 18, b"1" * 400, b"5\0", b"1.2.3", b"1e", b"00000000000000000000000000001"]
IDS = [b"0", b"1000", b"4294967295", b"4294967296", b"-1", b"-2", b"abc", b"", b"1.0", b"1_0", b" 7", b"7 ", b"+7",
       b"99999999999999999999", "٣".encode(), b"1" * 5000, b"0x10", b"007", b"2147483648"]
CHARSETS = [b"ISO-IR 10646 2000 UTF-8", b"BINARY", b"UTF-8", b"", b"latin-1", b"\xff\xfe"]
KEYS = [b"comment", b"atime", b"ctime", b"SCHILY.xattr.user.a", b"LIBARCHIVE.creationtime", b"mtime ", b"Path", b"x y", b"a\nb",
        "ä".encode(), b"\xff", b"path2", b"charset", b"GNU.sparse.major", b"GNU.sparse.minor", b"GNU.sparse.name", b"typeflag"]
COMPRESSIONS = ["plain", "plain", "plain", "gz", "gz", "bz2", "xz", "lzma"]


class Tar:
    """Members as bytes, to be changed before they are joined."""

    def __init__(self, rng):
        self.rng = rng
        names = [b"config.json", b"tokenizer.json", b"README.md", b"code/modeling.py", b"notes.txt", b"extra/a.bin"]
        self.magic = rng.choice(["ustar", "ustar", "gnu", "v7"])
        self.files = [(name, CONFIG if name == b"config.json" else text(rng)) for name in names[: rng.randrange(2, 7)]]
        self.members = [tar_member(name, data, magic=self.magic) for name, data in self.files]
        if rng.random() < 0.2:
            self.members.insert(rng.randrange(2), tar_member(b"extra/", kind=b"5", magic=self.magic))
        self.end = b"\0" * (2 * BLOCK)

    def insert(self, *members):
        at = self.rng.randrange(len(self.members) + 1)
        self.members[at:at] = members

    def joined(self):
        return b"".join(self.members) + self.end


def odd_header_number(rng, tar):
    field = rng.choice(["mode", "uid", "gid", "mtime", "major", "minor", "size", "mode", "mtime"])
    width = FIELDS[field][1] - FIELDS[field][0]
    value = rng.choice(NUMBERS[width])
    if field == "size" and value[0] == 0xFF:
        value = b"5".ljust(12, b"\0")
    kind = rng.choice([b"0", b"0", b"0", b"5", b"\0", b"7"])
    size = 5 if field != "size" and kind != b"5" else 0
    data = padded(b"12345") if kind != b"5" and rng.random() < 0.9 else b""
    if not data:
        size = 0
    tar.insert(tar_header(b"odd.txt", kind, size, tar.magic, {field: value}) + data)
    return f"{field} {value!r}"


def odd_checksum(rng, tar):
    spell = rng.choice([
        lambda total, _: b"%07o\0" % total,
        lambda total, _: b"%06o \0" % total,
        lambda total, _: b"%o" % total,
        lambda total, _: b" %o\0" % total,
        lambda total, _: b"0o%o\0" % total,
        lambda total, _: b"+%o\0" % total,
        lambda total, _: b"\x80\0\0\0" + struct.pack(">I", total),
        lambda total, _: b"%06o\0 " % (total + 1),
        lambda total, _: b"\0" * 8,
        lambda total, block: b"%06o\0 " % (total - 256 * sum(byte > 127 for byte in block)),
        lambda total, _: b"%06o\0\xff" % total,
        lambda total, _: b"%06o\xff\xff" % total,
    ])
    name = rng.choice([b"odd.txt", "ödd.txt".encode()])
    tar.insert(tar_member(name, b"12345", magic=tar.magic, sum_as=spell))
    return "checksum"


def odd_name(rng, tar):
    name, kind = rng.choice(NAMES), rng.choice([b"0", b"0", b"0", b"5", b"\0", b"7"])
    data = b"" if kind == b"5" or (kind == b"\0" and name.endswith(b"/")) else text(rng, 40)
    tar.insert(tar_member(name, data, kind, magic=tar.magic))
    return f"name {name!r} {kind!r}"


def odd_prefix(rng, tar):
    prefix = rng.choice([b"pre", b"pre/fix", b"pre/", b"/pre", b"..", b".", b"p" * 155, "ä".encode(), b"\xff"])
    name, kind = rng.choice([b"in.txt", b"", b"in/", b"in.txt"]), rng.choice([b"0", b"\0", b"5"])
    data = b"" if kind == b"5" or name.endswith(b"/") else b"prefixed"
    tar.insert(tar_member(name, data, kind, magic=rng.choice(["ustar", "ustar", "gnu", "v7"]), fields={"prefix": prefix}))
    return f"prefix {prefix!r} {name!r} {kind!r}"


def odd_field(rng, tar):
    field = rng.choice(["uname", "gname", "magic", "rest", "link", "type"])
    values = {
        "uname": [b"root", b"nobody-here", b"\xff", b"a\x01b", b"x" * 32],
        "gname": [b"root", b"nobody-here", b"\xff", b"a\x01b", b"x" * 32],
        "magic": [b"ustar\x0000", b"ustar  \0", b"\0" * 8, b"xxxxx\x0000", b"ustar\x0001", b"ustar000"],
        "rest": [b"x" * 12, b"\xff" * 12],
        "link": [b"target", b"\xff", b"x" * 100],
        "type": [bytes([c]) for c in range(32, 127) if chr(c) not in "34S"] + [b"\1", b"\xff"],
    }[field]
    value = rng.choice(values)
    tar.insert(tar_member(b"odd.txt", rng.choice([b"", b"12345"]), magic=tar.magic, fields={field: value}))
    return f"{field} {value!r}"


def odd_record(rng, tar):
    key = rng.choice([b"path", b"path", b"size", b"mtime", b"mtime", b"uid", b"gid", b"uname", b"hdrcharset", b"linkpath", None])
    data = b"12345"
    values = {
        b"path": NAMES + LONG_NAMES + [b"a\0b"],
        b"size": [b"5", b"05", b"4", b"6", b"", b"abc", b"+5", b"5 ", b"5.0", b"1_0", b"0", b"600", b"99999999999999999999"],
        b"mtime": TIMES,
        b"uid": IDS,
        b"gid": IDS,
        b"uname": [b"root", b"a\0b", b"", b"\xff", "ä".encode()],
        b"hdrcharset": CHARSETS,
        b"linkpath": [b"target", b""],
    }
    if key is None:
        key, value = rng.choice(KEYS), rng.choice([b"1", b"", b"x\ny", b"a=b", b"\xff", b"30 hdrcharset=\xff\n", b"30 hdrcharset=B\n"])
    else:
        value = rng.choice(values[key])
    records = record(key, value)
    if rng.random() < 0.3:
        records = rng.choice([record(b"comment", b"first"), record(b"path", b"named.txt"), record(b"mtime", b"17.5")]) + records
    kind = rng.choice([b"x", b"x", b"x", b"x", b"X", b"g"])
    own = rng.choice([5, 5, 0]) if key == b"size" else 5
    tar.insert(tar_member(b"PaxHeaders/odd", records, kind), tar_header(b"odd.txt", b"0", own, tar.magic) + padded(data))
    return f"{kind.decode()} {key!r} {value[:40]!r}"


def broken_records(rng, tar):
    good = record(b"path", b"named.txt")
    choices = {
        "an empty key": record(b"", b"v") + good,
        "an empty key last": good + record(b"", b"v"),
        "length 0": b"0 path=x\n" + good,
        "too short a length": b"5 path=named.txt\n",
        "too long a length": b"99 path=named.txt\n",
        "leading zeros": b"0018 path=named.tx\n",
        "no newline": good[:-1] + b"x" + record(b"comment", b"c"),
        "no equals sign": b"10 abcdef\n" + good,
        "two spaces": b"18  path=named.tx\n",
        "garbage behind": good + b"garbage",
        "zeros behind": good + b"\0\0\0",
        "twice the same key": good + record(b"path", b"other.txt"),
        "nothing": b"",
        "no number": b"xx path=named.txt\n",
        "a minus": b"-18 path=named.txt\n",
        "tabs": b"18\tpath=named.txt\n",
        "twice mtime": record(b"mtime", b"nan") + record(b"mtime", b"1"),
        "key with a newline": b"6 a\nb=" + good,
    }
    what = rng.choice(list(choices))
    tar.insert(tar_member(b"PaxHeaders/odd", choices[what], rng.choice([b"x", b"x", b"g"])), tar_member(b"odd.txt", b"12345"))
    return f"records: {what}"


def behind_the_size(rng, tar):
    hidden = rng.choice([record(b"path", b"hidden.txt"), b"tail\0", b"\0" * 20 + b"x", record(b"size", b"0"), b"x"])
    kind = rng.choice([b"x", b"x", b"g", b"L", b"L", b"K"])
    contents = record(b"comment", b"c" * rng.randrange(30)) if kind in b"xg" else rng.choice([b"long-name.txt", b"long-name.txt\0"])
    block = padded(contents + hidden)
    tar.insert(tar_header(b"odd", kind, len(contents)) + block, tar_member(b"odd.txt", b"12345"))
    return f"behind the size of {kind!r}"


def gnu_names(rng, tar):
    name = rng.choice(NAMES + LONG_NAMES + LONG_NAMES)
    contents = rng.choice([name + b"\0", name + b"\0", name, name + b"\0more", name + b"\0\0\0", b"\0" + name, b""])
    kind = rng.choice([b"0", b"0", b"0", b"5", b"\0"])
    before = [tar_member(b"././@LongLink", contents, b"L", magic="gnu")]
    if rng.random() < 0.25:
        before.insert(rng.randrange(2), rng.choice([
            tar_member(b"PaxHeaders/x", record(b"mtime", b"5"), b"x"),
            tar_member(b"PaxHeaders/x", record(b"path", b"by-record.txt"), b"x"),
            tar_member(b"g", record(b"comment", b"all"), b"g"),
            tar_member(b"././@LongLink", b"again.txt\0", b"L", magic="gnu"),
            tar_member(b"././@LongLink", b"target\0", b"K", magic="gnu"),
        ]))
    tar.insert(*before, tar_member(name[:100].rstrip(b"/") or b"odd.txt", b"" if kind == b"5" else b"12345", kind, magic="gnu"))
    return f"long name {contents[:30]!r} of {len(contents)}"


def links(rng, tar):
    target = rng.choice([b"config.json", b"./config.json", b"tokenizer.json", b"config.json/", b"absent.txt", b"linked.txt", b"code",
                         b"extra", b"sub/../config.json", b"", b"CONFIG.JSON", b".//config.json", b"later.txt", b"notes.txt"])
    kind = rng.choice([b"1", b"1", b"1", b"1", b"2"])
    size = rng.choice([0, 0, 0, 0, 5])
    name = rng.choice([b"linked.txt", b"sub/linked.txt", b"config.json", b"linked/", b"other.txt"])
    before = []
    fields = {"link": target}
    how = rng.randrange(6)
    if how == 0:
        before, fields = [tar_member(b"././@LongLink", target + b"\0", b"K", magic="gnu")], {"link": b"config.jso"}
    elif how == 1:
        before, fields = [tar_member(b"PaxHeaders/x", record(b"linkpath", target), b"x")], {"link": b"config.jso"}
    link = tar_header(name, kind, size, tar.magic, fields) + (padded(b"12345") if size and rng.random() < 0.5 else b"")
    if rng.random() < 0.8:
        tar.members.extend([*before, link])
    else:
        tar.insert(*before, link)
    if rng.random() < 0.3:
        tar.members.append(tar_header(b"second.txt", b"1", 0, tar.magic, {"link": name.rstrip(b"/")}))
    if rng.random() < 0.2:
        tar.members.append(tar_member(b"later.txt", b"later"))
    return f"link {kind!r} {name!r} to {target!r}"


def twice(rng, tar):
    what = rng.choice(["file", "folder", "file below a file", "file and folder", "folder and file", "by ./", "case"])
    f, d = lambda name: tar_member(name, b"again"), lambda name: tar_member(name, kind=b"5")
    tar.members.extend({
        "file": [f(b"t.txt"), tar_member(b"t.txt", b"other")],
        "folder": [d(b"t/"), f(b"t/a"), d(b"t/"), d(b"t")],
        "file below a file": [f(b"t"), f(b"t/a")],
        "file and folder": [f(b"t"), d(b"t")],
        "folder and file": [d(b"t"), f(b"t")],
        "by ./": [f(b"t"), f(b"./t")],
        "case": [f(b"t"), f(b"T")],
    }[what])
    return f"twice: {what}"


def endings(rng, tar):
    what = rng.choice(["none", "one block", "cut", "garbage behind", "part of a block", "records last", "a name last", "global last",
                       "cut in data", "half", "zeros first", "ten blocks", "garbage header"])
    if what == "none":
        tar.end = b""
    elif what == "one block":
        tar.end = b"\0" * BLOCK
    elif what == "cut":
        whole = tar.joined()
        tar.members, tar.end = [whole[: rng.randrange(len(whole))]], b""
    elif what == "garbage behind":
        tar.end += text(rng) + b"x"
    elif what == "part of a block":
        tar.end = rng.choice([b"\0" * 100, b"x" * 100])
    elif what == "records last":
        tar.members.append(tar_member(b"x", record(b"path", b"none"), b"x"))
    elif what == "a name last":
        tar.members.append(tar_member(b"x", b"none\0", rng.choice([b"L", b"K"])))
    elif what == "global last":
        tar.members.append(tar_member(b"x", record(b"comment", b"none"), b"g"))
    elif what == "cut in data":
        tar.members.append(tar_header(b"cut.txt", b"0", 2_000) + b"x" * rng.choice([0, 100, 512, 1_999, 2_000, 2_047]))
        tar.end = b""
    elif what == "half":
        tar.end = b"\0" * (BLOCK + 17)
    elif what == "zeros first":
        tar.members.insert(0, b"\0" * BLOCK)
    elif what == "ten blocks":
        tar.end = b"\0" * (10 * BLOCK)
    else:
        tar.end = b"x" * BLOCK
    if what in ("records last", "a name last", "global last") and rng.random() < 0.5:
        tar.end = b""
    return f"ending: {what}"


def flips(rng, tar):
    """Bytes of a header changed, its checksum made right again."""
    at = rng.randrange(len(tar.members))
    block = bytearray(tar.members[at][:BLOCK])
    for _ in range(rng.choice([1, 1, 2, 4])):
        place = rng.choice([place for place in range(BLOCK) if not 148 <= place < 156 and place != 124])
        block[place] = rng.choice([0, 32, 47, 48, 55, 57, 128, 255, rng.randrange(256)])
    if block[156] in b"34S" or block[156] == 0x53:
        block[156] = 0x30
    block[148:156] = b"%06o\0 " % checksum(block)
    tar.members[at] = bytes(block) + tar.members[at][BLOCK:]
    return "bytes of a header"


def sound(rng, tar):
    return "sound"


def by_library(rng, tar):
    out = io.BytesIO()
    kind = rng.choice([tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
    with tarfile.open(fileobj=out, mode="w", format=kind) as writer:
        for name, data in [*tar.files, (rng.choice(["ä/ö.txt", "n" * 90, "deep/" * 15 + "x.txt"]), b"data")]:
            info = tarfile.TarInfo(name if isinstance(name, str) else name.decode())
            info.size, info.mtime = len(data), rng.choice([0, 1_700_000_000, 1_700_000_000.5])
            info.mtime = int(info.mtime) if kind == tarfile.USTAR_FORMAT else info.mtime
            info.uid, info.uname = rng.choice([(0, ""), (1000, "someone"), (2_097_151, "root")])
            writer.addfile(info, io.BytesIO(data))
    tar.members, tar.end = [out.getvalue()], b""
    return "by tarfile"


def compress(how, data):
    return {
        "plain": lambda: data,
        "gz": lambda: gzip.compress(data, 6, mtime=0),
        "bz2": lambda: bz2.compress(data),
        "xz": lambda: lzma.compress(data),
        "lzma": lambda: lzma.compress(data, lzma.FORMAT_ALONE),
    }[how]()


def odd_compression(rng, plain):
    """The tar in an odd file of some compression."""
    how = rng.choice(["gz", "bz2", "xz", "xz", "lzma"])
    whole = compress(how, plain)
    cut = rng.randrange(1, len(plain))
    cut = rng.choice([cut, cut // BLOCK * BLOCK or BLOCK, len(plain) - 2 * BLOCK])
    first, second = compress(how, plain[:cut]), compress(how, plain[cut:])
    zeros = b"\0" * rng.choice([1, 3, 4, 8, 12, 18, 20, 36, 72, 512])
    what = rng.choice(["two streams", "padding between", "padding behind", "garbage behind", "cut", "flipped", "empty stream first",
                       "empty stream last", "another after padding", "header flags", "options", "other format behind", "checksum"])
    if what == "two streams":
        data = first + second
    elif what == "padding between":
        data = first + zeros + second
    elif what == "padding behind":
        data = whole + zeros
    elif what == "garbage behind":
        data = whole + rng.choice([b"x", b"garbage " * 4, b"\0x", b"\xff" * 40, b"]\0\0"])
    elif what == "cut":
        data = whole[: rng.choice([len(whole) - 1, len(whole) - 5, len(whole) - 13, rng.randrange(len(whole))])]
    elif what == "flipped":
        at = rng.randrange(len(whole))
        data = whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :]
    elif what == "empty stream first":
        data = compress(how, b"") + whole
    elif what == "empty stream last":
        data = whole + compress(how, b"")
    elif what == "another after padding":
        data = whole + zeros + whole
    elif what == "header flags":
        how, flags = "gz", rng.choice([1, 2, 4, 8, 16, 31, 32, 64, 128])
        fields = b""
        fields += struct.pack("<H", 3) + b"abc" if flags & 4 else b""
        fields += b"name\0" if flags & 8 else b""
        fields += b"comment\0" if flags & 16 else b""
        fields += b"\0\0" if flags & 2 else b""
        data = compress("gz", plain)
        data = data[:3] + bytes([flags]) + data[4:10] + fields + data[10:]
    elif what == "options":
        how = "xz or lzma"
        data = rng.choice([
            lambda: lzma.compress(plain, check=lzma.CHECK_NONE),
            lambda: lzma.compress(plain, check=lzma.CHECK_CRC32),
            lambda: lzma.compress(plain, check=lzma.CHECK_SHA256),
            lambda: lzma.compress(plain, preset=9),
            lambda: lzma.compress(plain, filters=[{"id": lzma.FILTER_X86}, {"id": lzma.FILTER_LZMA2}]),
            lambda: lzma.compress(plain, filters=[{"id": lzma.FILTER_DELTA, "dist": 4}, {"id": lzma.FILTER_LZMA2}]),
            lambda: lzma.compress(plain, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "lc": 0, "lp": 2, "pb": 0}]),
            lambda: lzma.compress(plain, lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "dict_size": 3 << 15}]),
            lambda: known_length(plain, len(plain)),
            lambda: known_length(plain, len(plain) - 5),
            lambda: known_length(plain, len(plain) + 5),
        ])()
    elif what == "other format behind":
        data = first + compress(rng.choice(["gz", "bz2", "xz", "lzma"]), plain[cut:])
    else:
        how, data = "gz", bytearray(compress("gz", plain))
        data[rng.choice([-1, -8])] ^= 1
        data = bytes(data)
    return f"{how}: {what}", data


def known_length(plain, length):
    data = lzma.compress(plain, lzma.FORMAT_ALONE)
    return data[:5] + struct.pack("<Q", length) + data[13:]


TAR_FAMILIES = [odd_header_number] * 6 + [odd_checksum, odd_name, odd_name, odd_name, odd_prefix, odd_field, odd_field, odd_record,
                odd_record, odd_record, odd_record, odd_record, broken_records, broken_records, behind_the_size, gnu_names, gnu_names,
                gnu_names, links, links, links, twice, endings, endings, flips, flips, flips, sound, by_library]


def make_tar(rng):
    tar = Tar(rng)
    if rng.random() < 0.2:
        what, data = odd_compression(rng, tar.joined())
        return "tar", what, data
    what = rng.choice(TAR_FAMILIES)(rng, tar)
    how = rng.choice(COMPRESSIONS)
    return "tar", f"{how}: {what}", compress(how, tar.joined())
