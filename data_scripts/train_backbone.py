"""Train the small backbone on rendered scenes, with the scene graph as its teacher.

    python data_scripts/train_backbone.py --root data/backbone_world --out idc/assets

Every cell of the 14 x 14 grid is asked three things through linear classifiers:
  presence  which shapes, colours, materials and sizes are seen in the cell (several may be);
  owner     the four attributes of the object that covers most of the cell (binding: whose colour is it?);
  centre    whether an object's centre lies in the cell.
The answers come from the instance masks and scenes.jsonl. The classifiers are dropped afterwards. The
train split teaches; the weights are written in fp16, beside them a JSON with how they were made and how
accurate they are on the val split. Interrupted, the same command continues at the last finished epoch.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from tqdm import tqdm

from idc.backbones.rendered import INPUT_SIZE, RenderedBackbone, squash
from idc.errors import UserError, continuing_command
from idc.files import atomic_write
from idc.world.scene import COLORS, MATERIALS, SHAPES, SIZES

GROUPS = {"size": SIZES, "color": COLORS, "material": MATERIALS, "shape": SHAPES}
LABELS = sum(len(values) for values in GROUPS.values())
CELLS = 14
CELL_PIXELS = (INPUT_SIZE // CELLS) ** 2
MOST_OBJECTS = 9
PRESENT = 5 / CELL_PIXELS  # an attribute is seen in a cell from 5 of its 64 pixels on
OWNED = 10 / CELL_PIXELS  # below this nobody owns the cell


@dataclass
class Pictures:
    """pixels (M, 3, S, S) uint8; masks (M, S, S) uint8, 0 = ground, i + 1 = object i; attributes
    (M, MOST_OBJECTS, 4) int, index of each attribute's value, -1 where there is no such object."""

    pixels: Tensor
    masks: Tensor
    attributes: Tensor

    def __len__(self) -> int:
        return len(self.pixels)


def read_scene(root: Path, record: dict) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """The three pictures of a scene with their masks and the attributes of their objects."""
    from idc.world.render import instance_mask
    from idc.world.triple import triple_from_dict

    triple = triple_from_dict(record)
    shots = (
        ("images/CLEVR_default", triple.default, triple.default_view),
        ("sc_images/CLEVR_semantic", triple.semantic, triple.semantic_view),
        ("nsc_images/CLEVR_nonsemantic", triple.default, triple.nonsemantic_view),
    )
    result = []
    for prefix, scene, view in shots:
        with Image.open(root / f"{prefix}_{triple.index:06d}.png") as image:
            width, height = image.size
            pixels = squash(image).transpose(2, 0, 1)
        mask = instance_mask(scene, view, size=(INPUT_SIZE, INPUT_SIZE * height // width))
        square = Image.fromarray(mask.astype(np.uint8)).resize(
            (INPUT_SIZE, INPUT_SIZE), Image.Resampling.NEAREST
        )
        attributes = np.full((MOST_OBJECTS, 4), -1, dtype=np.int64)
        for index, thing in enumerate(scene.objects):
            attributes[index] = [values.index(getattr(thing, group)) for group, values in GROUPS.items()]
        result.append((pixels, np.array(square), attributes))
    return result


def read_pictures(root: Path, records: list[dict], workers: int) -> Pictures:
    """All pictures of the scenes, with masks computed anew from the scene graphs."""
    shots: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        done = pool.imap(partial(read_scene, root), records, chunksize=8)
        for scene in tqdm(done, total=len(records), desc="reading scenes", unit="scene"):
            shots.extend(scene)
    pixels, masks, attributes = (torch.from_numpy(np.stack(part)) for part in zip(*shots, strict=True))
    return Pictures(pixels, masks, attributes)


@dataclass
class Targets:
    """presence (B, LABELS, 14, 14) 0/1; owner (B, 4, 14, 14) value index or -1; centre (B, 14, 14) 0/1."""

    presence: Tensor
    owner: Tensor
    centre: Tensor


def targets(masks: Tensor, attributes: Tensor) -> Targets:
    """What the classifiers should answer for a batch of masks (B, S, S) and attributes (B, K, 4)."""
    batch, most, _ = attributes.shape
    objects = torch.arange(1, most + 1)
    here = (masks[:, None] == objects[:, None, None]).float()  # (B, K, S, S)
    coverage = F.avg_pool2d(here, INPUT_SIZE // CELLS)  # (B, K, 14, 14)

    one_hot = torch.cat(
        [F.one_hot(attributes[..., g].clamp(min=0), len(values)) for g, values in enumerate(GROUPS.values())],
        dim=-1,
    ) * (attributes[..., :1] >= 0)  # (B, K, LABELS)
    presence = torch.einsum("bkyx,bkl->blyx", (coverage >= PRESENT).float(), one_hot.float()) > 0

    most_covering = coverage.argmax(1)  # (B, 14, 14)
    owner = attributes.gather(1, most_covering.flatten(1)[..., None].expand(-1, -1, 4))  # (B, 196, 4)
    owner = owner.transpose(1, 2).reshape(batch, 4, CELLS, CELLS)
    owner = owner.masked_fill((coverage.amax(1) < OWNED)[:, None], -1)

    weight = here.sum((2, 3)).clamp(min=1)
    steps = torch.arange(INPUT_SIZE, dtype=torch.float)
    y = (here.sum(3) @ steps / weight / INPUT_SIZE * CELLS).long()
    x = (here.sum(2) @ steps / weight / INPUT_SIZE * CELLS).long()
    centre = torch.zeros(batch, CELLS * CELLS)
    centre.scatter_add_(1, y * CELLS + x, (attributes[..., 0] >= 0).float())
    return Targets(presence.float(), owner, centre.clamp(max=1).view(batch, CELLS, CELLS))


class Student(nn.Module):
    """The backbone with its linear classifiers: LABELS of presence, LABELS of the owner, one of the centre."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = RenderedBackbone()
        self.classify = nn.Conv2d(96, 2 * LABELS + 1, 1)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        presence, owner, centre = (
            self.classify(self.backbone.cells(images)).float().split([LABELS, LABELS, 1], dim=1)
        )
        return presence, owner, centre[:, 0]


def loss(answers: tuple[Tensor, Tensor, Tensor], truth: Targets) -> Tensor:
    """Presence and centre by binary, the owner's four attributes by categorical cross-entropy (nats)."""
    presence, owner, centre = answers
    total = F.binary_cross_entropy_with_logits(presence, truth.presence) * 5
    total = total + F.binary_cross_entropy_with_logits(centre, truth.centre, pos_weight=torch.tensor(5.0))
    for g, logits in enumerate(owner.split([len(values) for values in GROUPS.values()], dim=1)):
        total = total + F.cross_entropy(logits, truth.owner[:, g], ignore_index=-1) / 4
    return total


def augment(pixels: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Mirror half of the batch; vary brightness and contrast by up to 10 %."""
    images = pixels.float() / 127.5 - 1
    if torch.rand((), generator=generator) < 0.5:
        images, masks = images.flip(-1), masks.flip(-1)
    contrast = 1 + 0.1 * (2 * torch.rand(len(images), 1, 1, 1, generator=generator) - 1)
    brightness = 0.1 * (2 * torch.rand(len(images), 1, 1, 1, generator=generator) - 1)
    return images * contrast + brightness, masks


@torch.no_grad()
def evaluate(student: Student, pictures: Pictures) -> dict[str, float]:
    """F1 of presence per attribute over cells; per object, how often its best cell names it fully right."""
    student.eval()
    hits = {group: np.zeros(3) for group in GROUPS}  # true positives, said, true
    right = dict.fromkeys((*GROUPS, "object"), 0)
    count = 0
    for start in range(0, len(pictures), 128):
        rows = slice(start, start + 128)
        truth = targets(pictures.masks[rows], pictures.attributes[rows])
        presence, owner, _ = student(pictures.pixels[rows].float() / 127.5 - 1)
        widths = [len(values) for values in GROUPS.values()]
        said, true = (presence > 0).split(widths, 1), (truth.presence > 0).split(widths, 1)
        for group, s, t in zip(GROUPS, said, true, strict=True):
            hits[group] += [int((s & t).sum()), int(s.sum()), int(t.sum())]

        masks, attributes = pictures.masks[rows], pictures.attributes[rows]
        here = (masks[:, None] == torch.arange(1, MOST_OBJECTS + 1)[:, None, None]).float()
        best = (
            F.avg_pool2d(here, INPUT_SIZE // CELLS).flatten(2).argmax(2)
        )  # (B, K) the object's fullest cell
        exists = attributes[..., 0] >= 0
        all_right = exists.clone()
        for g, (group, logits) in enumerate(zip(GROUPS, owner.split(widths, 1), strict=True)):
            value = logits.argmax(1).flatten(1).gather(1, best)  # (B, K)
            match = (value == attributes[..., g]) & exists
            right[group] += int(match.sum())
            all_right &= match
        right["object"] += int(all_right.sum())
        count += int(exists.sum())
    f1 = {f"f1_{group}": float(2 * h[0] / max(1, h[1] + h[2])) for group, h in hits.items()}
    return f1 | {f"read_{group}": n / count for group, n in right.items()}


@continuing_command
def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--root", type=Path, required=True, help="a rendered world (data_scripts/render_world.py)"
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="folder for backbone_rendered.{safetensors,json}"
    )
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=3e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--workers", type=int, default=multiprocessing.cpu_count())
    parser.add_argument(
        "--bf16", action="store_true", help="bfloat16 convolutions, where the processor has them"
    )
    args = parser.parse_args()

    listing = args.root / "scenes.jsonl"
    if not listing.is_file():
        raise UserError(
            f"{listing} is missing; render a world first: python data_scripts/render_world.py --out {args.root}"
        )
    records = {r["index"]: r for r in map(json.loads, listing.read_text(encoding="utf-8").splitlines())}
    splits = json.loads((args.root / "splits.json").read_text(encoding="utf-8"))
    training, held_out = ([records[i] for i in splits[name]] for name in ("train", "val"))
    if not training or not held_out:
        raise UserError(f"{args.root} needs scenes in its train and val splits; render with --splits.")
    test_pictures = read_pictures(args.root, held_out, args.workers)
    pictures = read_pictures(args.root, training, args.workers)

    torch.manual_seed(args.seed)
    student = Student().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(student.parameters(), lr=args.lr, weight_decay=1e-2)
    steps = len(pictures) // args.batch_size * args.epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / 100, 0.5 * (1 + math.cos(math.pi * step / max(1, steps))))
    )
    state_file = args.out / "backbone_rendered.training.pt"
    first_epoch = 0
    if state_file.is_file():
        state = torch.load(state_file, weights_only=True)
        student.load_state_dict(state["student"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first_epoch = state["epoch"]

    started = time.process_time()
    for epoch in range(first_epoch, args.epochs):
        student.train()
        generator = torch.Generator().manual_seed(args.seed * 1000 + epoch)
        shuffled = torch.randperm(len(pictures), generator=generator)
        batches = shuffled[: len(shuffled) // args.batch_size * args.batch_size].view(-1, args.batch_size)
        progress = tqdm(batches, desc=f"epoch {epoch + 1}/{args.epochs}", unit="step")
        for rows in progress:
            images, masks = augment(pictures.pixels[rows], pictures.masks[rows], generator)
            truth = targets(masks, pictures.attributes[rows])
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled=args.bf16):
                answers = student(images.contiguous(memory_format=torch.channels_last))
            value = loss(answers, truth)
            optimizer.zero_grad()
            value.backward()
            optimizer.step()
            schedule.step()
            progress.set_postfix(loss=f"{value.item():.3f}")
        accuracy = evaluate(student, test_pictures)
        print(f"epoch {epoch + 1}: " + "  ".join(f"{k} {v:.3f}" for k, v in accuracy.items()), flush=True)
        with atomic_write(state_file) as path:
            torch.save(
                {
                    "student": student.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                    "epoch": epoch + 1,
                },
                path,
            )

    weights = {
        name: tensor.half().contiguous()
        for name, tensor in student.backbone.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    with atomic_write(args.out / "backbone_rendered.safetensors") as path:
        save_file(weights, path)
    provenance = {
        "made_by": "data_scripts/train_backbone.py",
        "arguments": {k: v for k, v in vars(args).items() if k not in ("root", "out", "workers")},
        "world": json.loads((args.root / "world.json").read_text(encoding="utf-8")),
        "training_scenes": len(training),
        "held_out_scenes": len(held_out),
        "parameters": sum(p.numel() for p in student.backbone.parameters()),
        "cpu_seconds": round(time.process_time() - started),
        "accuracy": {name: round(value, 4) for name, value in evaluate(student, test_pictures).items()},
    }
    with atomic_write(args.out / "backbone_rendered.json") as path:
        path.write_text(json.dumps(provenance, indent=2) + "\n", encoding="utf-8")
    state_file.unlink()


if __name__ == "__main__":
    main()
