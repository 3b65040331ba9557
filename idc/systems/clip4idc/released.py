"""Published snapshots of CLIP4IDC: plain dictionaries of tensors, in two layouts.

    adapt      clip.*                     307 tensors      after retrieval; the captioner is not in it
    caption    clip.*, decoder.*          443 tensors      after captioning

That many with ViT-B/32 and three layers. CLIP's matrices are float16 there, all else is float32. The words' table stands
in a caption snapshot three times and the positions' twice, because the decoder shares them with CLIP's text tower;
here each is one tensor. What our tensors are called there: `released_name`.
"""

from __future__ import annotations

import logging
import pickle
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor

from idc.data.layout import some
from idc.data.vocabulary import Vocabulary
from idc.errors import UserError
from idc.files import atomic_write
from idc.systems.clip4idc.clip import Plan, architecture_plan
from idc.systems.system import check_released

if TYPE_CHECKING:
    from idc.systems.clip4idc import CLIP4IDC

log = logging.getLogger(__name__)
Stage = Literal["adapt", "caption"]  # of training; each has its layout
HEAD = "decoder.classifier.cls.predictions."
BEGINNINGS = {
    "pair.before_embedding": "clip.visual.bef_embedding",
    "pair.after_embedding": "clip.visual.aft_embedding",
    "pair.": "clip.visual.",
    "captioner.embed_norm.": "decoder.embeddings.LayerNorm.",
    "captioner.head.dense.": f"{HEAD}transform.dense.",
    "captioner.head.norm.": f"{HEAD}transform.LayerNorm.",
    "captioner.head.bias": f"{HEAD}bias",
}
IN_A_LAYER = {
    "attention": "slf_attn.att",
    "attention_output": "slf_attn.output.dense",
    "attention_norm": "slf_attn.output.LayerNorm",
    "self_attention": "slf_attn.att",
    "self_output": "slf_attn.output.dense",
    "self_norm": "slf_attn.output.LayerNorm",
    "cross_attention": "enc_attn.att",
    "cross_output": "enc_attn.output.dense",
    "cross_norm": "enc_attn.output.LayerNorm",
    "hidden": "intermediate.dense",
    "output": "output.dense",
    "output_norm": "output.LayerNorm",
}
TIED = {  # a copy in the decoder -> the tensor of CLIP that it is a copy of
    "decoder.embeddings.word_embeddings.weight": "clip.token_embedding.weight",
    "decoder.embeddings.position_embeddings.weight": "clip.positional_embedding",
    f"{HEAD}decoder.weight": "clip.token_embedding.weight",
}
OLD_ENDINGS = {"gamma": "weight", "beta": "bias"}  # of LayerNorm, in older files
HALF = re.compile(
    r"clip\.(text_projection|visual\.(proj|conv1\.weight)|.*\.(attn|mlp)\..*)"
)  # float16 as published


def released_name(name: str) -> str:
    """What one of our tensors is called in published snapshots."""
    layer = re.fullmatch(r"captioner\.(encoder|decoder)\.(\d+)\.(\w+)\.(.+)", name)
    if layer is not None:
        part, number, module, rest = layer.groups()
        return f"decoder.{part}.layer.{number}.{IN_A_LAYER[module]}.{rest}"
    for ours, theirs in BEGINNINGS.items():
        if name.startswith(ours):
            return theirs + name.removeprefix(ours)
    return name


def released_names(system: CLIP4IDC, stage: Stage) -> dict[str, str]:
    """Our names of the tensors in a snapshot of that stage -> the published ones, copies left out."""
    names = {name: released_name(name) for name in system.state_dict()}
    return {
        ours: theirs for ours, theirs in names.items() if stage == "caption" or theirs.startswith("clip.")
    }


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a snapshot, in float32 and under their newer names.

    Raises UserError when the file is missing, broken, or holds anything but tensors.
    """
    check_released(path)
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        OSError,
        EOFError,
        ValueError,
        LookupError,
        TypeError,
    ) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path} cannot be read ({reason}). A published CLIP4IDC snapshot is what torch.save makes of a dictionary of "
            "tensors; download it again."
        ) from error
    if not isinstance(content, dict) or not all(isinstance(each, Tensor) for each in content.values()):
        raise UserError(
            f"{path} is not a published CLIP4IDC snapshot: that is a dictionary of tensors alone. If this is a "
            "snapshot of `python -m idc.train`, give its folder to --snapshot instead."
        )
    tensors = {}
    for name, tensor in content.items():
        beginning, dot, ending = str(name).rpartition(".")
        tensors[beginning + dot + OLD_ENDINGS.get(ending, ending)] = tensor.float()
    return tensors


def check_tensors(path: Path, tensors: dict[str, Tensor], expected: dict[str, tuple[int, ...]]) -> None:
    """Raise UserError that names what is lacking, unknown, of another shape, or no copy of what it should be."""
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    known = [name for name in expected if name in shapes]
    faults = {
        "it lacks": [name for name in expected if name not in shapes],
        "it has the unknown": [name for name in shapes if name not in expected],
        "of another shape are": [
            f"{name} {shapes[name]} instead of {expected[name]}"
            for name in known
            if shapes[name] != expected[name]
        ],
    }
    if any(faults.values()):
        listed = "; ".join(f"{what} {some(names)}" for what, names in faults.items() if names)
        raise UserError(
            f"{path} has {len(tensors)} tensors, but a published CLIP4IDC snapshot of this size has {len(expected)}: "
            f"{listed}. Take the file as it was published, and for another CLIP than ViT-B/32 name its architecture."
        )
    for copy, original in TIED.items():
        if copy in expected and not torch.equal(tensors[copy], tensors[original]):
            raise UserError(
                f"in {path} {copy} differs from {original}, which it must be a copy of: the decoder shares its tables "
                "with CLIP. Take the file as it was published."
            )


def from_released(
    kind: type[CLIP4IDC], path: str | Path, vocabulary: Vocabulary, plan: Plan | None = None, **config: Any
) -> CLIP4IDC:
    """A system with the weights of a published snapshot; after retrieval alone, its captioner is fresh.

    vocabulary: the words of the data to caption; the snapshot itself speaks in CLIP's byte pairs. plan: what its CLIP is
    made of, None for what config's architecture says. config: fields of CLIP4IDCConfig that the snapshot does not tell.
    Raises UserError when the file is no such snapshot, naming what differs.
    """
    path = Path(path)
    tensors = read_tensors(path)
    stage: Stage = "caption" if any(name.startswith("decoder.") for name in tensors) else "adapt"
    if stage == "caption":
        layers = {
            int(found[1])
            for name in tensors
            if (found := re.match(r"decoder\.encoder\.layer\.(\d+)\.", name))
        }
        hidden = tensors.get("decoder.encoder.layer.0.intermediate.dense.bias")
        known = {"layers": len(layers)} | ({} if hidden is None else {"hidden": len(hidden)})
        config = known | config
    settings = kind.Config(**config)
    plan = plan or architecture_plan(settings.architecture)
    clip: Any = plan.build()
    system = kind(settings, vocabulary, (3, *clip.visual.image_size), clip, plan)
    names, state = released_names(system, stage), system.state_dict()
    expected = {theirs: tuple(state[ours].shape) for ours, theirs in names.items()}
    if stage == "caption":
        expected |= {copy: expected[original] for copy, original in TIED.items()}
    check_tensors(path, tensors, expected)
    system.load_state_dict(state | {ours: tensors[theirs] for ours, theirs in names.items()})
    if stage == "adapt":
        log.info("%s is a snapshot after retrieval; its captioner is freshly initialised", path)
    return system.eval()


def to_released(system: CLIP4IDC, path: str | Path, stage: Stage = "caption", half: bool = False) -> None:
    """Write a snapshot in the published layout of a stage, "adapt" or "caption".

    half: round CLIP's matrices to float16, as published; else every number stays as it is.
    """
    state = system.state_dict()
    tensors = {theirs: state[ours] for ours, theirs in released_names(system, stage).items()}
    if half:
        tensors = {name: each.half() if HALF.fullmatch(name) else each for name, each in tensors.items()}
    if stage == "caption":
        tensors |= {copy: tensors[original] for copy, original in TIED.items()}
    with atomic_write(path) as temporary:
        torch.save(tensors, temporary)
