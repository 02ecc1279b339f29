#!/usr/bin/env python3
"""Documents with summaries from the demo's novels, to try 'cutoff summarize' on: stretches of whole sentences, and the first
sentence of each as its summary (the lead). Which stretches is the same every time.

    leads.py NOVEL.jsonl [WORDS] >LEADS.jsonl

WORDS, 45 unless given, is how long a stretch is at least. Stretches half as long again are left out.
"""
import json
import re
import sys


def stretches(text, words):
    sentences, count = [], 0
    for sentence in re.split(r"(?<=[.!?])\s+", text):
        sentences.append(sentence)
        count += len(sentence.split())
        if count >= words:
            yield sentences
            sentences, count = [], 0


words = int(sys.argv[2]) if len(sys.argv) > 2 else 45
for line in open(sys.argv[1], encoding="utf-8"):
    for sentences in stretches(json.loads(line)["text"], words):
        lead, length = len(sentences[0].split()), sum(len(sentence.split()) for sentence in sentences)
        if 5 <= lead <= words / 2 and length <= 1.5 * words:
            print(json.dumps({"document": " ".join(sentences), "summary": sentences[0]}, ensure_ascii=False))
