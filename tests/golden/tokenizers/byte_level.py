"""A small byte-level BPE in Hugging Face's layout, and ids by the plainest encoder there is: join the pair that was
learnt first, wherever it stands leftmost, until none is left. Usage: byte_level.py TRAINING_TEXT TEXTS FOLDER"""
import collections
import json
import re
import sys

WORDS = r" ?[A-Za-z]+| ?[0-9]{1,3}| ?[^\sA-Za-z0-9]+|\s+(?!\S)|\s+"
MERGES = 300
UNREACHABLE = [" Leviathan", "cetology", " été"]  # in the vocabulary, but no merge leads to them
SPECIAL = ["<|begin|>", "<|end|>", "<|end|>x"]

printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
others = [b for b in range(256) if b not in printable]
LETTER = {b: chr(b) for b in printable} | {b: chr(256 + i) for i, b in enumerate(others)}
BYTE = {letter: b for b, letter in LETTER.items()}


def spell(text):
    return [LETTER[b] for b in text.encode()]


def join(symbols, pair):
    joined, i = [], 0
    while i < len(symbols):
        size = 2 if tuple(symbols[i : i + 2]) == pair else 1
        joined.append("".join(symbols[i : i + size]))
        i += size
    return joined


def learn(text):
    words = {word: (spell(word), count) for word, count in collections.Counter(re.findall(WORDS, text)).items()}
    merges = []
    while len(merges) < MERGES:
        counts = collections.Counter()
        for symbols, count in words.values():
            for pair in zip(symbols, symbols[1:]):
                counts[pair] += count
        best = max(counts, key=lambda pair: (counts[pair], pair))
        merges.append(best)
        words = {word: (join(symbols, best), count) for word, (symbols, count) in words.items()}
    return merges


def encode_word(word, vocabulary, ranks):
    symbols = spell(word)
    if "".join(symbols) in vocabulary:  # ignore_merges
        return [vocabulary["".join(symbols)]]
    while True:
        found = [(ranks[pair], i) for i, pair in enumerate(zip(symbols, symbols[1:])) if pair in ranks]
        if not found:
            return [vocabulary[s] for s in symbols]
        i = min(found)[1]
        symbols[i : i + 2] = ["".join(symbols[i : i + 2])]


def encode(text, vocabulary, ranks, special):
    ids = []
    longest_first = sorted(special, key=len, reverse=True)
    for part in re.split("(" + "|".join(map(re.escape, longest_first)) + ")", text):
        if part in special:
            ids.append(special[part])
        else:
            for word in re.findall(WORDS, part):
                ids += encode_word(word, vocabulary, ranks)
    return ids


def decode(ids, vocabulary, special):
    letters = {i: token for token, i in vocabulary.items()}
    names = {i: token.encode() for token, i in special.items()}
    return b"".join(names.get(i) or bytes(BYTE[c] for c in letters[i]) for i in ids).decode()


training, texts, folder = sys.argv[1:]
merges = learn(open(training, encoding="utf-8").read())
tokens = [LETTER[b] for b in [*printable, *others]] + ["".join(pair) for pair in merges]
tokens += ["".join(spell(text)) for text in UNREACHABLE]
vocabulary = {token: i for i, token in enumerate(tokens)}
ranks = {pair: rank for rank, pair in enumerate(merges)}
special = {token: len(tokens) + i for i, token in enumerate(SPECIAL)}
assert len(vocabulary) == len(tokens)

split = {"type": "Split", "pattern": {"Regex": WORDS}, "behavior": "Isolated", "invert": False}
bytes_ = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}
with open(f"{folder}/byte-level.tokenizer.json", "w", encoding="utf-8") as file:
    json.dump({
        "added_tokens": [{"id": i, "content": token, "special": True} for token, i in special.items()],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, bytes_]},
        "model": {"type": "BPE", "ignore_merges": True, "vocab": vocabulary, "merges": [" ".join(m) for m in merges]},
    }, file, ensure_ascii=False, separators=(",", ":"))
    file.write("\n")

lines = open(texts, encoding="utf-8").read().split("\n")[:-1]
lines += ["Two\nlines\r\n\n  and\tmore \n", " Leviathan", "Leviathan Leviathan", "cetology", "a cetology", "un été été",
          "<|begin|>Call me<|end|>", "<|end|>x", "a <|end|> b", "<|begin", "".join(lines)]
rows = [{"text": t, "ids": encode(t, vocabulary, ranks, special)} for t in lines]
assert all(decode(row["ids"], vocabulary, special) == row["text"] for row in rows)
with open(f"{folder}/byte-level.json", "w", encoding="utf-8") as file:
    file.write("[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")
