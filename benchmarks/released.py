"""A thin adapter to the released SCORER repository, at a path the user gives; none of it is part of this project."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import torch
from torch import Tensor, nn

from idc.data.batch import Batch, Pairs
from idc.data.vocabulary import Vocabulary
from idc.systems.scorer_cbr import ScorerCBR, ScorerCBRConfig

WORDS, LENGTH = 76, 24


def configuration() -> SimpleNamespace:
    """The fields its modules read, with the paper's values."""
    encoder = SimpleNamespace(
        input_dim=1026, feat_dim=1026, dim=512, att_dim=512, emb_dim=512, att_head=8, att_layer=2
    )
    decoder = SimpleNamespace(
        vocab_size=WORDS,
        word_dim=300,
        att_dim=512,
        att_head=8,
        att_layer=2,
        seq_length=LENGTH,
        label_smoothing=0,
        share_wd_cls_weight=False,
    )
    return SimpleNamespace(model=SimpleNamespace(transformer_encoder=encoder, transformer_decoder=decoder))


class Released(nn.Module):
    """Its encoder, decoder and CBR, with the step of its training script."""

    def __init__(self, path: Path):
        super().__init__()
        if not (path / "models" / "SCORER.py").is_file():
            sys.exit(
                f"error: {path} is not a checkout of the released repository (models/SCORER.py is missing)"
            )
        sys.path.insert(0, str(path))
        if not torch.cuda.is_available():  # its modules call .cuda() whatever the device
            torch.Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign]
        from models.CBR import CBR, CrossEn
        from models.SCORER import AddSpatialInfo, ChangeDetector
        from models.transformer_decoder import Speaker

        config = configuration()
        self.encoder, self.decoder, self.cbr = ChangeDetector(config), Speaker(config), CBR(config)
        self.coordinates, self.contrast = AddSpatialInfo(), CrossEn()

    def one_pass(self, pairs: Pairs) -> dict[str, Tensor]:
        before, after = self.coordinates(pairs.before), self.coordinates(pairs.after)
        target = torch.nn.functional.pad(pairs.words[:, 1:], (0, 1))
        mask = (pairs.words != 0).float()
        tokens, first, second, start, end = self.encoder(before, after)
        caption, _, _, states = self.decoder._forward(
            tokens, pairs.words, mask, target.masked_fill(target == 0, -1)
        )
        return {
            "caption": caption,
            "cross_view": (self.contrast(first) + self.contrast(second)) / 2,
            "cross_modal": self.cbr(start, states, end, mask),
        }

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        change, no_change = self.one_pass(batch.change), self.one_pass(batch.no_change)
        return {name: (change[name] + no_change[name]) / 2 for name in change}

    def caption(self, pairs: Pairs) -> list[list[int]]:
        """Greedy captions, START and everything from END on left out."""
        tokens, *_ = self.encoder(self.coordinates(pairs.before), self.coordinates(pairs.after))
        words, _ = self.decoder.sample(tokens, sample_max=1)
        return [row[1 : row.index(0) if 0 in row else None] for row in words.tolist()]

    def trained_parameters(self) -> list[nn.Parameter]:
        """What its script hands to the optimiser: everything but CBR."""
        return [*self.encoder.parameters(), *self.decoder.parameters()]

    def save(self, path: Path) -> None:
        """A snapshot in its layout, and CBR beside it, which it never saves."""
        torch.save(
            {
                "change_detector_state": self.encoder.state_dict(),
                "speaker_state": self.decoder.state_dict(),
                "model_cfg": {},
            },
            path,
        )
        torch.save(self.cbr.state_dict(), path.with_suffix(".cbr"))


VOCABULARY = Vocabulary(("<NULL>", "<UNK>", "<START>", "<END>", *(f"w{i}" for i in range(WORDS - 4))))


def new(kernels: str, side: int = 14) -> ScorerCBR:
    """Our system at the paper's size, CBR frozen as in the released script."""
    torch.manual_seed(0)
    config = ScorerCBRConfig(train_cbr=False, kernels=kernels)  # type: ignore[arg-type]
    return ScorerCBR.build(config, VOCABULARY, (1024, side, side), LENGTH)


def ours(path: Path) -> ScorerCBR:
    """Our system with the parameters of a saved `Released`."""
    system = ScorerCBR.from_released(path, VOCABULARY, train_cbr=False)
    state = torch.load(path.with_suffix(".cbr"), weights_only=True)
    names = {
        "conv1": "merge",
        "mh_att.in_proj_weight": "qkv.weight",
        "mh_att.out_proj": "out",
        "conv2.0": "imagine",
    }
    renamed = {}
    for name, tensor in state.items():
        for old, new in (*names.items(), ("contra.", "")):
            if name.startswith(old):
                renamed[new + name.removeprefix(old)] = tensor.squeeze((2, 3)) if tensor.ndim == 4 else tensor
    assert system.cbr is not None
    system.cbr.load_state_dict(renamed)
    return system


def random_batch(size: int, side: int = 14) -> Batch:
    """Random grids of ResNet-101's shape and random captions; both passes have the same picture before."""
    generator = torch.Generator().manual_seed(0)

    def grids() -> Tensor:
        return torch.randn(size, 1024, side, side, generator=generator).relu()

    before = grids()

    def pairs(ending: str) -> Pairs:
        after = grids()
        words = torch.randint(4, WORDS, (size, LENGTH), generator=generator)
        ends = torch.randint(8, LENGTH - 1, (size, 1), generator=generator)
        place = torch.arange(LENGTH)
        words = words.masked_fill(place == ends, 3).masked_fill(place > ends, 0)
        words[:, 0] = 2
        return Pairs(before, after, words, tuple(f"{i:06d}.png{ending}" for i in range(size)))

    return Batch(pairs(""), pairs("_n"))
