"""Trains on ListOps in PyTorch as `fmmformer train listops` does, to tell whether a model that learns nothing is at fault or its task.

The model of the paper, written from its description with whole n × n maps: softmax, band (9 diagonals), linear (no denominator), or fmm
(the band and two far fields). The lists are drawn here, in the same way.
"""

import argparse
import math
import random

import torch
from torch import nn
from torch.nn import functional as F

WIDTH, HEADS, HIDDEN, LAYERS, CLASSES, BAND, DROPOUT = 64, 2, 128, 2, 10, 5, 0.1
OPERATORS = [min, max, lambda x: int((sorted(x)[(len(x) - 1) // 2] + sorted(x)[len(x) // 2]) / 2), lambda x: sum(x) % 10]
CLOSE = 15


def tree(depth):
    """Its tokens and its value: digits are 1 to 10, operators 11 to 14."""
    if depth == 10 or random.random() > 0.25:
        digit = random.randrange(10)
        return [digit + 1], digit
    parts = [tree(depth + 1) for _ in range(random.randint(2, 10))]
    operator = random.randrange(4)
    tokens = [token for part, _ in parts for token in part]
    return [11 + operator, *tokens, CLOSE], OPERATORS[operator]([value for _, value in parts])


def lists(count, shortest, length):
    tokens, labels = torch.zeros(count, length, dtype=torch.long), torch.zeros(count, dtype=torch.long)
    made = 0
    while made < count:
        found, value = tree(1)
        if shortest < len(found) <= length:
            tokens[made, : len(found)] = torch.tensor(found)
            labels[made] = value
            made += 1
    return tokens, labels


class Attention(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.query, self.key, self.value, self.out = (nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.near, self.far = nn.Parameter(torch.ones(HEADS, 1, 1)), nn.Parameter(torch.zeros(HEADS, 1, 1))
        self.first, self.second = nn.Parameter(torch.ones(())), nn.Parameter(torch.zeros(()))

    def forward(self, x, mask):
        b, n, c = x.shape
        q, k, v = (f(x).view(b, n, HEADS, -1).transpose(1, 2) for f in (self.query, self.key, self.value))
        column = mask[:, None, :, None]

        def far(features):
            return features(q) @ ((features(k) * column).transpose(-1, -2) @ (v * column)) / math.sqrt(n)

        def elu(y):
            return F.elu(y) + 1

        if self.kind == "linear":
            o = far(elu)
        else:
            scores = q @ k.transpose(-1, -2) / math.sqrt(c // HEADS) - 1e6 * (1 - mask[:, None, None, :])
            if self.kind != "softmax":
                i = torch.arange(n)
                scores = scores.masked_fill((i[:, None] - i).abs() >= BAND, -math.inf)
            o = F.dropout(scores.softmax(-1), DROPOUT, self.training) @ v
            if self.kind == "fmm":
                o = self.near * o + self.far * (self.first * far(elu) + self.second * far(lambda y: elu(-y)))
        return self.out(o.transpose(1, 2).reshape(b, n, c))


class Block(nn.Module):
    def __init__(self, kind):
        super().__init__()
        self.norms, self.attention = nn.ModuleList(nn.LayerNorm(WIDTH) for _ in range(2)), Attention(kind)
        self.drop = nn.Dropout(DROPOUT)
        up, down = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)
        self.feed_forward = nn.Sequential(up, nn.GELU(), nn.Dropout(DROPOUT), down, nn.Dropout(DROPOUT))

    def forward(self, x, mask):
        x = x + self.drop(self.attention(self.norms[0](x), mask))
        return x + self.feed_forward(self.norms[1](x))


class Model(nn.Module):
    def __init__(self, kind, length):
        super().__init__()
        self.tokens, self.positions = nn.Embedding(32, WIDTH), nn.Embedding(length, WIDTH)
        for table in (self.tokens, self.positions):
            nn.init.normal_(table.weight, std=0.02)
        self.blocks, self.norm = nn.ModuleList(Block(kind) for _ in range(LAYERS)), nn.LayerNorm(WIDTH)
        self.head = nn.Sequential(nn.Linear(WIDTH, 128), nn.ReLU(), nn.Linear(128, CLASSES))

    def forward(self, tokens):
        mask = (tokens != 0).float()
        x = F.dropout(self.tokens(tokens) + self.positions.weight, DROPOUT, self.training)
        for block in self.blocks:
            x = block(x, mask)
        return self.head((self.norm(x) * mask[..., None]).mean(1))


def train(kind, shortest, length, steps, seed):
    random.seed(seed)
    torch.manual_seed(seed)
    tokens, labels = lists(60_000, shortest, length)
    seen, answers = lists(1000, shortest, length)
    model = Model(kind, length)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, eps=1e-6, weight_decay=0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=1e-4, total_steps=5000, pct_start=0.2, anneal_strategy="linear"
    )
    total = 0
    for step in range(1, steps + 1):
        model.train()
        batch = torch.randint(len(tokens), (32,))
        loss = F.cross_entropy(model(tokens[batch]), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        total += loss.item()
        if step % 250 == 0:
            model.eval()
            with torch.no_grad():
                right = sum((model(x).argmax(1) == y).sum().item() for x, y in zip(seen.split(50), answers.split(50)))
            print(f"step {step}: training loss {total / 250:.3f}, validation {100 * right / len(seen):.1f} %", flush=True)
            total = 0


parser = argparse.ArgumentParser()
parser.add_argument("attention", choices=["softmax", "band", "linear", "fmm"])
parser.add_argument("--shortest", type=int, default=64, help="lists are longer than this")
parser.add_argument("--length", type=int, default=256, help="and no longer than this")
parser.add_argument("--steps", type=int, default=2000, help="of the 5,000 of the schedule")
parser.add_argument("--seed", type=int, default=0)
options = parser.parse_args()
torch.set_num_threads(1)
train(options.attention, options.shortest, options.length, options.steps, options.seed)
