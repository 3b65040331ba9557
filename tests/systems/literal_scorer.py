"""SCORER+CBR spelled out once more, as plainly as possible, from its description alone.

Functions over a published snapshot's tensors; loops where the formulas have sums; nothing of the library is used.
The library is tested against this.
"""

from __future__ import annotations

import math

import torch

State = dict[str, torch.Tensor]


def linear(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    result = x @ state[name + ".weight"].T
    return result + state[name + ".bias"] if name + ".bias" in state else result


def layer_norm(state: State, name: str, x: torch.Tensor) -> torch.Tensor:
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-6) * state[name + ".weight"] + state[name + ".bias"]


def heads_attention(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, heads: int, hidden: torch.Tensor
) -> torch.Tensor:
    """One sample: q (L, D), k and v (M, D), hidden (L, M) is added to the scores."""
    width = q.shape[-1] // heads
    parts = []
    for h in range(heads):
        cut = slice(h * width, (h + 1) * width)
        scores = q[:, cut] @ k[:, cut].T / math.sqrt(width) + hidden
        parts.append(torch.softmax(scores, dim=-1) @ v[:, cut])
    return torch.cat(parts, dim=-1)


def token_matching(query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    result = torch.zeros(len(query), len(key), dtype=query.dtype)
    for a in range(len(query)):
        for b in range(len(key)):
            scores = query[a] @ key[b].T
            result[a, b] = 0.5 * (scores.max(dim=1).values.mean() + scores.max(dim=0).values.mean())
    return result


def info_nce(scores: torch.Tensor) -> torch.Tensor:
    return -sum(torch.log_softmax(scores[i], 0)[i] for i in range(len(scores))) / len(scores)


def project(state: State, grid: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) -> tokens (B, H W, D)."""
    _, _, height, width = grid.shape
    rows = []
    for sample in grid:
        tokens = []
        for y in range(height):
            for x in range(width):
                place = torch.tensor([2 * x / width - 1, 2 * y / height - 1], dtype=grid.dtype)
                cell = torch.cat([sample[:, y, x], place])
                position = torch.cat([state["w_embedding.weight"][x], state["h_embedding.weight"][y]])
                tokens.append(state["img.0.weight"][:, :, 0, 0] @ cell + state["img.0.bias"] + position)
        rows.append(torch.stack(tokens))
    return torch.stack(rows)


def encode(
    state: State, before: torch.Tensor, after: torch.Tensor, layers: int, heads: int
) -> dict[str, torch.Tensor]:
    first, second = project(state, before), project(state, after)
    x, y = first, second
    result = {"before": first, "after": second}
    for number in range(layers):
        name = f"scorer.{number}.attention"
        new = []
        for mine, other, similarity in ((x, y, "b2a"), (y, x, "a2b")):
            q, k, v = (
                linear(state, f"{name}.query", mine),
                linear(state, f"{name}.key", other),
                linear(state, f"{name}.value", other),
            )
            nothing = torch.zeros(q.shape[1], k.shape[1], dtype=q.dtype)
            context = torch.stack([heads_attention(q[i], k[i], v[i], heads, nothing) for i in range(len(q))])
            new.append(layer_norm(state, f"{name}.layer_norm", mine + context))
            result[similarity] = torch.exp(state[f"{name}.logit_scale"]) * token_matching(q, k)
        x, y = new
    result["tokens"] = torch.relu(linear(state, "embed_fc.0", torch.cat([x, y], dim=-1)))
    return result


def decode(
    state: State, words: torch.Tensor, tokens: torch.Tensor, layers: int, heads: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Hidden states (B, L, D) and logits (B, L, V)."""
    length = words.shape[1]
    states = []
    for sample, memory in zip(words, tokens, strict=True):
        x = state["core.embed.weight"][sample] + state["core.position_enc.pe"][:length]
        x = layer_norm(state, "core.fc.2", linear(state, "core.fc.0", x))
        hidden = torch.zeros(length, length, dtype=x.dtype)
        for i in range(length):
            for j in range(length):
                if j > i or sample[j] == 0:
                    hidden[i, j] = -1e4
        nothing = torch.zeros(length, len(memory), dtype=x.dtype)
        for number in range(layers):
            name = f"core.layer.{number}"
            q, k, v = (
                linear(state, f"{name}.self_attention.{part}", x) for part in ("query", "key", "value")
            )
            a = layer_norm(state, f"{name}.norm1", x + heads_attention(q, k, v, heads, hidden))
            q = linear(state, f"{name}.dec_enc_attention.query", a)
            k, v = (linear(state, f"{name}.dec_enc_attention.{part}", memory) for part in ("key", "value"))
            c = layer_norm(state, f"{name}.norm2", a + heads_attention(q, k, v, heads, nothing))
            h = linear(state, f"{name}.hidden_intermediate.dense", c)
            h = h * 0.5 * (1 + torch.erf(h / math.sqrt(2)))
            x = layer_norm(state, f"{name}.output.LayerNorm", linear(state, f"{name}.output.dense", h) + h)
        states.append(x)
    stacked = torch.stack(states)
    return stacked, linear(state, "logit", stacked)


def caption_loss(words: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    total, count = torch.zeros((), dtype=logits.dtype), 0
    for sample, scores in zip(words, logits, strict=True):
        for position in range(len(sample) - 1):
            if sample[position + 1] != 0:
                total = total - torch.log_softmax(scores[position], 0)[sample[position + 1]]
                count += 1
    return total / count


def reason(
    state: State,
    before: torch.Tensor,
    hidden: torch.Tensor,
    words: torch.Tensor,
    after: torch.Tensor,
    heads: int,
) -> torch.Tensor:
    """The loss of cross-modal backward reasoning; `state` in the names of the released module."""
    imagined = []
    for picture, states, sample in zip(before, hidden, words, strict=True):
        sentence = sum(states[i] for i in range(len(sample)) if sample[i] != 0) / len(sample)
        both = torch.cat([picture, sentence.expand(len(picture), -1)], dim=-1)
        x = both @ state["conv1.weight"][:, :, 0, 0].T + state["conv1.bias"]
        q, k, v = (x @ part.T for part in state["mh_att.in_proj_weight"].chunk(3))
        nothing = torch.zeros(len(x), len(x), dtype=x.dtype)
        context = heads_attention(q, k, v, heads, nothing) @ state["mh_att.out_proj.weight"].T
        imagined.append(context @ state["conv2.0.weight"][:, :, 0, 0].T + state["conv2.0.bias"])
    scores = torch.exp(state["contra.logit_scale"]) * token_matching(
        linear(state, "contra.query", torch.stack(imagined)), linear(state, "contra.key", after)
    )
    return (info_nce(scores) + info_nce(scores.T)) / 2


def greedy(state: State, tokens: torch.Tensor, length: int, layers: int, heads: int) -> list[list[int]]:
    """The ids said for each sample, END left out."""
    captions = []
    for memory in tokens:
        words = torch.zeros(1, length, dtype=torch.long)
        words[0, 0] = 2
        said: list[int] = []
        for position in range(length):
            _, logits = decode(state, words, memory[None], layers, heads)
            scores = torch.log_softmax(logits[0, position], 0)
            scores[1] = -1e10
            word = int(scores.argmax())
            if word == 3:
                break
            said.append(word)
            if position + 1 < length:
                words[0, position + 1] = word
        captions.append(said)
    return captions


def random_snapshot(
    channels: int,
    height: int,
    width: int,
    dim: int,
    word_dim: int,
    words: int,
    length: int,
    layers: int,
    seed: int,
) -> dict[str, State]:
    """Tensors in the layout of a published snapshot, and CBR's, which published ones lack."""
    generator = torch.Generator().manual_seed(seed)

    def make(*shape: int, scale: float = 0.3) -> torch.Tensor:
        return (scale * torch.randn(*shape, generator=generator)).double()  # exact in fp32, too

    def dense(name: str, outputs: int, inputs: int) -> State:
        return {f"{name}.weight": make(outputs, inputs), f"{name}.bias": make(outputs)}

    def norm(name: str) -> State:
        return {f"{name}.weight": (1 + make(dim)).float().double(), f"{name}.bias": make(dim)}

    encoder = {
        "img.0.weight": make(dim, channels + 2, 1, 1),
        "img.0.bias": make(dim),
        "w_embedding.weight": make(width, dim // 2),
        "h_embedding.weight": make(height, dim // 2),
        **dense("embed_fc.0", dim, 2 * dim),
    }
    position = torch.zeros(length, word_dim, dtype=torch.float64)
    for p in range(length):
        for i in range(0, word_dim, 2):
            angle = p / 10000 ** (i / word_dim)
            position[p, i], position[p, i + 1] = math.sin(angle), math.cos(angle)
    decoder = {
        "core.embed.weight": make(words, word_dim),
        "core.position_enc.pe": position.float().double(),
        **dense("core.fc.0", dim, word_dim),
        **norm("core.fc.2"),
        **dense("logit", words, dim),
    }
    for number in range(layers):
        name = f"scorer.{number}.attention"
        encoder[f"{name}.logit_scale"] = torch.tensor(1.0, dtype=torch.float64)
        for part in ("query", "key", "value"):
            encoder |= dense(f"{name}.{part}", dim, dim)
            for attention in ("self_attention", "dec_enc_attention"):
                decoder |= dense(f"core.layer.{number}.{attention}.{part}", dim, dim)
        encoder |= norm(f"{name}.layer_norm")
        for part in ("norm1", "norm2", "output.LayerNorm"):
            decoder |= norm(f"core.layer.{number}.{part}")
        for part in ("hidden_intermediate.dense", "output.dense"):
            decoder |= dense(f"core.layer.{number}.{part}", dim, dim)
    reasoning = {
        "conv1.weight": make(dim, 2 * dim, 1, 1),
        "conv1.bias": make(dim),
        "mh_att.in_proj_weight": make(3 * dim, dim),
        "mh_att.out_proj.weight": make(dim, dim),
        "conv2.0.weight": make(dim, dim, 1, 1),
        "conv2.0.bias": make(dim),
        "contra.logit_scale": torch.tensor(1.0, dtype=torch.float64),
        **dense("contra.query", dim, dim),
        **dense("contra.key", dim, dim),
    }
    return {"change_detector_state": encoder, "speaker_state": decoder, "cbr": reasoning}
