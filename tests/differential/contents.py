"""What archives of both kinds are made of."""

CONFIG = b'{"model_type": "other"}'
NAMES = [b"plain.txt", b"sub/inner.txt", b"./dotted.txt", b"a//double.txt", b"a/./b.txt", b"a/../up.txt", b"sub/../config2.json",
         b"ends/", b"ends//", b".", b"./", b"", b"..", b"../out.txt", b"/absolute.txt", b"b\\c.txt", b"with space.txt",
         b"new\nline.txt", b"tab\there", "ä.txt".encode(), "日本.txt".encode(), b"caf\xe9.txt", b"n" * 100, b"x", b"m",
         b"[v1] model.txt", b"{name}.txt", b"BZh9.txt", b"Config.json", b"config.json", b"sub", b"sub/", b"sub/deep/er/still.txt",
         b"PK\5\6.txt", b"-rf", b"~", b"CON", b"a:b", b"a\x7fb", b"a\x01b", b"tokenizer.json/x"]
LONG_NAMES = [b"n" * 101, b"n" * 255, b"n" * 256, b"d/" * 60 + b"e.txt", b"/".join([b"f" * 200] * 3), b"n" * 300,
              b"/".join([b"g" * 250] * 15) + b"/h", b"/".join([b"g" * 250] * 17), "ä".encode() * 127, "ä".encode() * 128,
              b"./" * 2100 + b"x", b"a" + b"/" * 300 + b"b", b"i" * 254 + b"/"]


def text(rng, most=600):
    words = [b"one ", b"two\n", b"3", b"\0", b"{}", b"weights ", b"\xff"]
    return b"".join(rng.choice(words) for _ in range(rng.randrange(most // 4)))
