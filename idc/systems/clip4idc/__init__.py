"""CLIP4IDC (Guo et al., AACL-IJCNLP 2022, arXiv 2206.00629).

Symbols and names here: H = the tokens of a pair (`hidden`), t and v = the vectors of a sentence and of a pair
(`embed_words`, `embed_pairs`), L_T-IP and L_IP-T = the two halves of the loss "retrieval" of the stage "adapt". The stage
"caption" has the loss "caption". Released code: commit ca49461 of sushizixin/CLIP4IDC.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass
from torch import Tensor, nn

from idc.captioner.search import Captions, Search, search_captions
from idc.data.batch import Batch, Pairs
from idc.data.grids import extraction
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.kernels import Kernels
from idc.pieces.chosen import pieces
from idc.systems.clip4idc.captioner import Captioner
from idc.systems.clip4idc.clip import Plan, encode_text, load_clip
from idc.systems.clip4idc.language import BpeLanguage, Language, WordLanguage
from idc.systems.clip4idc.pair import PairEncoder
from idc.systems.clip4idc.released import from_released, to_released
from idc.systems.clip4idc.vary import vary
from idc.systems.negatives import gather, global_mean
from idc.systems.ranges import Count, Index, NotNegative, Part
from idc.systems.system import Group, Stage, System, install

LARGEST_LOGIT_SCALE = math.log(100)
ENTRANCE = (  # what the published code freezes: how pictures and words enter CLIP
    "positional_embedding",
    "token_embedding",
    "visual.class_embedding",
    "visual.positional_embedding",
    "visual.conv1",
    "visual.ln_pre",
)


@dataclass(config=ConfigDict(extra="forbid"), frozen=True)
class CLIP4IDCConfig:
    """The released values. Choices that the released code made without a word are switches.

    clip, architecture: where CLIP comes from, see `idc.systems.clip4idc.clip`. intra_layers: how many of its picture
    blocks see each picture on its own. layers, heads, hidden, dropout: of the captioner. max_words: ids of a sentence
    with START. clip_rate: the learning rate of what is not new, as a share of the scheduled one. caption_clip_rate,
    word_rate: in captioning, that of CLIP's picture tower with the pair and that of the words; None for `clip_rate`, and
    for what the picture tower has.
    freeze_layers: 0 freezes the entrance of CLIP (patches, class token, both position tables, words), k > 0 also the
    first k blocks of both towers, -1 nothing. train_words: the word table, which is also the captioner's output, is
    trained in captioning whatever `freeze_layers` says. duplicates: equal sentences in a batch are each other's
    "negatives" (released), or "ignored". unchanged: in adaptation, pairs of the same scenes without a change are "unused"
    (released), or "negatives" of every sentence, see `retrieval_loss`. vary: in training, by how much at most the pictures
    of a pair are moved (in half pictures), zoomed and brightened (as a share), all of them alike; 0 as released. kernels:
    see `idc.kernels`.
    """

    clip: str = "openai:data/clip/ViT-B-32.pt"
    architecture: str | None = "ViT-B-32-quickgelu"
    intra_layers: Index = 9
    layers: Count = 3
    heads: Count = 8
    hidden: Count = 2048
    dropout: Part = 0.1
    max_words: Annotated[int, Field(ge=2)] = 32
    clip_rate: NotNegative = 1e-3
    caption_clip_rate: NotNegative | None = None
    word_rate: NotNegative | None = None
    freeze_layers: Annotated[int, Field(ge=-1)] = 0
    train_words: bool = False
    duplicates: Literal["negatives", "ignored"] = "negatives"
    unchanged: Literal["unused", "negatives"] = "unused"
    vary: Part = 0.0
    kernels: Kernels = "auto"


class CLIP4IDC(System):
    """CLIP with an encoder of pairs, adapted to finding a change by its sentence; then a captioner on top.

    clip: open_clip's CLIP, made after `plan`. language: what its ids mean. The text tower takes part in the first stage
    alone, of its tables the captioner's words are made.
    """

    Config: ClassVar[type] = CLIP4IDCConfig
    loss_weights: ClassVar[dict[str, float]] = {"retrieval": 1.0, "caption": 1.0}

    def __init__(
        self,
        config: CLIP4IDCConfig,
        vocabulary: Vocabulary,
        grid_shape: tuple[int, int, int],
        clip: Any,
        plan: Plan,
    ):
        super().__init__()
        self.config, self.vocabulary, self.plan = config, vocabulary, plan
        self.language: Language = (
            BpeLanguage(vocabulary)
            if plan.words is None
            else WordLanguage(Vocabulary(plan.words), vocabulary)
        )
        check(config, grid_shape, clip, self.language)
        self.clip = clip
        self.pair = PairEncoder(clip.visual, config.intra_layers)
        self.captioner = Captioner(
            clip,
            config.max_words,
            self.language.special,
            config.heads,
            config.layers,
            config.hidden,
            config.dropout,
        )
        install(config.kernels, self)
        self.stage = "caption"

    @classmethod
    def build(
        cls, config: Any, vocabulary: Vocabulary, grid_shape: tuple[int, int, int], max_words: int
    ) -> CLIP4IDC:
        return cls(config, vocabulary, grid_shape, *load_clip(config.clip, config.architecture))

    def description(self) -> dict[str, Any]:
        return dataclasses.asdict(self.plan)

    @classmethod
    def rebuild(
        cls,
        config: Any,
        vocabulary: Vocabulary,
        grid_shape: tuple[int, int, int],
        max_words: int,
        description: dict[str, Any],
    ) -> CLIP4IDC:
        words = description["words"]
        plan = Plan(description["config"], words and tuple(words), description.get("origin"))
        return cls(config, vocabulary, grid_shape, plan.build(), plan)

    @classmethod
    def from_released(
        cls, path: str | Path, vocabulary: Vocabulary, plan: Plan | None = None, **config: Any
    ) -> CLIP4IDC:
        """A system with the weights of a published snapshot of either stage, see `released.from_released`."""
        return from_released(cls, path, vocabulary, plan, **config)

    def to_released(
        self, path: str | Path, stage: Literal["adapt", "caption"] = "caption", half: bool = False
    ) -> None:
        """Write a snapshot in the published layout of a stage, see `released.to_released`."""
        to_released(self, path, stage, half)

    @classmethod
    def stages(cls) -> tuple[Stage, ...]:
        return Stage("adapt", "retrieval"), Stage("caption", "captions")

    def begin(self, stage: str) -> None:
        self.stage = stage

    def groups(self) -> list[Group]:
        """adapt: the pair's parameters in full, CLIP's at `clip_rate`. caption: the captioner's in full, those of
        CLIP's picture tower and of the pair at `caption_clip_rate`, those of the words at `word_rate`. Vectors (biases,
        gains, class token …) do not decay; in the release those of CLIP do, biases apart.
        """
        brought = {name: p for name, p in self.clip.named_parameters() if not self.frozen(name)}
        if self.stage == "adapt":
            return [
                *by_decay(self.pair.parameters(), 1.0),
                *by_decay(brought.values(), self.config.clip_rate),
            ]
        seeing, words = self.config.caption_clip_rate, self.config.word_rate
        seeing = self.config.clip_rate if seeing is None else seeing
        pictures, tables = (
            [p for name, p in brought.items() if name.startswith(part)]
            for part in (("visual.",), ("token_embedding", "positional_embedding"))
        )
        return [
            *by_decay(self.captioner.parameters(), 1.0),
            *by_decay([*self.pair.parameters(), *pictures], seeing),
            *by_decay(tables, seeing if words is None else words),
        ]

    def frozen(self, name: str) -> bool:
        """Whether a parameter of CLIP stays as it is in the present stage."""
        if name == "token_embedding.weight" and self.stage == "caption" and self.config.train_words:
            return False
        blocks = [
            f"{tower}transformer.resblocks.{i}."
            for tower in ("", "visual.")
            for i in range(self.config.freeze_layers)
        ]
        return self.config.freeze_layers >= 0 and name.startswith((*ENTRANCE, *blocks))

    def losses(self, batch: Batch) -> dict[str, Float[Tensor, ""]]:
        if self.stage == "adapt":
            return {"retrieval": self.retrieval_loss(batch)}
        return {"caption": self.caption_loss(batch)}

    def retrieval_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """(L_T-IP + L_IP-T) / 2 over the batches of all processes, in nats.

        s[i, j] = exp(logit_scale) cos(t_i, v_j),  L_T-IP = info_nce(s),  L_IP-T = info_nce(s^T)

        unchanged="negatives": the vectors v_(B+1) … v_2B of the pairs without a change stand among those that a sentence
        chooses from, and are nobody's; s then is (B, 2B) in L_T-IP. They show the scenes as they were, so that a
        sentence which finds its objects has not yet found its change. Raises UserError for data without such pairs.
        """
        passes = [batch.change]
        if self.config.unchanged == "negatives":
            if batch.no_change is None:
                raise UserError(
                    "model.unchanged is “negatives”, but these data have no pairs without a change; set "
                    "model.unchanged=unused."
                )
            passes.append(batch.no_change)
        texts = gather(self.embed_words(batch.change.words))
        vectors, *unchanged = (gather(unit(self.pair.vector(hidden))) for hidden in self.hidden(passes))
        with torch.autocast(texts.device.type, enabled=False):
            scaled = self.clip.logit_scale.exp() * texts
            similarity = scaled @ vectors.T
            nobodys = [scaled @ each.T for each in unchanged]
        if self.config.duplicates == "ignored":
            similarity = similarity.masked_fill(equal_to_others(gather(batch.change.words)), -math.inf)
        own = torch.arange(len(similarity), device=similarity.device)
        from_texts = (
            F.cross_entropy(torch.cat([similarity, *nobodys], 1), own)
            if nobodys
            else pieces.info_nce(similarity)
        )
        return (from_texts + pieces.info_nce(similarity.T)) / 2

    def caption_loss(self, batch: Batch) -> Float[Tensor, ""]:
        """Cross-entropy of the next word, a mean over words: that of the change pairs plus that of the others, in nats."""
        passes = [batch.change] if batch.no_change is None else [batch.change, batch.no_change]
        parts = []
        for pairs, hidden in zip(passes, self.hidden(passes), strict=True):
            words = self.language.from_data(pairs.words, self.config.max_words + 1)
            target, padding = words[:, 1:], self.language.special.null
            _, logits = self.captioner(words[:, :-1], hidden)
            total = F.cross_entropy(
                logits.flatten(0, 1), target.flatten(), ignore_index=padding, reduction="sum"
            )
            parts.append(global_mean(total, (target != padding).sum()))
        return torch.stack(parts).sum()

    def hidden(self, passes: list[Pairs]) -> list[Float[Tensor, "B S2 D"]]:
        """H for each pass. A picture that two passes share goes through the first blocks once."""
        pictures = {id(picture): picture for pairs in passes for picture in (pairs.before, pairs.after)}
        shown = self.varied(list(pictures.values())) if self.training else pictures.values()
        alone = self.pair.alone(self.clip.visual, torch.cat(list(shown)))
        tokens = dict(
            zip(pictures, alone.split([len(picture) for picture in pictures.values()]), strict=True)
        )
        return [
            self.pair.together(self.clip.visual, tokens[id(pairs.before)], tokens[id(pairs.after)])
            for pairs in passes
        ]

    def varied(self, pictures: list[Float[Tensor, "B 3 h w"]]) -> list[Float[Tensor, "B 3 h w"]]:
        """Pictures of the same scenes from a little elsewhere and in another light, the same for all of a scene."""
        if self.config.vary == 0:
            return pictures
        zoom, *shift, light = self.config.vary * (2 * torch.rand(4, len(pictures[0])) - 1).to(pictures[0])
        zooms, shifts = torch.stack([1 + zoom, 1 + zoom], -1), torch.stack(shift, -1)
        return [vary(each, zooms, shifts, 1 + light) for each in pictures]

    @torch.no_grad()
    def after_step(self) -> None:
        """Clamp the logit scale to at most ln 100."""
        self.clip.logit_scale.clamp_(max=LARGEST_LOGIT_SCALE)

    @torch.no_grad()
    def caption(self, pairs: Pairs, search: Search) -> Captions:
        return search_captions(self.captioner, self.hidden([pairs])[0], search)

    def sentence(self, tokens: list[int]) -> str:
        return self.language.text(tokens)

    def looks(self, attention: Float[Tensor, "B L N"], grid: tuple[int, int]) -> Float[Tensor, "B L P H W"]:
        """Over CLIP's patches, not the grid's pixels; the class tokens are left out."""
        patches = attention.unflatten(-1, (2, -1))[..., 1:]
        return patches.unflatten(-1, self.clip.visual.grid_size)

    def embed_pairs(self, pairs: Pairs) -> Float[Tensor, "B D"]:
        return unit(self.pair.vector(self.hidden([pairs])[0]))

    def embed_words(self, words: Int[Tensor, "K L"]) -> Float[Tensor, "K D"]:
        return unit(encode_text(self.clip, self.language.from_data(words, self.config.max_words)))


def check(config: CLIP4IDCConfig, grid_shape: tuple[int, int, int], clip: Any, language: Language) -> None:
    """Raise UserError unless CLIP has the parts that the pair and the captioner build on, and the data fit it."""
    visual = clip.visual
    if not hasattr(visual, "class_embedding") or visual.pool_type != "tok" or visual.attn_pool is not None:
        raise UserError(
            "this CLIP's picture tower is no vision transformer with a class token; take one like ViT-B-32-quickgelu."
        )
    size = visual.image_size
    if grid_shape != (3, *size):
        raise UserError(
            f"this CLIP sees pictures {(3, *size)}, the data holds {tuple(grid_shape)}. Set data.backbone=pixels{size[0]} "
            f"and run {extraction(Path('ROOT', f'features_pixels{size[0]}'))}, ROOT being data.root."
        )
    blocks = len(visual.transformer.resblocks)
    if config.intra_layers >= blocks:
        raise UserError(
            f"model.intra_layers is {config.intra_layers}; this CLIP has {blocks} picture blocks, so take 0 … {blocks - 1}."
        )
    deepest = max(blocks, len(clip.transformer.resblocks))
    if config.freeze_layers > deepest:
        raise UserError(
            f"model.freeze_layers is {config.freeze_layers}; this CLIP's towers have at most {deepest} blocks, so take "
            f"-1 … {deepest}."
        )
    words, width = clip.token_embedding.weight.shape
    if visual.output_dim != width:
        raise UserError(
            f"this CLIP's vectors have {visual.output_dim} numbers, its words {width}; the captioner needs one width."
        )
    if width % config.heads:
        raise UserError(
            f"model.heads is {config.heads}; it must divide {width}, the width of this CLIP's words."
        )
    if config.max_words > clip.context_length:
        raise UserError(
            f"model.max_words is {config.max_words}; this CLIP reads up to {clip.context_length}."
        )
    end = language.special.end
    finds_end = clip.text_eos_id == end if clip.text_pool_type == "eos" else end == words - 1
    if language.size != words or clip.text_pool_type not in ("eos", "argmax") or not finds_end:
        raise UserError(
            f"this CLIP has {words} ids and reads a sentence at “{clip.text_pool_type}”; it must have {language.size} and "
            f"read at the id {end}, which ends a sentence. Its weights and its words do not belong together."
        )


def by_decay(parameters: Iterable[nn.Parameter], rate: float) -> list[Group]:
    """One group of matrices, which decay, and one of vectors and numbers, which do not."""
    all_ = list(parameters)
    groups = [
        Group(tuple(p for p in all_ if (p.ndim >= 2) == decays), rate, decays) for decays in (True, False)
    ]
    return [group for group in groups if group.parameters]


def unit(x: Float[Tensor, "B D"]) -> Float[Tensor, "B D"]:
    """Rows scaled to length 1, in fp32 or better."""
    return F.normalize(x.to(torch.promote_types(x.dtype, torch.float32)), dim=-1)


def equal_to_others(words: Int[Tensor, "B L"]) -> Bool[Tensor, "B B"]:
    """Where two different rows hold the same sentence."""
    same = (words[:, None] == words[None]).all(-1)
    return same & ~torch.eye(len(words), dtype=torch.bool, device=words.device)
