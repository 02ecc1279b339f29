"""Scores random tokens with the eager model of ../TrainBench/peer.py: all logits at once, log-softmax in float32.

usage: peer.py LENGTH ROUNDS fp32|bf16     prints one line of JSON: tokens per second, peak memory in MB
"""
import json
import pathlib
import resource
import sys
import time

import torch
import torch.nn.functional as F

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "TrainBench"))
from peer import Llama  # noqa: E402


@torch.no_grad()
def main():
    length, rounds, dtype = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    torch.manual_seed(0)
    model = Llama(256, 6, 4, 688, 1024).to(torch.bfloat16 if dtype == "bf16" else torch.float32)
    ids = torch.randint(1024, (max(1, 4096 // length), length))

    def score():
        logits = model(ids).float()
        return F.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), reduction="none")

    score()
    started = time.perf_counter()
    for _ in range(rounds):
        score()
    seconds = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"tokens_per_second": rounds * ids.numel() / seconds, "peak_mb": peak}))


main()
