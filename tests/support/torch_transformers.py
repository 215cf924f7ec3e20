"""The built-in transformers and the recurrent network once more, as plain PyTorch modules.

Like `torch_networks`, they share no code with `picojoule.workload.builtin`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Encoder(nn.Module):
    """A block of an encoder with three projections; normalised before each half (ViT) or after it (BERT)."""

    def __init__(self, width: int, heads: int, inner: int, *, first: bool) -> None:
        super().__init__()
        self.first, self.heads = first, heads
        self.ln_1, self.ln_2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.q, self.k, self.v, self.o_proj = (nn.Linear(width, width) for _ in range(4))
        self.fc_1, self.fc_2 = nn.Linear(width, inner), nn.Linear(inner, width)

    def attend(self, x: torch.Tensor) -> torch.Tensor:
        batch, tokens, width = x.shape
        parts = (
            project(x).view(batch, tokens, self.heads, width // self.heads).transpose(1, 2)
            for project in (self.q, self.k, self.v)
        )
        return self.o_proj(F.scaled_dot_product_attention(*parts).transpose(1, 2).reshape(batch, tokens, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.first:
            x = x + self.attend(self.ln_1(x))
            return x + self.fc_2(F.gelu(self.fc_1(self.ln_2(x))))
        x = self.ln_1(x + self.attend(x))
        return self.ln_2(x + self.fc_2(F.gelu(self.fc_1(x))))


class VisionTransformer(nn.Module):
    """ViT-B/16."""

    def __init__(self) -> None:
        super().__init__()
        self.conv_proj = nn.Conv2d(3, 768, 16, 16)
        self.token, self.places = nn.Parameter(torch.zeros(1, 1, 768)), nn.Parameter(torch.zeros(1, 197, 768))
        self.layers = nn.Sequential(*(Encoder(768, 12, 3072, first=True) for _ in range(12)))
        self.ln, self.head = nn.LayerNorm(768), nn.Linear(768, 1000)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.conv_proj(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(x.shape[0], -1, -1), x], 1) + self.places
        return self.head(self.ln(self.layers(x))[:, 0])


class Bert(nn.Module):
    """BERT-base with its pooler."""

    def __init__(self) -> None:
        super().__init__()
        self.word, self.kind = nn.Embedding(30_522, 768), nn.Embedding(2, 768)
        self.position, self.norm = nn.Parameter(torch.zeros(512, 768)), nn.LayerNorm(768)
        self.layers = nn.Sequential(*(Encoder(768, 12, 3072, first=False) for _ in range(12)))
        self.pooler = nn.Linear(768, 768)

    def forward(self, tokens: torch.Tensor, types: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x = self.norm(self.word(tokens) + self.kind(types) + self.position[: tokens.shape[1]])
        x = self.layers(x)
        return x, torch.tanh(self.pooler(x[:, 0]))


def rotate(x: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor) -> torch.Tensor:
    """Rotary embedding: pairs of a head's elements turn by an angle that the position sets."""
    half = x.shape[-1] // 2
    lower, upper = x[..., :half], x[..., half:]
    return x * cosine + torch.cat([-upper, lower], -1) * sine


class Decoder(nn.Module):
    """A block of a language model: grouped queries, a cache of keys and values, a gated feed-forward part."""

    def __init__(self, width: int, heads: int, kv_heads: int, inner: int) -> None:
        super().__init__()
        self.heads, self.kv_heads, self.head = heads, kv_heads, width // heads
        self.input_layernorm, self.post_attention_layernorm = nn.RMSNorm(width), nn.RMSNorm(width)
        self.q_proj, self.o_proj = nn.Linear(width, width, bias=False), nn.Linear(width, width, bias=False)
        self.k_proj, self.v_proj = (nn.Linear(width, kv_heads * self.head, bias=False) for _ in range(2))
        self.gate_proj, self.up_proj = (nn.Linear(width, inner, bias=False) for _ in range(2))
        self.down_proj = nn.Linear(inner, width, bias=False)

    def forward(
        self, x: torch.Tensor, angles: tuple[torch.Tensor, torch.Tensor], cache: tuple[torch.Tensor, ...]
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        batch, tokens, width = x.shape
        normed = self.input_layernorm(x)
        q = rotate(self.q_proj(normed).view(batch, tokens, self.heads, self.head).transpose(1, 2), *angles)
        k = rotate(self.k_proj(normed).view(batch, tokens, self.kv_heads, self.head).transpose(1, 2), *angles)
        v = self.v_proj(normed).view(batch, tokens, self.kv_heads, self.head).transpose(1, 2)
        if cache:
            k, v = (torch.cat([old, new], 2) for old, new in zip(cache, (k, v), strict=True))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=not cache, enable_gqa=True)
        x = x + self.o_proj(mixed.transpose(1, 2).reshape(batch, tokens, width))
        normed = self.post_attention_layernorm(x)
        return x + self.down_proj(F.silu(self.gate_proj(normed)) * self.up_proj(normed)), k, v


class LanguageModel(nn.Module):
    """16 blocks of width 2048; the table of tokens is the last matrix, too."""

    def __init__(self) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(128_256, 2048)
        self.layers = nn.ModuleList(Decoder(2048, 32, 8, 8192) for _ in range(16))
        self.norm, self.lm_head = nn.RMSNorm(2048), nn.Linear(2048, 128_256, bias=False)
        self.lm_head.weight = self.embed_tokens.weight

    def forward(
        self, tokens: torch.Tensor, cosine: torch.Tensor, sine: torch.Tensor, *cache: torch.Tensor
    ) -> tuple[torch.Tensor, ...]:
        x, kept = self.embed_tokens(tokens), []
        for index, layer in enumerate(self.layers):
            x, *new = layer(x, (cosine, sine), cache[2 * index : 2 * index + 2])
            kept += new
        return self.lm_head(self.norm(x)[:, -1]), *kept


def language_model(tokens: int, cached: int) -> tuple[nn.Module, tuple[torch.Tensor, ...]]:
    """The model and its inputs: tokens, angles, and what each block has cached, if anything."""
    angles = [torch.empty(tokens, 64) for _ in range(2)]
    cache = [torch.empty(1, 8, cached, 64) for _ in range(2 * 16 if cached else 0)]
    return LanguageModel(), (torch.zeros(1, tokens, dtype=torch.int64), *angles, *cache)


class Cell(nn.Module):
    """A cell of an LSTM, its gates as four matrices over input and last output side by side."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.input, self.forget, self.candidate, self.output = (nn.Linear(2 * size, size) for _ in range(4))

    def forward(
        self, x: torch.Tensor, hidden: torch.Tensor, state: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        both = torch.cat([x, hidden], -1)
        learn, keep = torch.sigmoid(self.input(both)), torch.sigmoid(self.forget(both))
        new, show = torch.tanh(self.candidate(both)), torch.sigmoid(self.output(both))
        state = keep * state + learn * new
        return show * torch.tanh(state), state


class Recurrent(nn.Module):
    """Six cells of 1040 over 16 steps; the same input every step is enough to count."""

    def __init__(self) -> None:
        super().__init__()
        for index in range(6):
            self.add_module(f"cell{index}", Cell(1040))

    def forward(self, x: torch.Tensor, *held: torch.Tensor) -> tuple[torch.Tensor, ...]:
        kept = list(held)
        for _ in range(16):
            at = x
            for index, cell in enumerate(self.children()):
                at, kept[2 * index + 1] = cell(at, kept[2 * index], kept[2 * index + 1])
                kept[2 * index] = at
        return at, *kept
