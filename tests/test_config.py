"""Configurations: strict, with errors that name the key; the recipes are what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from idc.config import Config, differences, load_config, model_config, save_config
from idc.errors import UserError
from idc.systems.scorer_cbr import ScorerCBRConfig

RECIPES = Path(__file__).parent.parent / "configs" / "scorer_cbr"


@pytest.fixture
def minimal(tmp_path: Path) -> Path:
    path = tmp_path / "minimal.yaml"
    path.write_text("exp_name: minimal\n", encoding="utf-8")
    return path


def test_defaults_are_the_papers_values(minimal: Path) -> None:
    config = load_config(minimal)
    assert (config.optim.lr, config.optim.betas, config.optim.eps) == (2e-4, (0.9, 0.999), 1e-8)
    assert (config.optim.schedule, config.optim.step_epochs, config.optim.gamma) == ("step", 15, 0.1)
    assert config.optim.weight_decay == 0 and config.optim.clip is None
    assert (config.train.steps, config.train.snapshot_every, config.seed) == (10_000, 1000, 1111)
    assert (config.data.train.batch_size, config.data.train.swap) == (128, 0.5)
    assert config.loss_weights == {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}
    assert model_config(config) == ScorerCBRConfig()


@pytest.mark.parametrize("name", ["laptop", "quick", "full"])
def test_recipes_load_and_say_how_to_run_them(name: str) -> None:
    path = RECIPES / f"{name}.yaml"
    assert load_config(path).exp_name == name
    card = path.read_text(encoding="utf-8").split("exp_name:")[0]
    assert f"python -m idc.train --cfg configs/scorer_cbr/{name}.yaml" in card
    assert "time" in card and "expected" in card


@pytest.mark.parametrize(
    ("system", "wrong"),
    [
        (
            "scorer_cbr",
            ("dim=-8", "dim=15", "heads=0", "encoder_layers=0", "decoder_layers=-1", "word_dim=5"),
        ),
        ("scorer_cbr", ("dropout=2.0", "dropout=-0.1")),
        ("clip4idc", ("intra_layers=-1", "layers=0", "heads=0", "hidden=-3", "dropout=2.0", "max_words=1")),
        ("clip4idc", ("clip_rate=-1", "clip_rate=.inf", "freeze_layers=-5", "vary=1.0")),
    ],
)
def test_sizes_that_no_system_can_have_are_named(system: str, wrong: tuple[str, ...]) -> None:
    for setting in wrong:
        with pytest.raises(UserError, match=rf"“model\.{setting.partition('=')[0]}” is .*; it must be "):
            load_config(RECIPES / "laptop.yaml", [f"system={system}", "model=null", f"model.{setting}"])


def test_full_is_the_paper() -> None:
    changed = differences(load_config(RECIPES / "full.yaml"), Config(exp_name="full"))
    assert set(changed) <= {"data.num_workers"}


def test_quick_is_full_with_a_quarter_of_the_data() -> None:
    quick, full = load_config(RECIPES / "quick.yaml"), load_config(RECIPES / "full.yaml")
    assert quick.data.train.max_samples == 8458
    assert quick.model == full.model and quick.optim.lr == full.optim.lr


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["data.train.batch_size=abc"], ["data.train.batch_size", "'abc'", "valid integer"]),
        (["data.train.batch_size='32'"], ["data.train.batch_size", "'32'", "valid integer"]),
        (["data.train.batch_size=32.5"], ["data.train.batch_size", "32.5", "valid integer"]),
        (["data.train.batch_size=true"], ["data.train.batch_size", "True", "valid integer"]),
        (["data.train.batch_size=0"], ["data.train.batch_size", "greater than or equal to 1"]),
        (["data.train.batch_size="], ["data.train.batch_size", "None", "valid integer"]),
        (["data.train.swap=1.5"], ["data.train.swap", "less than or equal to 1"]),
        (["train.compile=1"], ["train.compile", "valid boolean"]),
        (["optim.lr=.nan"], ["optim.lr", "nan"]),
        (["optim.lr=-1"], ["optim.lr", "greater than 0"]),
        (["optim.betas=[0.9]"], ["optim.betas"]),
        (["optim.betas=[0.9, 1.5]"], ["optim.betas.1", "less than 1"]),
        (["optim.schedule=sine"], ["optim.schedule", "'sine'", "'step', 'cosine', 'linear' or 'constant'"]),
        (["exp_name=../up"], ["exp_name", "../up"]),
        (["exp_name=.."], ["exp_name"]),
        (["data.trian.batch_size=3"], ["“data.trian”", "did you mean “data.train”"]),
        (["optim.learning_rate=3"], ["“optim.learning_rate”", "there are method, lr"]),
        (["batch_size=3"], ["“batch_size”", "“data.train.batch_size”", "“data.val.batch_size”"]),
        (["lr=3"], ["“lr”", "did you mean “optim.lr”"]),
        (["model.dims=3"], ["“model.dims”", "did you mean “model.dim”"]),
        (["model.dim=abc"], ["model.dim", "'abc'", "valid integer"]),
        (["model.matching=both"], ["model.matching", "'joint' or 'separate'"]),
        (["loss_weights.cross_veiw=1"], ["did you mean “loss_weights.cross_view”"]),
        (["loss_weights.caption=much"], ["loss_weights.caption", "'much'", "valid number"]),
        (["system=clip5idc"], ["there is no system “clip5idc”", "scorer_cbr"]),
        (["data=3"], ["“data” is 3", "section"]),
        (["optim.lr.x=3"], ["optim.lr", "valid number"]),
        (["optim.lr"], ["dotted.key=value"]),
        (["=3"], ["dotted.key=value"]),
        (["optim.lr=["], ["optim.lr=[", "not valid YAML"]),
        (["train.steps=x", "seed=-1"], ["train.steps", "'x'", "seed", "-1"]),
        (
            ["stages.caption.optim.lr=1"],
            ["“stages.caption”", "the last stage are the general ones", "optim.lr"],
        ),
        (["stages.adapt.optim.lr=1"], ["no stage “adapt” before “caption”", "it is the only one"]),
        (["stage=adapt"], ["no stage “adapt”", "there is caption"]),
        (["stages=3"], ["“stages” is 3", "section"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and "=" in value[0] else "",
)
def test_wrong_settings_are_errors_that_name_the_key(
    minimal: Path, overrides: list[str], said: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        load_config(minimal, overrides)
    for words in said:
        assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "must hold settings"),
        ("- 1", "must hold settings"),
        ("system: scorer_cbr", "the setting “exp_name” is missing"),
        ("exp_name: a\nexp_name: b", "“exp_name” is set twice"),
        ("exp_name: [", "not valid YAML"),
        ("exp_name: 7", "“exp_name” is 7"),
        ("exp_name: a\n3: 4", "no setting “3”"),
        ("exp_name: !!python/object/apply:os.system [ls]", "not valid YAML"),
    ],
)
def test_broken_files(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(UserError, match=r"broken\.yaml") as caught:
        load_config(path)
    assert said in str(caught.value)


def test_missing_and_binary_files(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no configuration at"):
        load_config(tmp_path / "none.yaml")
    (tmp_path / "binary.yaml").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(UserError, match="not a text file"):
        load_config(tmp_path / "binary.yaml")


def test_overrides_say_what_people_type(minimal: Path) -> None:
    config = load_config(
        minimal,
        [
            "optim.lr=2e-4",
            "optim.eps=1E-7",
            "optim.clip=1",
            "data.train.max_samples=null",
            "exp_name=007",
            "data.root=2026-01-02",
            "logger=[tensorboard,visdom]",
            "train.save_every=5",
            "loss_weights.cross_view=0",
            "optim.betas=[0.9, 0.98]",
        ],
    )
    assert (config.optim.lr, config.optim.eps, config.optim.clip) == (2e-4, 1e-7, 1.0)
    assert config.data.train.max_samples is None
    assert (config.exp_name, config.data.root) == ("007", "2026-01-02")
    assert config.logger == ("tensorboard", "visdom")
    assert config.loss_weights == {"caption": 1.0, "cross_view": 0.0, "cross_modal": 0.001}
    assert config.optim.betas == (0.9, 0.98)


def test_empty_sections_mean_defaults(tmp_path: Path) -> None:
    path = tmp_path / "empty.yaml"
    path.write_text("exp_name: empty\nmodel:\noptim:\n", encoding="utf-8")
    assert load_config(path) == Config(exp_name="empty")


def test_paths_follow_the_root_unless_given(minimal: Path) -> None:
    data = load_config(minimal, ["data.root=data/x", "data.backbone=rendered", "data.grids=/elsewhere"]).data
    assert data.path("grids") == Path("/elsewhere")
    assert data.path("labels") == Path("data/x/transformer_labels.hdf5")
    assert data.path("annotations") == Path("data/x/total_change_captions_reformat.json")
    moved = load_config(minimal, ["data.root=data/y", "data.backbone=rendered"]).data
    assert moved.path("grids") == Path("data/y/features_rendered")


def test_saved_configuration_loads_again_complete(minimal: Path, tmp_path: Path) -> None:
    config = load_config(minimal, ["model.dim=64", "optim.lr=1e-5", "data.train.max_samples=7"])
    save_config(config, tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml") == config
    text = (tmp_path / "saved.yaml").read_text(encoding="utf-8")
    assert "dim: 64" in text and "word_dim: 300" in text and "cross_modal: 0.001" in text


def test_differences_name_the_settings(minimal: Path) -> None:
    one, other = load_config(minimal), load_config(minimal, ["optim.lr=1", "model.dim=64"])
    assert differences(one, other) == {"optim.lr": (2e-4, 1.0), "model.dim": (512, 64)}
    assert differences(one, one) == {}


# -- stages ----------------------------------------------------------------------------------------------------


def test_a_stage_has_its_own_settings_on_top_of_the_general_ones(two_stages: Callable[..., Config]) -> None:
    config = two_stages("train.log_every=7", "stages.find.data.root=2026", "stages.find.loss_weights.guess=0")
    (first, last) = config.to_train()
    assert last is config and config.present.name == "guess" and first.present.name == first.stage == "find"
    assert (first.train.steps, first.train.snapshot_every, first.train.log_every) == (5, 2, 7)
    assert (first.optim.method, first.optim.lr, first.optim.schedule) == ("adamw", 0.05, "linear")
    assert (first.optim.warmup, first.optim.clip) == (config.optim.warmup, config.optim.clip) == (2, 1.0)
    assert (first.data.root, first.data.train.batch_size, first.data.backbone) == ("2026", 2, "tiny")
    assert first.loss_weights == {"apart": 1.0, "guess": 0.0} and config.loss_weights["guess"] == 1.0
    assert (config.train.steps, config.optim.method, config.data.train.batch_size) == (6, "adam", 4)
    assert first.run_folder == config.run_folder / "find"


def test_one_stage_alone_has_the_settings_it_has_among_all(two_stages: Callable[..., Config]) -> None:
    assert two_stages("stage=find") == two_stages().to_train()[0]
    assert two_stages("stage=find").to_train() == [two_stages("stage=find")]
    alone = two_stages("stage=guess")
    assert differences(alone, two_stages()) == {"stage": ("guess", None)}
    assert alone.run_folder == two_stages().run_folder
    assert [each.stage for each in alone.earlier()] == ["find"]


def test_a_skipped_stage_is_not_trained(two_stages: Callable[..., Config]) -> None:
    config = two_stages("stages.find.skip=true")
    assert config.to_train() == [config] and config.earlier() == []


def test_systems_with_one_stage_know_no_others(minimal: Path) -> None:
    config = load_config(minimal)
    assert config.to_train() == [config] and config.stages == {} and config.present.name == "caption"
    assert config.run_folder == load_config(minimal, ["stage=caption"]).run_folder == Path("runs/minimal")


def test_configurations_with_stages_are_saved_and_loaded(
    two_stages: Callable[..., Config], tmp_path: Path
) -> None:
    for config in (two_stages(), two_stages("stage=find"), two_stages("stages.find.skip=true")):
        save_config(config, tmp_path / "saved.yaml")
        assert load_config(tmp_path / "saved.yaml") == config


def test_settings_of_a_saved_stage_can_be_overridden(
    two_stages: Callable[..., Config], tmp_path: Path
) -> None:
    save_config(two_stages("stage=find"), tmp_path / "saved.yaml")
    assert load_config(tmp_path / "saved.yaml", ["train.steps=9", "optim.lr=1"]).train.steps == 9


def test_an_empty_stage_means_the_general_settings(two_stages: Callable[..., Config], tmp_path: Path) -> None:
    two_stages()
    path = tmp_path / "empty.yaml"
    path.write_text("exp_name: empty\nsystem: two_stages\nstages:\n  find:\n", encoding="utf-8")
    assert load_config(path).to_train()[0].train == load_config(path).train
    path.write_text("exp_name: empty\nsystem: two_stages\nstages:\n", encoding="utf-8")
    assert [each.present.name for each in load_config(path).to_train()] == ["find", "guess"]


def test_the_system_of_an_override_decides_what_can_be_set(
    two_stages: Callable[..., Config], minimal: Path
) -> None:
    two_stages()
    config = load_config(minimal, ["stages.find.data.root=007", "model.dim=3", "system=two_stages"])
    assert config.to_train()[0].data.root == "007" and config.model["dim"] == 3


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["stages.find.optim.lrr=1"], ["“stages.find.optim.lrr”", "did you mean “stages.find.optim.lr”"]),
        (["stages.find.optim.lr=abc"], ["stages.find.optim.lr", "'abc'", "valid number"]),
        (["stages.find.train.steps=0"], ["stages.find.train.steps", "greater than or equal to 1"]),
        (["stages.find.data.train.batch_size=2.5"], ["stages.find.data.train.batch_size", "2.5"]),
        (["stages.find.loss_weights.apart=-1"], ["stages.find.loss_weights.apart", "-1"]),
        (
            ["stages.find.loss_weights.size=1"],
            ["“stages.find.loss_weights.size”", "did you mean “stages.find.loss_weights"],
        ),
        (["stages.find.train.devices=2"], ["“stages.find.train.devices”", "did you mean “train.devices”"]),
        (["stages.find.train.accelerator=cpu"], ["did you mean “train.accelerator”"]),
        (["stages.find.model.dim=3"], ["“stages.find.model”"]),
        (["stages.find.skip=1"], ["stages.find.skip", "valid boolean"]),
        (["stages.find=3"], ["“stages.find” is 3", "section"]),
        (["stages.fnid.skip=true"], ["no stage “fnid” before “guess”", "there is find"]),
        (["stages.guess.skip=true"], ["“stages.guess”", "the general ones"]),
        (["stage=caption"], ["no stage “caption”", "find, guess"]),
    ],
    ids=lambda value: value[0] if "=" in value[0] else "",
)
def test_wrong_settings_of_stages_are_errors_that_name_the_key(
    two_stages: Callable[..., Config], overrides: list[str], said: list[str]
) -> None:
    with pytest.raises(UserError) as caught:
        two_stages(*overrides)
    for words in said:
        assert words in str(caught.value)
