"""Times the training step of `npm run bench -- step` in PyTorch, and prints the same lines: see README.md.

The near field is blocked: a block of queries attends to its keys and a window on each side, unfolded, and a mask leaves the band.
The far field is linear attention with elu + 1. One product makes queries, keys and values.
"""

import argparse
import json
import math
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

VOCABULARY, CLASSES, WIDTH, HEADS, HIDDEN, LAYERS = 20, 10, 64, 2, 128, 2
WINDOW = 10  # keys on each side: bandwidth 11
BLOCK = 16  # queries; 32 and 64 are slower


def near_field(q, k, v):
    """(b, h, n, d), n a multiple of BLOCK or less than it"""
    b, h, n, d = q.shape
    size = min(BLOCK, n)
    blocks, span = n // size, size + 2 * WINDOW
    pad = (0, 0, WINDOW, WINDOW)
    keys = F.pad(k, pad).unfold(2, span, size)  # (b, h, blocks, d, span)
    values = F.pad(v, pad).unfold(2, span, size)
    scores = (q * d**-0.5).view(b, h, blocks, size, d) @ keys  # (b, h, blocks, size, span)
    i = torch.arange(size)[:, None]
    t = torch.arange(span)[None, :] - i  # 0 … 2 WINDOW inside the band
    key = torch.arange(blocks)[:, None, None] * size + torch.arange(span) - WINDOW
    seen = ((t >= 0) & (t <= 2 * WINDOW)) & (key >= 0) & (key < n)  # (blocks, size, span)
    weights = torch.where(seen, scores, float("-inf")).softmax(-1)
    return (weights @ values.transpose(-1, -2)).reshape(b, h, n, d)


def far_field(q, k, v):
    a, b = F.elu(q) + 1, F.elu(k) + 1
    state = b.transpose(-1, -2) @ v  # (b, h, d, d)
    total = b.sum(-2).unsqueeze(-1)  # (b, h, d, 1)
    return (a @ state) / (a @ total + 1e-6)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2))
        self.inward, self.outward = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.up, self.down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.near, self.far = nn.Parameter(torch.ones(HEADS, 1, 1)), nn.Parameter(torch.zeros(HEADS, 1, 1))

    def forward(self, x):
        b, n, c = x.shape
        q, k, v = self.inward(self.norms[0](x)).view(b, n, 3, HEADS, c // HEADS).permute(2, 0, 3, 1, 4)
        o = self.near * near_field(q, k, v) + self.far * far_field(q, k, v)  # (b, h, n, d)
        x = x + self.outward(o.transpose(1, 2).reshape(b, n, c))
        return x + self.down(F.gelu(self.up(self.norms[1](x))))


class Model(nn.Module):
    def __init__(self, length):
        super().__init__()
        self.tokens, self.places = nn.Embedding(VOCABULARY, WIDTH), nn.Parameter(0.02 * torch.randn(length, WIDTH))
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.norm = nn.LayerNorm(WIDTH)
        self.head = nn.Sequential(nn.Linear(WIDTH, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, CLASSES))

    def forward(self, tokens):
        x = self.norm(self.blocks(self.tokens(tokens) + self.places))
        return self.head(x.mean(1))


def check_near_field():
    q, k, v = torch.randn(3, 1, 2, 96, 8)
    i = torch.arange(96)
    band = (i[:, None] - i).abs() <= WINDOW
    expected = torch.softmax((q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5).masked_fill(~band, -math.inf), -1) @ v
    assert torch.allclose(near_field(q, k, v), expected, atol=1e-5), "near_field: expected masked attention"


def time_step(batch, tokens, threads):
    torch.set_num_threads(threads)
    torch.manual_seed(0)
    model = Model(tokens)
    fused = {"fused": True} if int(torch.__version__.split(".")[0]) >= 2 else {}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, **fused)
    x, y = torch.randint(VOCABULARY, (batch, tokens)), torch.randint(CLASSES, (batch,))

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss.item()

    for _ in range(3):
        step()
    times, began, cpu = [], time.perf_counter(), time.process_time()
    while len(times) < 5 or time.perf_counter() - began < 3:
        before = time.perf_counter()
        step()
        times.append(1000 * (time.perf_counter() - before))
    line = {
        "case": "step",
        "engine": "pytorch",
        "threads": threads,
        "shape": f"b{batch} n{tokens} c{WIDTH} h{HEADS}",
        "medianMs": statistics.median(times),
        "minMs": min(times),
        "cpuMs": 1000 * (time.process_time() - cpu) / len(times),
        "flop": None,
        "peakBytes": None,
    }
    print(json.dumps(line), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokens", type=int)
    parser.add_argument("--batch", type=int)
    given = parser.parse_args()
    own = given.tokens is None and given.batch is None
    sizes = [(4, 2048), (2, 64)] if own else [(given.batch or 4, given.tokens or 2048)]
    if any(n > BLOCK and n % BLOCK for _, n in sizes):
        parser.error(f"expected --tokens to be a multiple of {BLOCK}, got {given.tokens}")
    check_near_field()
    for threads in 1, 2:
        for batch, tokens in sizes:
            time_step(batch, tokens, threads)
