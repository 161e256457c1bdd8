#!/usr/bin/env python3
"""Turns the Rust documentation of the installed toolchain into the demo's text and tokenizer.

    python3 demo/corpus.py --out build

reads $(rustc --print sysroot)/share/doc/rust/html (MIT OR Apache-2.0, shipped with every rustup
toolchain unless the profile is `minimal`) and writes into the folder `--out`:

    corpus.json.gz   {"train": [document], "validation": [document], "heldout": [document]},
                     a document being {"source": page, "text": markdown-like text}
    documents.json   the held-out documents, cut to what 512 tokens need
    tokenizer.json   byte-level BPE of 4096 tokens, trained on the training documents only
    overlap.json     how many of the held-out word n-grams training still contains

The same toolchain gives the same files: pages are visited in sorted order, the splits come
from a hash of the page's name, and nothing is random.
"""
import argparse
import gzip
import hashlib
import html.parser
import json
import pathlib
import re
import subprocess

# Pages whose prose is good enough, and different enough from the rest, to be held out.
HELDOUT_BOOKS = ("book/ch", "reference/", "nomicon/")
HELDOUT_DOCUMENTS = 24
VALIDATION_DOCUMENTS = 20
# A chapter qualifies when it is long enough for 512 tokens and mostly prose.
MINIMUM_CHARACTERS = 3200
MAXIMUM_CODE_SHARE = 0.3
DOCUMENT_CHARACTERS = 2700  # of a held-out document in documents.json, up to a block's end

# Rendered with mdBook; everything else in CRATES is rendered with rustdoc.
BOOKS = ("book", "reference", "nomicon", "rust-by-example", "cargo", "edition-guide", "rustc",
         "rustdoc", "embedded-book", "error_codes", "style-guide", "unstable-book", "clippy")
CRATES = ("std", "core", "alloc", "proc_macro", "test")
# Translations of Rust by Example, machine-made intrinsics, and copies of other pages.
SKIPPED_PARTS = {"arch", "core_arch", "core_simd", "simd", "ja", "zh", "es", "ko", "print.html", "toc.html",
                 "all.html", "SUMMARY.html", "404.html", "not_found.html", "test-summary.html"}

LONGEST_CODE_BLOCK = 40  # lines; longer listings are dropped
SHORTEST_SHARED_BLOCK = 40  # characters; a block this long is kept only where it appears first
NEAR_DUPLICATE_NGRAM = 8  # words
NEAR_DUPLICATE_SHARE = 0.3  # of a training block's n-grams that may also be held out

VOCABULARY = 4096
# The pre-tokenizer of Qwen2 and Qwen3, in syntax that Oniguruma and fancy-regex both accept.
PRETOKENIZER = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
                r"|\s*[\r\n]+|\s+(?!\S)|\s+")

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
BLOCK_TAGS = HEADINGS | {"p", "li", "pre", "tr", "dt", "dd", "blockquote", "div", "section", "ul", "ol", "table"}
VOID_TAGS = {"br", "img", "hr", "input", "link", "meta", "wbr", "source", "col", "path"}
SKIPPED_TAGS = {"script", "style", "nav", "button", "svg", "noscript", "sup"}
SKIPPED_CLASSES = {"boring", "doc-anchor", "anchor", "test-arrow", "rule-link", "rule", "src", "since", "tooltip",
                   "rightside", "stab", "mobile-nav-chapters", "notable-traits", "grammar-container", "footnote-definition"}


class Page(html.parser.HTMLParser):
    """Collects the blocks [(kind, text)] of one page; kind is head, text, item or code.

    Only what stands inside an mdBook's <main>, or inside a rustdoc docblock, is read.
    """

    def __init__(self, rustdoc):
        super().__init__(convert_charrefs=True)
        self.rustdoc, self.blocks = rustdoc, []
        self.open = []  # (tag, is kept, is skipped, kind of block it starts)
        self.kept = self.skipped = 0
        self.kind, self.buffer = "text", []

    def starts_content(self, tag, classes):
        if self.rustdoc:
            return "docblock" in classes
        return tag == "main"

    def flush(self):
        raw = "".join(self.buffer)
        self.buffer = []
        if self.kind == "code":
            text = "\n".join(line.rstrip() for line in raw.strip("\n").split("\n"))
            if not 1 <= text.count("\n") + 1 <= LONGEST_CODE_BLOCK:
                text = ""
        else:
            text = " ".join(raw.split()).rstrip("§ |")
        # "Read more" ends the summaries that every implementation repeats from its trait.
        if text.strip() and not text.endswith("Read more"):
            self.blocks.append((self.kind, text))

    def handle_starttag(self, tag, attributes):
        if tag in VOID_TAGS:
            if tag == "br" and self.kept:
                self.buffer.append("\n")
            return
        classes = set((dict(attributes).get("class") or "").split())
        keep = self.starts_content(tag, classes)
        skip = tag in SKIPPED_TAGS or bool(classes & SKIPPED_CLASSES)
        inside = (self.kept or keep) and not (self.skipped or skip)
        kind = None
        if inside and tag in BLOCK_TAGS and self.kind != "code":
            self.flush()
            kind = "head" if tag in HEADINGS else {"pre": "code", "li": "item", "dt": "item"}.get(tag, "text")
            # A list item's paragraph is still the item.
            self.kind = "item" if kind == "text" and self.kind == "item" and tag == "p" else kind
        elif inside and tag == "code" and self.kind != "code":
            self.buffer.append("`")
        self.open.append((tag, keep, skip, kind))
        self.kept += keep
        self.skipped += skip

    def handle_endtag(self, tag):
        if tag in VOID_TAGS or not any(entry[0] == tag for entry in self.open):
            return
        while True:
            name, keep, skip, kind = self.open.pop()
            if self.kept and not self.skipped:
                if kind:
                    self.flush()
                    self.kind = "text"
                elif name == "code" and self.kind != "code":
                    self.buffer.append("`")
                elif name in ("td", "th"):
                    self.buffer.append(" | ")
            self.kept -= keep
            self.skipped -= skip
            if name == tag:
                return

    def handle_data(self, data):
        if self.kept and not self.skipped:
            self.buffer.append(data)


def read_page(path, rustdoc):
    """The blocks of one HTML page; none for a redirect."""
    source = path.read_text(encoding="utf-8", errors="replace")
    if 'http-equiv="refresh"' in source[:4000]:
        return []
    page = Page(rustdoc)
    page.feed(source)
    page.close()
    return page.blocks


def read_comments(path):
    """The prose comments of one source page: runs of `//` lines, without commented-out code."""
    source = re.sub(r"<a href=#\d+[^>]*>\d+</a>", "", path.read_text(encoding="utf-8"))  # line numbers
    runs = re.findall(r'((?:<span class="comment">//[^/!].*?</span>\s*)+)', source, re.S)
    blocks = []
    for run in runs:
        plain = html.unescape(re.sub(r"<[^>]+>", "", run))
        lines = [re.sub(r"^\s*//+ ?", "", line) for line in plain.split("\n")]
        text = " ".join(" ".join(lines).split())
        letters = sum(c.isalpha() or c == " " for c in text)
        if len(text) >= 80 and letters >= 0.85 * len(text):
            blocks.append(("text", text))
    return blocks


def read_release_notes(path):
    """The release notes, a Markdown file: link targets and anchors dropped, one block a paragraph or item."""
    text = re.sub(r"<a id=.*?</a>", "", path.read_text(encoding="utf-8"))
    text = re.sub(r"^\[[^\]]+\]:.*$", "", text, flags=re.M)
    text = re.sub(r"\[([^\]]*)\](\([^)]*\)|\[[^\]]*\])?", r"\1", text)
    blocks = []
    for piece in re.split(r"\n\s*\n|\n(?=\s*[-*] )", text):
        piece = " ".join(piece.split())
        if len(piece) >= 30:
            blocks.append(("item", piece[2:]) if piece[:2] in ("- ", "* ") else ("text", piece))
    return blocks


def pages(root):
    """Yields (source name, blocks) of every page, in a fixed order."""
    for book in BOOKS + CRATES:
        for path in sorted((root / book).rglob("*.html")):
            relative = path.relative_to(root)
            if SKIPPED_PARTS & set(relative.parts):
                continue
            # Most of core and alloc is re-exported by std under the same path.
            if book in ("core", "alloc") and (root / "std" / relative.relative_to(book)).exists():
                continue
            yield str(relative.with_suffix("")), read_page(path, rustdoc=book in CRATES)
    for path in sorted((root / "src").rglob("*.html")):
        relative = path.relative_to(root)
        if not SKIPPED_PARTS & set(relative.parts):
            yield str(relative.with_suffix("")), read_comments(path)
    yield "releases", read_release_notes(root / "releases.md")


def render(blocks):
    """Blocks to text: headings that lead to nothing are dropped, list items stand on consecutive lines."""
    text, previous = "", None
    for index, (kind, body) in enumerate(blocks):
        following = blocks[index + 1][0] if index + 1 < len(blocks) else "head"
        if kind == "head" and following == "head":
            continue
        body = {"head": "# " + body, "item": "- " + body, "code": "```\n" + body + "\n```"}.get(kind, body)
        text += ("" if not text else "\n" if kind == previous == "item" else "\n\n") + body
        previous = kind
    return text


def ngrams(text, length):
    """The set of word n-grams of a text, lower case, punctuation dropped."""
    words = re.findall(r"[a-z0-9_]+", text.lower())
    return {tuple(words[i:i + length]) for i in range(len(words) - length + 1)}


def first_occurrences(documents, reserved=frozenset()):
    """Drops every long block that an earlier document (or itself, earlier) already had, and every
    block whose n-grams are largely in `reserved`. Documents left under 200 characters are dropped."""
    seen, kept = set(), []
    for source, blocks in documents:
        fresh = []
        for kind, body in blocks:
            # The integer types' pages differ in the type's name and in the numbers of their examples.
            key = re.sub(r"[iuf](8|16|32|64|128|size)\b|\d+", "0", " ".join(body.split()))
            grams = ngrams(body, NEAR_DUPLICATE_NGRAM) if reserved else set()
            shared = len(grams & reserved) > NEAR_DUPLICATE_SHARE * len(grams)
            if shared or (len(key) >= SHORTEST_SHARED_BLOCK and key in seen):
                continue
            seen.add(key)
            fresh.append((kind, body))
        if len(render(fresh)) >= 200:
            kept.append((source, fresh))
    return kept


def qualifies(source, blocks):
    """Whether a page may be held out: a long chapter of one of the three books, mostly prose."""
    code = sum(len(body) for kind, body in blocks if kind == "code")
    total = len(render(blocks))
    return source.startswith(HELDOUT_BOOKS) and total >= MINIMUM_CHARACTERS and code <= MAXIMUM_CODE_SHARE * total


def split(documents):
    """{"heldout", "validation", "train"} -> [(source, blocks)]: the qualifying pages in the order of
    the SHA-256 of their names, the first ones held out, the next for validation, the rest training."""
    rank = lambda document: hashlib.sha256(document[0].encode()).hexdigest()
    candidates = sorted((d for d in documents if qualifies(*d)), key=rank)
    heldout = candidates[:HELDOUT_DOCUMENTS]
    validation = candidates[HELDOUT_DOCUMENTS:HELDOUT_DOCUMENTS + VALIDATION_DOCUMENTS]
    apart = {source for source, _ in heldout + validation}
    reserved = set().union(*(ngrams(render(blocks), NEAR_DUPLICATE_NGRAM) for _, blocks in heldout + validation))
    train = first_occurrences([d for d in documents if d[0] not in apart], reserved)
    return {"train": train, "validation": validation, "heldout": heldout}


def overlap(heldout, train):
    """Share of the held-out documents' distinct word n-grams that training contains, by n."""
    report = {}
    for length in (5, 8, 13):
        reference = set().union(*(ngrams(text, length) for text in heldout))
        present = set()
        for text in train:
            present |= reference & ngrams(text, length)
        report[f"{length}-grams"] = {"heldout": len(reference), "in_train": len(present),
                                     "share": round(len(present) / len(reference), 5)}
    return report


def cut(blocks):
    """The text of the first blocks that reach DOCUMENT_CHARACTERS, never ending in a heading."""
    for count in range(1, len(blocks) + 1):
        text = render(blocks[:count])
        if len(text) >= DOCUMENT_CHARACTERS:
            break
    return text


def train_tokenizer(texts):
    """Byte-level BPE with Qwen's pre-tokenizer, no special tokens and no BOS."""
    import tokenizers
    from tokenizers import decoders, models, normalizers, pre_tokenizers, trainers
    tokenizer = tokenizers.Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(tokenizers.Regex(PRETOKENIZER), "isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(texts, trainers.BpeTrainer(
        vocab_size=VOCABULARY, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    return tokenizer


def main():
    arguments = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    arguments.add_argument("--out", type=pathlib.Path, required=True, help="folder to write into")
    arguments.add_argument("--html", type=pathlib.Path, help="share/doc/rust/html of a toolchain; default: rustc's own")
    options = arguments.parse_args()
    root = options.html
    if root is None:
        sysroot = subprocess.run(["rustc", "--print", "sysroot"], capture_output=True, text=True, check=True)
        root = pathlib.Path(sysroot.stdout.strip(), "share/doc/rust/html")
    options.out.mkdir(parents=True, exist_ok=True)

    parts = split(first_occurrences(pages(root)))
    corpus = {name: [{"source": source, "text": render(blocks)} for source, blocks in part]
              for name, part in parts.items()}
    for name, part in corpus.items():
        print(f"{name}: {len(part)} documents, {sum(len(d['text']) for d in part):,} characters")
    compact = json.dumps(corpus, ensure_ascii=False, separators=(",", ":")).encode()
    (options.out / "corpus.json.gz").write_bytes(gzip.compress(compact, 9, mtime=0))

    documents = [{"source": source, "text": cut(blocks)} for source, blocks in parts["heldout"]]
    (options.out / "documents.json").write_text(json.dumps(documents, ensure_ascii=False, indent=1) + "\n", "utf-8")
    report = overlap([d["text"] for d in documents], [d["text"] for d in corpus["train"]])
    (options.out / "overlap.json").write_text(json.dumps(report, indent=1) + "\n")
    print("overlap of the held-out documents with training:", json.dumps(report))

    tokenizer = train_tokenizer(d["text"] for d in corpus["train"])
    (options.out / "tokenizer.json").write_text(tokenizer.to_str(pretty=False), "utf-8")
    lengths = [len(tokenizer.encode(d["text"]).ids) for d in documents]
    print(f"{len(lengths)} held-out documents of {min(lengths)} to {max(lengths)} tokens")


if __name__ == "__main__":
    main()
