"""Train a small CLIP on single pictures of a rendered world, with sentences made from the scene graphs.

    python data_scripts/train_clip.py --root data/rendered --seed 0

What OpenAI's weights are to real photographs, this is to the rendered world: CLIP4IDC begins with it. The network is
open_clip's CLIP with a small configuration; the loss the symmetric contrastive one (Radford et al. 2021, section 2.3):
half of info_nce from pictures to sentences, half from sentences to pictures. Every step takes one of the three
pictures of each of its scenes, says a few new and true things about it, shifts, zooms and brightens it a little and
mirrors half of them, in which case left and right trade places in what is said. Only the train split teaches.

Written is one .safetensors file in half precision, ROOT/clip_seed<SEED>.safetensors, whose metadata hold
  config    open_clip's configuration (JSON): CLIP(**config)
  words     all words (JSON): idc.data.vocabulary.Vocabulary(words); those of scene sentences and of the root's captions
  seed, settings, figures    how it was made, its losses, and how often it finds a val picture's sentence among others
Files of different seeds are kept apart, and a system remembers the SHA-256 of the one it began with, so that a network
never has to judge what was trained with it.
Interrupted, the same command continues at the last saved step.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int, UInt8
from open_clip import CLIP
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from idc.backbones import load_backbone, open_image
from idc.backbones.resnet101 import UNREADABLE
from idc.data.captions import FAMILIES, read_captions
from idc.data.features import check_pictures, device_of
from idc.data.layout import picture, split_of
from idc.data.vocabulary import SPECIAL, Vocabulary, tokenize
from idc.errors import UserError, continuing_command
from idc.files import atomic_write
from idc.metrics.retrieval import rank_true, similarities
from idc.pieces.infonce import info_nce
from idc.systems.clip4idc.clip import encode_text, normalised
from idc.systems.clip4idc.vary import vary
from idc.world.description import LONGEST, describe_scene, mirrored, words
from idc.world.layout import FOLDERS, read_records
from idc.world.scene import Scene, View
from idc.world.triple import scene_from_dict, view_from_dict

SIZE = 96  # pixels, both sides: the grids of the backbone pixels96
HEAD = 32  # width of an attention head
CONTEXT = LONGEST + 2  # ids of a sentence with START and END, and of the longest caption
MIRROR, SHIFT, ZOOM, LIGHT = 0.5, 0.06, 0.06, 0.1  # share; in half pictures; in parts of 1, like the last
WARMUP, DECAY, CLIP_NORM = 0.1, 0.1, 1.0  # share of the steps; weight decay of matrices; norm of the gradient
LARGEST_SCALE = math.log(100)  # of the similarities, as in the published CLIP
SAYS = 3  # sentences about a picture in a step: they cost less than the picture
POOL, DRAWS = 64, 8  # pictures to choose from, and sentences for each, when the network is tried
SHOTS = (
    ("default", "default"),
    ("semantic", "semantic"),
    ("nonsemantic", "default"),
)  # picture, scene it shows


@dataclass(frozen=True)
class Pictures:
    """pixels: (3 S, 3, H, W), the three pictures of each of S scenes. seen: what they show, and from where."""

    pixels: UInt8[Tensor, "P 3 H W"]
    seen: list[tuple[Scene, View]]

    @property
    def scenes(self) -> int:
        return len(self.seen) // len(SHOTS)


def read_pictures(root: Path, records: list[dict[str, Any]], what: str) -> Pictures:
    """All pictures of the scenes, squashed as the backbone does."""
    backbone = load_backbone(f"pixels{SIZE}")

    def read(path: Path) -> Tensor:
        return (backbone.preprocess(open_image(path)) * 255).round().byte()

    shots = [(record, kind, shown) for record in records for kind, shown in SHOTS]
    paths = [root / FOLDERS[kind] / picture(kind, record["index"]) for record, kind, _ in shots]
    seen = [
        (scene_from_dict(record[shown]), view_from_dict(record[f"{kind}_view"]))
        for record, kind, shown in shots
    ]
    with ThreadPoolExecutor(4) as pool:
        pixels = list(tqdm(pool.map(read, paths), total=len(paths), desc=f"reading {what}", unit="picture"))
    return Pictures(torch.stack(pixels), seen)


def read_scenes(root: Path, split: str) -> list[dict[str, Any]]:
    """The records of a split's scenes. Raises UserError for a root without scene graphs, or without some of them."""
    if not (root / "scenes.jsonl").is_file():
        raise UserError(
            f"{root / 'scenes.jsonl'} is missing, and the sentences come from its scene graphs; render a world first: "
            f"python data_scripts/render_world.py --out {root}"
        )
    records, scenes = read_records(root), split_of(root, split)
    missing = [scene for scene in scenes if scene not in records]
    if missing:
        raise UserError(
            f"{root / 'scenes.jsonl'} lacks scene {missing[0]} of the split “{split}”; run render_world.py again."
        )
    check_pictures(root, [picture(kind, scene) for scene in scenes for kind, _ in SHOTS])
    return [records[scene] for scene in scenes]


def read_words(root: Path) -> Vocabulary:
    """The words of scene sentences and of the train split's captions."""
    train = split_of(root, "train")
    families = [read_captions(root / file) for file in FAMILIES.values() if (root / file).is_file()]
    said = {
        word
        for family in families
        for scene in train
        for text in family.get(scene, ())
        for word in tokenize(text)
    }
    return Vocabulary((*SPECIAL, *sorted((words() | said) - set(SPECIAL))))


def batch(
    pictures: Pictures, vocabulary: Vocabulary, size: int, seed: int, step: int
) -> tuple[Float[Tensor, "B 3 H W"], Int[Tensor, "T L"]]:
    """Pictures in [0, 1] and SAYS rounds of a sentence about each, one round after the other: T = SAYS B.

    They follow from (seed, step) alone; every scene comes once an epoch.
    """
    epoch, place = divmod(step, pictures.scenes // size)
    order = np.random.default_rng((seed, 0, epoch)).permutation(pictures.scenes)
    rng = np.random.default_rng((seed, 1, step))
    rows = order[place * size : (place + 1) * size] * len(SHOTS) + rng.integers(len(SHOTS), size=size)
    mirror = rng.random(size) < MIRROR
    told = [
        (describe_scene(rng, *pictures.seen[row]), turned)
        for _ in range(SAYS)
        for row, turned in zip(rows, mirror, strict=True)
    ]
    sentences = [mirrored(sentence) if turned else sentence for sentence, turned in told]
    return augment(pictures.pixels[rows].float() / 255, mirror, rng), encoded(sentences, vocabulary)


def encoded(sentences: list[str], vocabulary: Vocabulary) -> Int[Tensor, "B L"]:
    """START … END, padded to the longest."""
    ids = [torch.tensor(vocabulary.encode(sentence)) for sentence in sentences]
    return pad_sequence(ids, batch_first=True, padding_value=Vocabulary.NULL)


def augment(
    images: Float[Tensor, "B 3 H W"], mirror: np.ndarray, rng: np.random.Generator
) -> Float[Tensor, "B 3 H W"]:
    """Mirrored where `mirror` says so; shifted, zoomed and brightened as it comes. What is said stays true."""
    count = len(images)
    zoom = 1 + rng.uniform(-ZOOM, ZOOM, count)
    shift = rng.uniform(-SHIFT, SHIFT, (count, 2))
    light = 1 + rng.uniform(-LIGHT, LIGHT, count)
    zooms = np.stack([np.where(mirror, -zoom, zoom), zoom], -1)
    return vary(images, *(torch.from_numpy(each).float() for each in (zooms, shift, light)))


def contrastive_loss(
    clip: CLIP, images: Float[Tensor, "B 3 H W"], ids: Int[Tensor, "T L"]
) -> Float[Tensor, ""]:
    """(info_nce(s) + info_nce(s^T)) / 2 with s[i, j] = exp(logit_scale) cos(image_i, text_j), in nats.

    The mean over all rounds of sentences; T is a multiple of B, and text j of each round is about image j.
    """
    pictures = clip.encode_image(normalised(images), normalize=True)
    texts = F.normalize(encode_text(clip, ids), dim=-1)
    scores = [clip.logit_scale.exp() * pictures @ each.T for each in texts.split(len(images))]
    return torch.stack([(info_nce(s) + info_nce(s.T)) / 2 for s in scores]).mean()


@torch.no_grad()
def try_out(clip: CLIP, pictures: Pictures, vocabulary: Vocabulary) -> dict[str, float]:
    """How often pictures find their sentences and sentences their pictures, in percent.

    To choose from are the default pictures of up to POOL scenes, and one sentence for each, DRAWS times anew.
    """
    device = clip.logit_scale.device
    rows = list(range(0, len(pictures.seen), len(SHOTS)))[:POOL]
    rng = np.random.default_rng(0)  # the same sentences for every network
    images = clip.encode_image(normalised(pictures.pixels[rows].to(device).float() / 255), normalize=True)
    found, finds = [], []
    for _ in range(DRAWS):
        ids = encoded([describe_scene(rng, *pictures.seen[row]) for row in rows], vocabulary)
        texts = F.normalize(encode_text(clip, ids.to(device)), dim=-1)
        similarity = similarities(texts, images)
        found.append(similarity.T)
        finds.append(similarity)
    true = torch.arange(len(rows)).repeat(DRAWS)
    ranks = {
        "image_to_text": rank_true(torch.cat(found), true),
        "text_to_image": rank_true(torch.cat(finds), true),
    }
    report = {f"{name}.R@{k}": round(each.recall(k), 2) for name, each in ranks.items() for k in (1, 5)}
    return {"pool": len(rows), **report, "chance.R@1": round(100 / len(rows), 2)}


def parameter_groups(clip: CLIP) -> list[dict[str, Any]]:
    """Matrices decay; biases, gains, embeddings and the scale do not."""
    named = [(name, parameter) for name, parameter in clip.named_parameters()]
    plain = [name for name, parameter in named if parameter.ndim < 2 or "embedding" in name]
    return [
        {"params": [p for name, p in named if name not in plain], "weight_decay": DECAY},
        {"params": [p for name, p in named if name in plain], "weight_decay": 0.0},
    ]


def rate(step: int, steps: int) -> float:
    """The learning rate in parts of the highest: a linear rise, then half a cosine down to 0."""
    warmup = max(1, round(WARMUP * steps))
    return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)))


def check_arguments(arguments: argparse.Namespace) -> None:
    """Raises UserError for sizes that do not fit each other."""
    for name in ("steps", "batch_size", "save_every", "layers", "text_layers"):
        if getattr(arguments, name) < 1:
            raise UserError(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; give 1 or more.")
    if arguments.seed < 0:
        raise UserError(f"--seed is {arguments.seed}; give 0 or more.")
    if arguments.patch < 1 or SIZE % arguments.patch:
        raise UserError(
            f"patches of {arguments.patch} pixels do not fill a picture of {SIZE}; take --patch 8, 12 or 16."
        )
    for name in ("width", "dim"):
        if getattr(arguments, name) < 1 or getattr(arguments, name) % HEAD:
            raise UserError(
                f"--{name} is {getattr(arguments, name)}; give a multiple of {HEAD}, the width of a head."
            )


def is_made(path: Path, settings: dict[str, Any]) -> bool:
    """Whether the file is there with these settings. Raises UserError when it is there with others."""
    if not path.is_file():
        return False
    try:
        with safe_open(path, "pt") as file:
            made = json.loads((file.metadata() or {}).get("settings", "{}"))
    except (SafetensorError, json.JSONDecodeError) as error:
        raise UserError(
            f"{path} is there and cannot be read ({error}); delete it, or choose another --out."
        ) from error
    differing = [name for name in settings if made.get(name) != settings[name]]
    if differing:
        raise UserError(
            f"{path} is there and was made with other settings ({', '.join(differing)}); delete it, or choose another --out."
        )
    return True


def read_state(path: Path, settings: dict[str, Any]) -> dict[str, Any] | None:
    """The state to go on from, if there is one. Raises UserError when it is of other settings or unreadable."""
    if not path.is_file():
        return None
    try:
        state = torch.load(path, weights_only=True)
        differing = [name for name in settings if state["settings"].get(name) != settings[name]]
    except (*UNREADABLE, OSError) as error:
        raise UserError(f"{path} is no state to go on from ({error}); delete it to begin anew.") from error
    if differing:
        raise UserError(
            f"{path} was begun with other settings ({', '.join(differing)}). Give the same ones to go on, delete it to "
            "begin anew, or choose another --out."
        )
    return state


def configuration(arguments: argparse.Namespace, vocabulary: Vocabulary) -> dict[str, Any]:
    """open_clip's configuration."""
    return {
        "embed_dim": arguments.dim,
        "vision_cfg": {
            "image_size": SIZE,
            "patch_size": arguments.patch,
            "width": arguments.width,
            "layers": arguments.layers,
            "head_width": HEAD,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": len(vocabulary),
            "width": arguments.dim,
            "heads": arguments.dim // HEAD,
            "layers": arguments.text_layers,
            "pool_type": "eos",
            "eos_id": Vocabulary.END,
            "pad_id": Vocabulary.NULL,
        },
    }


def train(
    clip: CLIP,
    pictures: Pictures,
    tests: Pictures,
    vocabulary: Vocabulary,
    settings: dict[str, Any],
    state_file: Path,
    save_every: int,
) -> list[float]:
    """Take the steps that are left. Returns the losses of all steps, in nats."""
    steps, device = settings["steps"], clip.logit_scale.device
    optimizer = torch.optim.AdamW(parameter_groups(clip), betas=(0.9, 0.98), eps=1e-6)
    losses: list[float] = []
    if (state := read_state(state_file, settings)) is not None:
        clip.load_state_dict(state["clip"])
        optimizer.load_state_dict(state["optimizer"])
        losses = state["losses"]
    with tqdm(
        total=steps, initial=len(losses), desc=f"CLIP, seed {settings['seed']}", unit="step"
    ) as progress:
        for step in range(len(losses), steps):
            images, ids = batch(pictures, vocabulary, settings["batch_size"], settings["seed"], step)
            loss = contrastive_loss(clip, images.to(device), ids.to(device))
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(clip.parameters(), CLIP_NORM)
            for group in optimizer.param_groups:
                group["lr"] = settings["lr"] * rate(step, steps)
            optimizer.step()
            with torch.no_grad():
                clip.logit_scale.clamp_(0, LARGEST_SCALE)
            losses.append(loss.item())
            progress.set_postfix(loss=f"{losses[-1]:.3f}", refresh=False)
            progress.update()
            if (step + 1) % save_every == 0:
                progress.write(
                    f"step {step + 1}: {np.mean(losses[-save_every:]):.3f} nats, val {try_out(clip, tests, vocabulary)}"
                )
                state = {
                    "settings": settings,
                    "clip": clip.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "losses": losses,
                }
                with atomic_write(state_file) as path:
                    torch.save(state, path)
    return losses


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--root", type=Path, default=Path("data/rendered"), help="a rendered world")
    parser.add_argument(
        "--out", type=Path, help="the file to write; default: ROOT/clip_seed<SEED>.safetensors"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument(
        "--batch-size", type=int, default=128, help="scenes a step; at most those of the train split"
    )
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--patch", type=int, default=12, help="pixels along a side of a patch; it divides 96")
    parser.add_argument("--width", type=int, default=128, help="of the picture's transformer")
    parser.add_argument("--layers", type=int, default=4, help="of the picture's transformer")
    parser.add_argument(
        "--dim", type=int, default=128, help="width of the text's transformer and of both embeddings"
    )
    parser.add_argument("--text-layers", type=int, default=3)
    parser.add_argument("--save-every", type=int, default=50, help="steps between states to go on from")
    parser.add_argument("--device", default="auto", help="auto (a GPU where there is one), cpu, cuda, mps …")
    arguments = parser.parse_args()
    check_arguments(arguments)
    device, root = device_of(arguments.device), arguments.root
    out = arguments.out or root / f"clip_seed{arguments.seed}.safetensors"

    training, held_out = read_scenes(root, "train"), read_scenes(root, "val")
    vocabulary = read_words(root)
    settings = {
        "seed": arguments.seed,
        "steps": arguments.steps,
        "batch_size": min(arguments.batch_size, len(training)),
        "lr": arguments.lr,
        "config": configuration(arguments, vocabulary),
        "words": list(vocabulary.words),
        "scenes": [record["index"] for record in training],
    }
    if is_made(out, settings):
        print(f"{out} is there already, made with these settings")
        return
    state_file = out.with_suffix(".training.pt")
    read_state(state_file, settings)  # what does not fit is said before all pictures are read
    tests = read_pictures(root, held_out, "val pictures")
    pictures = read_pictures(root, training, "train pictures")

    started = time.process_time()
    torch.manual_seed(arguments.seed)
    clip = CLIP(**settings["config"]).to(device)
    losses = train(clip, pictures, tests, vocabulary, settings, state_file, arguments.save_every)
    weights = {name: tensor.half().contiguous().cpu() for name, tensor in clip.state_dict().items()}
    clip.load_state_dict(weights)  # figures are those of the rounded weights
    figures = {
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "pictures": len(pictures.seen),
        "losses": [round(loss, 4) for loss in losses],
        "val": try_out(clip, tests, vocabulary),
    }
    metadata = {
        "config": json.dumps(settings["config"]),
        "words": json.dumps(settings["words"]),
        "seed": str(arguments.seed),
        "settings": json.dumps(settings),
        "figures": json.dumps(figures),
    }
    with atomic_write(out) as path:
        save_file(weights, path, metadata)
    state_file.unlink(missing_ok=True)
    print(
        f"{out}: {figures['parameters']} parameters; {time.process_time() - started:.0f} s of CPU time since the last start"
    )
    print("on val, in %: " + "  ".join(f"{name} {value:g}" for name, value in figures["val"].items()))


if __name__ == "__main__":
    main()
