#!/usr/bin/env python3
"""Makes the demo's texts from public-domain books that package registries carry. See configs/demo/README.md.

    texts.py AUSTEN_DEB MOBY_DICK_TGZ SOTU_TGZ OUT

writes OUT/train/*.jsonl (what the demo's checkpoint is trained on), OUT/train.txt (the same for SentencePiece, a
sentence a line) and two novels that it never sees, OUT/northanger-abbey.jsonl (a chapter a document) and
OUT/persuasion.jsonl (a passage a document).
"""
import io
import json
import re
import struct
import subprocess
import sys
import tarfile
import tempfile
import zlib
from pathlib import Path

HELD_OUT = ("northangerabbey", "persuasion")
TRAINED = {"sensesensibility": "sense-and-sensibility", "prideprejudice": "pride-and-prejudice",
           "mansfieldpark": "mansfield-park", "emma": "emma"}


class RObject:
    """Reads R's serialization format (version 2 or 3, big-endian XDR) as far as character vectors need it."""

    def __init__(self, data):
        self.data, self.references = io.BytesIO(data), []
        assert self.data.read(2) == b"X\n", "not R's XDR format"
        version, _, _ = (self.int() for _ in range(3))
        if version == 3:
            self.data.read(self.int())  # the encoding's name

    def int(self):
        return struct.unpack(">i", self.data.read(4))[0]

    def read(self):
        flags = self.int()
        kind, has_attributes, has_tag = flags & 255, flags & 512, flags & 1024
        if kind in (254, 242):  # nil, global environment
            return None
        if kind == 255:  # a reference to a symbol read before
            return self.references[(flags >> 8 or self.int()) - 1]
        if kind == 1:  # symbol
            self.references.append(self.read())
            return self.references[-1]
        if kind == 2:  # pairlist
            if has_attributes:
                self.read()
            tag = self.read() if has_tag else None
            return [(tag, self.read())] + (self.read() or [])
        if kind == 9:  # one string
            length = self.int()
            return None if length < 0 else self.data.read(length).decode("utf-8", "replace")
        values = self.vector(kind)
        attributes = dict(self.read()) if has_attributes else {}
        return dict(zip(attributes["names"], values)) if "names" in attributes else values

    def vector(self, kind):
        count = self.int()
        if kind in (10, 13):  # logical, integer
            return [self.int() for _ in range(count)]
        if kind == 14:  # real
            return list(struct.unpack(f">{count}d", self.data.read(8 * count)))
        if kind in (16, 19):  # strings, list
            return [self.read() for _ in range(count)]
        raise ValueError(f"R type {kind} is not read")


def unpack(deb):
    folder = Path(tempfile.mkdtemp())
    subprocess.run(["dpkg", "-x", deb, folder], check=True)
    return folder


def r_dataset(deb):
    """{name: lines} of an R package's lazily loaded data."""
    base = next(unpack(deb).glob("**/data/Rdata.rdb"))
    index = RObject(zlib.decompress(base.with_suffix(".rdx").read_bytes(), 47)).read()
    raw = base.read_bytes()
    for name, (start, length) in index["variables"].items():
        packed = raw[start + 4:start + length]  # after the four bytes of the length unpacked
        yield name, RObject(zlib.decompress(packed)).read()


def paragraphs(lines):
    """Text wrapped at some width, as one line a paragraph."""
    text = "\n".join(line.rstrip() for line in lines)
    joined = (re.sub(r"\s+", " ", part).strip() for part in re.split(r"\n\s*\n", text))
    return "\n".join(part for part in joined if part)


def chapters(lines):
    """A novel's chapters, without title page, volume headings and what publishers added at the end."""
    heading = re.compile(r"^\s*chapter\s+([ivxlc]+|\d+)\.?\s*$", re.IGNORECASE)
    found, current = [], None
    for line in lines:
        if re.match(r"^\s*(the end|finis|a note on the text)\.?\s*$", line, re.IGNORECASE):
            break
        if heading.match(line):
            found.append(current := [])
        elif current is not None and not re.match(r"^\s*(volume|vol\.)\s+[ivx\d]+\.?\s*$", line, re.IGNORECASE):
            current.append(line)
    return [paragraphs(chapter) for chapter in found]


def passages(novel, least=6000):
    """The novel in runs of whole paragraphs of at least so many characters (2,048 tokens of the demo's model and some
    more): many documents that are long enough give narrower intervals than few. The rest at the end is left out."""
    found, current = [], []
    for paragraph in "\n".join(novel).split("\n"):
        current.append(paragraph)
        if sum(map(len, current)) >= least:
            found.append("\n".join(current))
            current = []
    return found


def members(tgz, pattern):
    """(first group of the name, content) of the archive's files that match, in the order of that group."""
    with tarfile.open(tgz) as archive:
        found = [(re.search(pattern, member.name), member) for member in archive.getmembers()]
        for match, member in sorted(((m, f) for m, f in found if m), key=lambda pair: int(pair[0][1])):
            yield int(match[1]), archive.extractfile(member).read().decode()


def moby_dick(tgz):
    return [paragraphs(json.loads(text)["text"].split("\n")) for _, text in members(tgz, r"/data/chapter_(\d+)\.json$")]


def addresses(tgz, before=1860):
    """State of the Union addresses of the time in which the novels were written and read."""
    return [text.strip() for year, text in members(tgz, r"/data/(\d{4})_.*\.txt$") if year < before]


def write(path, documents):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in documents)
    print(f"{path}: {len(documents)} documents, {sum(map(len, documents)):,} characters")


def main(austen, moby, sotu, out):
    novels = {name: chapters(lines) for name, lines in r_dataset(austen) if name in (*TRAINED, *HELD_OUT)}
    write(Path(out) / "northanger-abbey.jsonl", novels["northangerabbey"])
    write(Path(out) / "persuasion.jsonl", passages(novels["persuasion"]))
    trained = {file: novels[name] for name, file in TRAINED.items()}
    trained |= {"moby-dick": moby_dick(moby), "state-of-the-union": addresses(sotu)}
    for file, documents in trained.items():
        write(Path(out) / "train" / f"{file}.jsonl", documents)
    text = "\n".join(text for documents in trained.values() for text in documents)
    sentences = re.sub(r"(?<=[.!?;]) ", "\n", text)  # spm_train leaves out long lines
    (Path(out) / "train.txt").write_text(sentences + "\n", encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
