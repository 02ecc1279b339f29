"""Prints one number, as Program.cs beside this file does, through PyTorch."""
import sys
import time

import torch


def add():
    a, b = torch.randn(4, 4), torch.randn(4, 4)
    count = 2000
    start = time.perf_counter()
    for _ in range(count):
        _ = a + b
    return (time.perf_counter() - start) / count * 1e9


def nanoseconds_per_flop():
    size = 2048
    a, b = torch.randn(size, size), torch.randn(size, size)
    start = time.perf_counter()
    a @ b
    return (time.perf_counter() - start) * 1e9 / (2 * size**3)


with torch.no_grad():
    torch.manual_seed(0)
    if sys.argv[1] == "add":
        print(f"{min(add() for _ in range(500)):.0f}")
    else:
        print(f"{1 / min(nanoseconds_per_flop() for _ in range(15)):.1f}")
