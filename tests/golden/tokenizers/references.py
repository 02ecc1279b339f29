"""Ids and decoded texts by spm_encode and spm_decode. Usage: references.py TEXTS MODEL..."""
import json
import subprocess
import sys

texts = open(sys.argv[1], encoding="utf-8").read().split("\n")[:-1]


def lines(command, text):
    out = subprocess.run(command, input=text, capture_output=True, check=True, encoding="utf-8").stdout
    return out.split("\n")[:-1]


print("{")
for model in sys.argv[2:]:
    ids = lines(["spm_encode", f"--model={model}.model", "--output_format=id"], "\n".join(texts) + "\n")
    decoded = lines(["spm_decode", f"--model={model}.model", "--input_format=id"], "\n".join(ids) + "\n")
    assert len(ids) == len(decoded) == len(texts)
    print(f' "{model}": [')
    rows = [{"text": t, "ids": [int(i) for i in line.split()], "decoded": d} for t, line, d in zip(texts, ids, decoded)]
    print(",\n".join("  " + json.dumps(row) for row in rows))
    print(" ]" + ("," if model != sys.argv[-1] else ""))
print("}")
