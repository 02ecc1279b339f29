"""The peer of the training benchmark: a LLaMA trainer as one writes it in eager PyTorch, with Hugging Face's
semantics (float32 norms and softmax, full attention matrix, causal mask, loss on float32 logits).

usage: peer.py SIZE CUTOFF STEPS [TOKENS_PER_STEP]      SIZE is 5M or 25M
Prints one JSON line: tokens per second over the steps after the first, peak memory, losses.
"""
import json
import math
import resource
import sys
import time

import torch
from torch import nn
from torch.nn import functional as F

SIZES = {  # hidden, layers, heads, ffn, vocabulary
    "5M": (256, 6, 4, 688, 1024),
    "25M": (512, 8, 8, 1376, 2048),
}


class RMSNorm(nn.Module):
    def __init__(self, width, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps

    def forward(self, x):
        h = x.float()
        h = h * torch.rsqrt(h.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * h.to(x.dtype)


def rotate_half(x):
    a, b = x.chunk(2, dim=-1)
    return torch.cat((-b, a), dim=-1)


class Layer(nn.Module):
    def __init__(self, width, heads, inner):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.gate, self.up = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down = nn.Linear(inner, width, bias=False)
        self.norm1, self.norm2 = RMSNorm(width), RMSNorm(width)

    def forward(self, x, cos, sin, mask):
        batch, tokens, width = x.shape
        h = self.norm1(x)
        q, k, v = (p(h).view(batch, tokens, self.heads, -1).transpose(1, 2) for p in (self.q, self.k, self.v))
        q, k = (t * cos + rotate_half(t) * sin for t in (q, k))
        scores = q @ k.transpose(2, 3) / math.sqrt(q.shape[-1]) + mask
        weights = F.softmax(scores, dim=-1, dtype=torch.float32).to(q.dtype)
        x = x + self.o((weights @ v).transpose(1, 2).reshape(batch, tokens, width))
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Llama(nn.Module):
    def __init__(self, width, layers, heads, inner, vocabulary):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList(Layer(width, heads, inner) for _ in range(layers))
        self.norm = RMSNorm(width)
        self.head = nn.Linear(width, vocabulary, bias=False)
        self.head_dim = width // heads
        self.apply(lambda m: nn.init.normal_(m.weight, std=0.02) if isinstance(m, (nn.Linear, nn.Embedding)) else None)

    def forward(self, ids):
        tokens = ids.shape[1]
        x = self.embed(ids)
        inverse = 10000 ** (-torch.arange(0, self.head_dim, 2).float() / self.head_dim)
        angles = torch.outer(torch.arange(tokens).float(), inverse)
        angles = torch.cat((angles, angles), dim=-1)
        cos, sin = angles.cos().to(x.dtype), angles.sin().to(x.dtype)
        mask = torch.full((tokens, tokens), torch.finfo(x.dtype).min, dtype=x.dtype).triu(1)
        for layer in self.layers:
            x = layer(x, cos, sin, mask)
        return self.head(self.norm(x))


def main():
    size, cutoff, steps = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    per_step = int(sys.argv[4]) if len(sys.argv) > 4 else 4096
    shape = SIZES[size]
    torch.manual_seed(0)
    model = Llama(*shape).to(torch.bfloat16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.1)
    batch = max(1, per_step // cutoff)
    losses, started = [], None
    for step in range(steps + 1):
        if step == 1:
            started = time.perf_counter()
        ids = torch.randint(shape[-1], (batch, cutoff + 1))
        logits = model(ids[:, :-1]).float()
        loss = F.cross_entropy(logits.flatten(0, 1), ids[:, 1:].flatten())
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(loss.item())
    seconds = time.perf_counter() - started
    print(json.dumps({
        "tokens_per_second": batch * cutoff * steps / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "losses": losses,
        "parameters": sum(p.numel() for p in model.parameters()),
    }))


if __name__ == "__main__":
    main()
