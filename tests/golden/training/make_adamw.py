#!/usr/bin/env python3
"""Writes adamw.json: torch.optim.AdamW step by step on given gradients. Run with Debian's python3-torch."""
import json
import pathlib

import torch

torch.manual_seed(0)
matrix = torch.nn.Parameter(torch.randn(3, 4))
vector = torch.nn.Parameter(torch.randn(5))
settings = dict(lr=3e-2, betas=(0.9, 0.95), eps=1e-8)
optimizer = torch.optim.AdamW([
    {"params": [matrix], "weight_decay": 0.1},
    {"params": [vector], "weight_decay": 0.0},
], **settings)
start = [matrix.flatten().tolist(), vector.tolist()]
steps = []
for step in range(8):
    rate = 3e-2 * (step + 1) / 8
    for group in optimizer.param_groups:
        group["lr"] = rate
    matrix.grad, vector.grad = torch.randn(3, 4) * 10 ** (step % 3 - 1), torch.randn(5)
    optimizer.step()
    steps.append({
        "learning_rate": rate,
        "gradients": [matrix.grad.flatten().tolist(), vector.grad.tolist()],
        "values": [matrix.flatten().tolist(), vector.tolist()],
        "exp_avg": [optimizer.state[p]["exp_avg"].flatten().tolist() for p in (matrix, vector)],
        "exp_avg_sq": [optimizer.state[p]["exp_avg_sq"].flatten().tolist() for p in (matrix, vector)],
    })
pathlib.Path(__file__).with_name("adamw.json").write_text(json.dumps({
    "torch": torch.__version__, "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weight_decay": 0.1,
    "start": start, "steps": steps,
}) + "\n")
