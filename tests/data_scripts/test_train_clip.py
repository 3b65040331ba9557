"""The small CLIP's training: what a step sees is true, an interruption changes nothing, what is wrong is said."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from open_clip import CLIP
from PIL import Image
from safetensors import safe_open
from safetensors.torch import load_file

from data_scripts import train_clip
from data_scripts.train_clip import (
    SHOTS,
    batch,
    contrastive_loss,
    main,
    normalised,
    parameter_groups,
    rate,
    read_pictures,
    read_scenes,
    read_words,
)
from idc.data.vocabulary import SPECIAL, Vocabulary, tokenize
from idc.systems.clip4idc.clip import load_clip
from idc.world import description
from idc.world.layout import FOLDERS, picture_name, write_listings
from idc.world.triple import sample_triple, triple_to_dict

SCRIPT = Path(train_clip.__file__)
SCENES = 9
TINY = [
    "--patch",
    "32",
    "--width",
    "32",
    "--layers",
    "1",
    "--dim",
    "32",
    "--text-layers",
    "1",
    "--device",
    "cpu",
]
TINY += ["--steps", "60", "--batch-size", "4", "--save-every", "1", "--lr", "0.003"]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scene graphs of a world, with noise for pictures."""
    root = tmp_path_factory.mktemp("clip") / "world"
    rng = np.random.default_rng(0)
    records = []
    for index in range(SCENES):
        record = json.loads(json.dumps(triple_to_dict(sample_triple(3, index))))
        boxes = {kind: [[0, 0, 1, 1]] * 9 for kind in FOLDERS}
        records.append(record | {"boxes": boxes, "size": [16, 12], "seed": 3})
        for kind, folder in FOLDERS.items():
            (root / folder).mkdir(parents=True, exist_ok=True)
            pixels = rng.integers(0, 256, (12, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / folder / picture_name(kind, index))
    write_listings(root, records, {"train": [0, 1, 3, 4, 5, 8], "val": [2, 6], "test": [7]})
    return root


def metadata_of(path: Path) -> dict[str, Any]:
    """What the file says about itself."""
    with safe_open(path, "pt") as file:
        return {name: json.loads(text) for name, text in file.metadata().items()}


def call(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """Run the command in this process. Returns its exit code."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def made(world: Path) -> Path:
    """The file of a training without interruption, by the real command."""
    done = subprocess.run(
        [sys.executable, SCRIPT, "--root", world, *TINY],
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert "on val, in %" in done.stdout and "step" in done.stderr
    return world / "clip_seed0.safetensors"


def test_the_file_is_whole(made: Path, world: Path) -> None:
    weights, about = load_file(made), metadata_of(made)
    assert {tensor.dtype for tensor in weights.values()} == {torch.float16}
    assert set(about) == {"config", "words", "seed", "settings", "figures"} and about["seed"] == 0
    said = {
        word
        for file in ("change_captions.json", "no_change_captions.json", "reversed_captions.json")
        for name, captions in json.loads((world / file).read_text()).items()
        for caption in captions
        for word in tokenize(caption)
        if int(name[-10:-4]) in (0, 1, 3, 4, 5, 8)
    }
    assert Vocabulary(about["words"]).words[:4] == SPECIAL
    assert set(about["words"]) == said | description.words() | set(SPECIAL)
    clip, plan = load_clip(str(made))
    assert plan.words == tuple(about["words"])
    assert all(torch.equal(tensor, weights[name].float()) for name, tensor in clip.state_dict().items())
    assert about["figures"]["parameters"] == sum(parameter.numel() for parameter in clip.parameters())
    assert not made.with_suffix(".training.pt").exists()


def test_its_figures(made: Path) -> None:
    figures = metadata_of(made)["figures"]
    assert len(figures["losses"]) == 60 and abs(figures["losses"][0] - np.log(4)) < 0.5
    val = figures["val"]
    assert val["pool"] == 2 and val["chance.R@1"] == 50
    assert 0 <= val["image_to_text.R@1"] <= 100 == val["image_to_text.R@5"] == val["text_to_image.R@5"]


def test_the_loss_is_the_formula_and_a_batch_can_be_learnt_by_heart(made: Path, world: Path) -> None:
    torch.manual_seed(0)
    clip = CLIP(**metadata_of(made)["config"])
    vocabulary, pictures = read_words(world), read_pictures(world, read_scenes(world, "train"), "pictures")
    images, ids = batch(pictures, vocabulary, 6, 0, 0)
    assert len(ids) == 6 * train_clip.SAYS
    padded = F.pad(ids, (0, clip.context_length - ids.shape[1]))
    losses = []
    for round_ in padded.split(6):
        image, text, scale = clip(normalised(images), round_)
        similarity = scale * image @ text.T
        losses += [-similarity.log_softmax(axis).diagonal().mean() for axis in (0, 1)]
    expected = torch.stack(losses).mean()
    torch.testing.assert_close(contrastive_loss(clip, images, ids), expected)
    optimizer = torch.optim.AdamW(parameter_groups(clip), lr=3e-3)
    for _ in range(40):
        optimizer.zero_grad()
        loss = contrastive_loss(clip, images, ids)
        loss.backward()
        optimizer.step()
    assert loss < 0.1 < expected


def test_pictures_finding_sentences_and_sentences_finding_pictures_are_told_apart(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images, texts = torch.tensor([[1.0, 0.0], [0.6, 0.8]]), torch.tensor([[0.1, -0.99], [0.8, 0.6]])
    clip: Any = SimpleNamespace(logit_scale=torch.ones(()), encode_image=lambda *_, **__: images)
    monkeypatch.setattr(train_clip, "encode_text", lambda *_: texts)
    pictures = read_pictures(world, read_scenes(world, "val"), "pictures")
    report = train_clip.try_out(clip, pictures, read_words(world))
    assert report["text_to_image.R@1"] == 100  # 0.1 > -0.73 and 0.96 > 0.8
    assert report["image_to_text.R@1"] == 50  # 0.1 < 0.8 and 0.96 > -0.73


def test_killed_and_taken_up_again(
    made: Path, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "again.safetensors"
    state = out.with_suffix(".training.pt")
    arguments = ["--root", str(world), "--out", str(out), *TINY]
    process = subprocess.Popen([sys.executable, str(SCRIPT), *arguments], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 200
    while not state.is_file() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not out.exists() and 0 < len(torch.load(state, weights_only=True)["losses"]) < 60
    assert call(monkeypatch, *arguments) == 0
    whole, resumed = load_file(made), load_file(out)
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert metadata_of(made) == metadata_of(out)


def test_seeds_are_kept_apart(
    made: Path, world: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    before = made.read_bytes()
    assert call(monkeypatch, "--root", world, *TINY, "--seed", 1, "--steps", 1) == 0
    other = load_file(world / "clip_seed1.safetensors")
    assert not torch.equal(other["token_embedding.weight"], load_file(made)["token_embedding.weight"])
    assert call(monkeypatch, "--root", world, *TINY) == 0
    assert "clip_seed0.safetensors is there already" in capsys.readouterr().out
    assert call(monkeypatch, "--root", world, *TINY, "--seed", 1, "--out", made) == 2
    assert "was made with other settings (seed)" in capsys.readouterr().err
    assert made.read_bytes() == before


def test_a_step_depends_on_seed_and_number_alone(world: Path) -> None:
    vocabulary, pictures = read_words(world), read_pictures(world, read_scenes(world, "train"), "pictures")
    first, again = (batch(pictures, vocabulary, 3, 5, 7) for _ in range(2))
    assert all(torch.equal(*both) for both in zip(first, again, strict=True))
    for seed, step in ((5, 8), (6, 7)):
        assert not torch.equal(batch(pictures, vocabulary, 3, seed, step)[0], first[0])


def test_what_a_step_says_is_true_of_what_it_shows(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without shifts, a picture is one of its scene's, or its mirror image with left and right exchanged in the words."""
    for name in ("SHIFT", "ZOOM", "LIGHT"):
        monkeypatch.setattr(train_clip, name, 0.0)
    told: dict[str, tuple[Any, Any]] = {}
    original = train_clip.describe_scene

    def describe(rng: np.random.Generator, scene: Any, view: Any) -> str:
        sentence = original(rng, scene, view)
        told[sentence] = told[description.mirrored(sentence)] = (scene, view)
        return sentence

    monkeypatch.setattr(train_clip, "describe_scene", describe)
    vocabulary, pictures = read_words(world), read_pictures(world, read_scenes(world, "train"), "pictures")
    spoken, turned = [], 0
    for step in range(8):
        images, ids = batch(pictures, vocabulary, 2, 0, step)
        for number, row in enumerate(ids.tolist()):
            image = (images[number % 2] * 255).round().byte()
            sentence = vocabulary.decode(row).replace(" ,", ",")
            place = pictures.seen.index(told[sentence])
            mirror = torch.equal(image, pictures.pixels[place].flip(-1))
            assert mirror or torch.equal(image, pictures.pixels[place])
            if number < 2:
                spoken.append(place // len(SHOTS))
                turned += mirror
    assert sorted(spoken[:6]) == sorted(spoken[6:12]) == list(range(6))  # every scene once an epoch
    assert 0 < turned < 16


def test_an_augmented_picture_is_a_little_off(world: Path) -> None:
    pictures = read_pictures(world, read_scenes(world, "val"), "pictures")
    images = pictures.pixels.float() / 255
    plain = train_clip.augment(images, np.zeros(6, bool), np.random.default_rng(0))
    mirrored = train_clip.augment(images, np.ones(6, bool), np.random.default_rng(0))
    assert plain.shape == images.shape and plain.min() >= 0 and plain.max() <= 1
    for moved, still in ((plain, images), (mirrored, images.flip(-1))):
        correlation = np.corrcoef(moved.flatten(), still.flatten())[0, 1]
        assert 0.5 < correlation < 0.999
    assert abs(normalised(images).mean()) < abs(images.mean() / 0.27)


def test_the_rate_rises_and_falls_to_nothing() -> None:
    rates = [rate(step, 100) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == pytest.approx(1, abs=0.03) and rates[100] == 0
    assert rates[:9] == sorted(rates[:9]) and rates[12:] == sorted(rates[12:], reverse=True)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--patch", "7"], "patches of 7 pixels do not fill a picture of 96"),
        (["--width", "100"], "--width is 100; give a multiple of 32"),
        (["--steps", "0"], "--steps is 0; give 1 or more"),
        (["--text-layers", "0"], "--text-layers is 0"),
        (["--seed", "-1"], "--seed is -1; give 0 or more"),
        (["--device", "toaster"], "the device “toaster” cannot be used here"),
    ],
)
def test_wrong_settings_are_named(
    arguments: list[str],
    complaint: str,
    world: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert call(monkeypatch, "--root", world, *TINY, *arguments) == 2
    assert complaint in capsys.readouterr().err


@pytest.fixture
def damaged(world: Path, tmp_path: Path) -> Path:
    """A copy of the world to be damaged."""
    return Path(shutil.copytree(world, tmp_path / "damaged", ignore=shutil.ignore_patterns("*.safetensors")))


def test_a_damaged_world_is_named(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = damaged / "sc_images" / picture_name("semantic", 4)
    broken.write_bytes(broken.read_bytes()[:60])
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "CLEVR_semantic_000004.png cannot be read" in capsys.readouterr().err
    broken.unlink()
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "000004" in capsys.readouterr().err
    lines = (damaged / "scenes.jsonl").read_text().splitlines()
    (damaged / "scenes.jsonl").write_text("\n".join(lines[:8]) + "\n")
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "lacks scene 8 of the split “train”" in capsys.readouterr().err
    (damaged / "scenes.jsonl").unlink()
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "render_world.py" in capsys.readouterr().err
    assert not list(damaged.glob("clip_*"))


def test_a_state_that_does_not_fit_is_left_alone(
    damaged: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    state = damaged / "clip_seed0.training.pt"
    torch.save({"settings": {"seed": 0, "lr": 1.0}}, state)
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "was begun with other settings (steps, batch_size, lr" in capsys.readouterr().err
    state.write_bytes(state.read_bytes()[:50])
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "clip_seed0.training.pt is no state to go on from" in capsys.readouterr().err
    out = damaged / "clip_seed0.safetensors"
    out.write_bytes(b"not a file of weights")
    assert call(monkeypatch, "--root", damaged, *TINY) == 2
    assert "cannot be read" in capsys.readouterr().err and out.read_bytes() == b"not a file of weights"
