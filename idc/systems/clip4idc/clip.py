"""CLIP as open_clip builds it: the published one, or a small one with words of its own, from a local file.

model.clip                        what it is
rendered                          the small one that comes with idc, trained on pictures of the rendered world
PATH.safetensors                  as data_scripts/train_clip.py writes it, with its plan in the file's metadata
openai:PATH                       OpenAI's archive, such as ViT-B-32.pt; needs model.architecture
PATH                              weights in open_clip's layout; needs model.architecture
hub:TAG                           fetched and kept by open_clip, such as hub:openai; needs model.architecture
"""

from __future__ import annotations

import hashlib
import json
import pickle
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jaxtyping import Float, Int
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from idc.errors import UserError

BROKEN = (OSError, EOFError, RuntimeError, LookupError, ValueError, pickle.UnpicklingError, SafetensorError)
BUNDLED = Path(__file__).parents[2] / "assets" / "clip_rendered.safetensors"
MAKE = (
    "model.clip=rendered is a small one that comes with idc, `python data_scripts/train_clip.py` trains another on rendered "
    "pictures; the published one needs "
    "model.architecture=ViT-B-32-quickgelu and model.clip=openai:PATH, or model.clip=hub:openai where there is internet."
)


@dataclass(frozen=True)
class Plan:
    """What a CLIP is made of, weights apart.

    config: embed_dim, vision_cfg, text_cfg and quick_gelu, as open_clip names them. words: its vocabulary, the position
    being the id; None where it reads byte pairs. origin: the SHA-256 of the file that its weights came from, or the hub's
    name for them; None where nobody knows. Whoever judges captions by a CLIP can tell from it what began with the same.
    """

    config: dict[str, Any]
    words: tuple[str, ...] | None = None
    origin: str | None = field(default=None, compare=False)

    def build(self) -> nn.Module:
        """A CLIP with random weights. Raises UserError when the configuration is none of open_clip's."""
        from open_clip import CLIP

        try:
            return CLIP(**self.config)
        except (TypeError, ValueError, AssertionError) as error:
            raise UserError(f"open_clip builds no CLIP from {self.config}: {error}") from error


def architecture_plan(name: str | None) -> Plan:
    """The plan of one of open_clip's architectures. Raises UserError for a name it does not have."""
    from open_clip import get_model_config

    config = get_model_config(name) if name else None
    if config is None:
        raise UserError(
            f"model.architecture is {name!r}; name the one that the weights are of, such as ViT-B-32-quickgelu "
            "(`python -c 'import open_clip; print(open_clip.list_models())'` lists them)."
        )
    return Plan(config)


def load_clip(source: str, architecture: str | None = None) -> tuple[nn.Module, Plan]:
    """A CLIP in fp32 and its plan; see the top of this file for what `source` may be.

    Raises UserError when the file is missing or broken, and when it does not hold that architecture.
    """
    from open_clip import create_model, load_checkpoint

    kind, _, rest = source.partition(":")
    path = BUNDLED if source == "rendered" else Path(rest if kind == "openai" else source)
    if kind != "hub" and not path.is_file():
        raise UserError(f"there is no CLIP at {path} (model.clip={source}). {MAKE}")
    try:
        if kind == "hub":
            plan = architecture_plan(architecture)
            if rest == "openai":
                check_quick_gelu(plan, architecture)
            clip = create_model(architecture, pretrained=rest, precision="fp32")
            return clip, replace(plan, origin=source)
        plan = read_plan(path) or architecture_plan(architecture)
        clip = plan.build()
        if kind == "openai":
            check_quick_gelu(plan, architecture)
            clip.load_state_dict(openai_weights(path))
        elif plan.words is not None:
            clip.load_state_dict(load_file(path))
        else:
            load_checkpoint(clip, str(path))
    except BROKEN as error:
        reason = " ".join(str(error).split())[:300]
        raise UserError(f"model.clip={source} cannot be read: {reason} {MAKE}") from error
    return clip, replace(plan, origin=hashlib.sha256(path.read_bytes()).hexdigest())


def check_quick_gelu(plan: Plan, architecture: str | None) -> None:
    """Raises UserError for an architecture that OpenAI's weights would be wrong in."""
    if not plan.config.get("quick_gelu"):
        raise UserError(
            f"OpenAI's weights were trained with QuickGELU, and model.architecture={architecture} has none; set "
            f"model.architecture={architecture}-quickgelu."
        )


def openai_weights(path: Path) -> dict[str, Tensor]:
    """The weights in OpenAI's archive, in fp32."""
    from open_clip import load_openai_model

    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # the archive is TorchScript, there is no newer one
        return load_openai_model(str(path), precision="fp32", device="cpu").state_dict()


def read_plan(path: Path) -> Plan | None:
    """The plan in a file's metadata, None for a file without one. Raises ValueError when it is broken."""
    if path.suffix != ".safetensors":
        return None
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
    if not metadata.keys() >= {"config", "words"}:
        return None
    return Plan(json.loads(metadata["config"]), tuple(json.loads(metadata["words"])))


def normalised(pictures: Float[Tensor, "B 3 h w"]) -> Float[Tensor, "B 3 h w"]:
    """Pictures in [0, 1] as CLIP wants them: less the mean, divided by the deviation, for each colour."""
    from open_clip.constants import OPENAI_DATASET_MEAN, OPENAI_DATASET_STD

    mean, std = (pictures.new_tensor(x)[:, None, None] for x in (OPENAI_DATASET_MEAN, OPENAI_DATASET_STD))
    return (pictures - mean) / std


def encode_text(clip: nn.Module, words: Int[Tensor, "B L"]) -> Float[Tensor, "B D"]:
    """The vector of each sentence, read at its END: what `clip.encode_text` gives for the same ids padded to the context.

    The text tower looks back only, so that padding after END changes nothing and need not be computed.
    """
    from open_clip.transformer import text_global_pool

    length = words.shape[1]
    x: Any = clip
    tokens = x.token_embedding(words) + x.positional_embedding[:length]
    tokens = x.ln_final(x.transformer(tokens, attn_mask=x.attn_mask[:length, :length]))
    return text_global_pool(tokens, words, x.text_pool_type, x.text_eos_id) @ x.text_projection
