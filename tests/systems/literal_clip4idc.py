"""CLIP4IDC written down step by step as plain matrix products, on the tensors of a state dictionary.

Names of CLIP's tensors are open_clip's, with `clip.` before them; those of the pair begin with `pair.`, those of the
captioner with `captioner.`. Nothing here is shared with the library.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

State = dict[str, Tensor]
MEAN = (0.48145466, 0.4578275, 0.40821073)
STD = (0.26862954, 0.26130258, 0.27577711)


def layer_norm(state: State, name: str, x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    variance = (centred**2).mean(-1, keepdim=True)
    return centred / (variance + eps).sqrt() * state[f"{name}.weight"] + state[f"{name}.bias"]


def linear(state: State, name: str, x: Tensor) -> Tensor:
    return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]


def quick_gelu(x: Tensor) -> Tensor:
    return x / (1 + torch.exp(-1.702 * x))


def exact_gelu(x: Tensor) -> Tensor:
    return x * 0.5 * (1 + torch.erf(x / math.sqrt(2)))


def many_heads(query: Tensor, key: Tensor, value: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    """One head after the other; `mask` is added to the scores."""
    width = query.shape[-1] // heads
    results = []
    for head in range(heads):
        part = slice(head * width, (head + 1) * width)
        scores = query[..., part] @ key[..., part].transpose(-1, -2) / math.sqrt(width)
        if mask is not None:
            scores = scores + mask
        weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
        results.append(weights @ value[..., part])
    return torch.cat(results, -1)


def clip_block(state: State, name: str, x: Tensor, heads: int, mask: Tensor | None = None) -> Tensor:
    """A block that normalises first."""
    inner = layer_norm(state, f"{name}.ln_1", x, 1e-5)
    three = inner @ state[f"{name}.attn.in_proj_weight"].T + state[f"{name}.attn.in_proj_bias"]
    context = many_heads(*three.chunk(3, -1), heads, mask)
    x = x + linear(state, f"{name}.attn.out_proj", context)
    hidden = quick_gelu(linear(state, f"{name}.mlp.c_fc", layer_norm(state, f"{name}.ln_2", x, 1e-5)))
    return x + linear(state, f"{name}.mlp.c_proj", hidden)


def picture(state: State, pixels: Tensor, heads: int, blocks: int) -> Tensor:
    """One picture (3, h, w) in [0, 1] through the first blocks, patch by patch."""
    kernel = state["clip.visual.conv1.weight"]  # (W, 3, p, p)
    size = kernel.shape[-1]
    mean, std = (torch.tensor(values, dtype=pixels.dtype)[:, None, None] for values in (MEAN, STD))
    pixels = (pixels - mean) / std
    tokens = [state["clip.visual.class_embedding"]]
    for row in range(0, pixels.shape[1], size):
        for column in range(0, pixels.shape[2], size):
            patch = pixels[:, row : row + size, column : column + size]
            tokens.append((kernel * patch).sum((1, 2, 3)))
    x = torch.stack(tokens) + state["clip.visual.positional_embedding"]
    x = layer_norm(state, "clip.visual.ln_pre", x, 1e-5)
    for number in range(blocks):
        x = clip_block(state, f"clip.visual.transformer.resblocks.{number}", x, heads)
    return x


def pair_tokens(
    state: State, before: Tensor, after: Tensor, heads: int, intra_layers: int, layers: int
) -> Tensor:
    """H of one pair, (2 S, D)."""
    first = picture(state, before, heads, intra_layers) + state["pair.before_embedding"]
    second = picture(state, after, heads, intra_layers) + state["pair.after_embedding"]
    x = torch.cat([first, second]) + state["pair.joint_positional_embedding"]
    x = layer_norm(state, "pair.ln_mid", x, 1e-5)
    for number in range(intra_layers, layers):
        x = clip_block(state, f"clip.visual.transformer.resblocks.{number}", x, heads)
    return layer_norm(state, "clip.visual.ln_post", x, 1e-5) @ state["clip.visual.proj"]


def pair_vector(hidden: Tensor) -> Tensor:
    """The mean of both class tokens."""
    return (hidden[0] + hidden[len(hidden) // 2]) / 2


def sentence_vector(state: State, ids: list[int], end: int, heads: int, layers: int) -> Tensor:
    """The text tower's vector at END."""
    length = len(ids)
    x = state["clip.token_embedding.weight"][ids] + state["clip.positional_embedding"][:length]
    future = torch.full((length, length), -math.inf, dtype=x.dtype).triu(1)
    for number in range(layers):
        x = clip_block(state, f"clip.transformer.resblocks.{number}", x, heads, future)
    x = layer_norm(state, "clip.ln_final", x, 1e-5) @ state["clip.text_projection"]
    return x[ids.index(end)]


def retrieval_loss(state: State, texts: list[Tensor], pairs: list[Tensor]) -> Tensor:
    """Cross-entropy over the rows and over the columns of exp(scale) cos(t_i, v_j), halved."""
    count = len(texts)
    total = torch.zeros((), dtype=texts[0].dtype)
    scale = state["clip.logit_scale"].exp()
    s = [[scale * (t @ v) / (t.norm() * v.norm()) for v in pairs] for t in texts]
    for i in range(count):
        row = sum(s[i][j].exp() for j in range(count))
        column = sum(s[j][i].exp() for j in range(count))
        assert isinstance(row, Tensor)
        assert isinstance(column, Tensor)
        total = total - (s[i][i] - row.log()) / count - (s[i][i] - column.log()) / count
    return total / 2


def attend(state: State, name: str, x: Tensor, memory: Tensor, heads: int, mask: Tensor | None) -> Tensor:
    query, key, value = (
        linear(state, f"{name}.{part}", tokens)
        for part, tokens in (("query", x), ("key", memory), ("value", memory))
    )
    return many_heads(query, key, value, heads, mask)


def think(state: State, name: str, x: Tensor) -> Tensor:
    hidden = exact_gelu(linear(state, f"{name}.hidden", x))
    return layer_norm(state, f"{name}.output_norm", linear(state, f"{name}.output", hidden) + x, 1e-12)


def encoder_layers(state: State, hidden: Tensor, heads: int, layers: int) -> list[Tensor]:
    """What each encoder layer makes of H."""
    results = []
    for number in range(layers):
        name = f"captioner.encoder.{number}"
        context = attend(state, f"{name}.attention", hidden, hidden, heads, None)
        hidden = layer_norm(
            state,
            f"{name}.attention_norm",
            linear(state, f"{name}.attention_output", context) + hidden,
            1e-12,
        )
        hidden = think(state, name, hidden)
        results.append(hidden)
    return results


def word_logits(state: State, ids: list[int], hidden: Tensor, heads: int, layers: int) -> Tensor:
    """Logits (L, V) after each id; masks are large negative numbers that are added."""
    memories = encoder_layers(state, hidden, heads, layers)
    length = len(ids)
    table = state["clip.token_embedding.weight"]
    x = table[ids] + state["clip.positional_embedding"][:length]
    x = layer_norm(state, "captioner.embed_norm", x, 1e-12)
    padding = torch.tensor([number == 0 for number in ids])
    future = torch.ones(length, length, dtype=torch.bool).triu(1)
    mask = -10000.0 * (future | padding).to(x.dtype)
    for number, memory in enumerate(memories):
        name = f"captioner.decoder.{number}"
        context = attend(state, f"{name}.self_attention", x, x, heads, mask)
        x = layer_norm(state, f"{name}.self_norm", linear(state, f"{name}.self_output", context) + x, 1e-12)
        context = attend(state, f"{name}.cross_attention", x, memory, heads, None)
        x = layer_norm(state, f"{name}.cross_norm", linear(state, f"{name}.cross_output", context) + x, 1e-12)
        x = think(state, name, x)
    x = layer_norm(state, "captioner.head.norm", exact_gelu(linear(state, "captioner.head.dense", x)), 1e-12)
    return x @ table.T + state["captioner.head.bias"]


def caption_loss(logits: list[Tensor], targets: list[list[int]]) -> Tensor:
    """-log p of every target that is not 0, averaged over all of the batch."""
    terms = []
    for rows, target in zip(logits, targets, strict=True):
        for row, word in zip(rows, target, strict=True):
            if word != 0:
                terms.append(row.exp().sum().log() - row[word])
    return torch.stack(terms).mean()


def greedy(state: State, hidden: Tensor, start: int, length: int, heads: int, layers: int) -> list[int]:
    """The likeliest next word, `length` times; <UNK> (1) is never said."""
    ids = [start]
    for _ in range(length):
        row = word_logits(state, ids, hidden, heads, layers)[-1].clone()
        row[1] = -math.inf
        ids.append(int(row.argmax()))
    return ids[1:]
