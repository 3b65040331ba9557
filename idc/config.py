"""Typed configurations: YAML on top of defaults, `dotted.key=value` on top of YAML."""

from __future__ import annotations

import dataclasses
import difflib
from dataclasses import field
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from idc.errors import UserError
from idc.files import atomic_write

STRICT = ConfigDict(extra="forbid")


@dataclass(config=STRICT)
class SplitConfig:
    """One split. swap: how often default and nonsemantic trade places. reversal: how often the change is
    played backwards (rendered worlds only). max_samples: a subset of that many scenes."""

    batch_size: int = 128
    max_samples: int | None = None
    swap: float = 0.0
    reversal: float = 0.0


@dataclass(config=STRICT)
class DataConfig:
    """Where the data are; what is left null is looked for in its usual place below `root`."""

    root: str = "data/clevr_change"
    backbone: str = "resnet101"
    grids: str | None = None
    labels: str | None = None
    vocabulary: str | None = None
    num_workers: int = 0
    train: SplitConfig = field(default_factory=lambda: SplitConfig(swap=0.5))
    val: SplitConfig = field(default_factory=SplitConfig)
    test: SplitConfig = field(default_factory=SplitConfig)

    def path(self, name: str) -> Path:
        """The path of "grids", "labels" or "vocabulary"."""
        usual = {
            "grids": f"features_{self.backbone}",
            "labels": "transformer_labels.hdf5",
            "vocabulary": "transformer_vocab.json",
        }
        return Path(getattr(self, name) or Path(self.root) / usual[name])


@dataclass(config=STRICT)
class OptimConfig:
    """Adam and its learning rate. schedule: "step" multiplies by gamma every `step_epochs` epochs (as
    published), "cosine" falls to zero, "constant" stays; `warmup` steps of linear rise come first. clip: the largest
    gradient norm, null for none."""

    lr: float = 2e-4
    betas: tuple[float, float] = (0.9, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.0
    schedule: Literal["step", "cosine", "constant"] = "step"
    warmup: int = 0
    step_epochs: int = 15
    gamma: float = 0.1
    clip: float | None = None


@dataclass(config=STRICT)
class TrainConfig:
    """The loop. save_every: steps between two states to resume from, null for snapshot_every.
    best_metric: what chooses the best snapshot on val, e.g. CIDEr or facts.statement."""

    steps: int = 10_000
    snapshot_every: int = 1000
    save_every: int | None = None
    keep: int = 3
    log_every: int = 10
    best_metric: str = "CIDEr"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    devices: int = 1
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"


@dataclass(config=STRICT)
class Config:
    """One experiment. `model` is checked by the system; `loss_weights` has a number for each of its losses."""

    exp_name: str
    system: str = "scorer_cbr"
    seed: int = 1111
    runs: str = "runs"
    model: dict[str, Any] = field(default_factory=dict)
    loss_weights: dict[str, float] = field(
        default_factory=lambda: {"caption": 1.0, "cross_view": 0.1, "cross_modal": 0.001}
    )
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    logger: list[Literal["jsonl", "tensorboard", "visdom"]] = field(default_factory=lambda: ["tensorboard"])

    @property
    def run_folder(self) -> Path:
        return Path(self.runs) / self.exp_name


def field_names(kind: Any, place: tuple[Any, ...]) -> list[str]:
    """The field names of the dataclass that stands at `place` inside `kind`."""
    for part in place:
        fields = {f.name: f for f in dataclasses.fields(kind)} if dataclasses.is_dataclass(kind) else {}
        if part not in fields:
            return []
        default = fields[part].default_factory
        kind = type(default()) if default is not dataclasses.MISSING else None
    return [f.name for f in dataclasses.fields(kind)] if dataclasses.is_dataclass(kind) else []


def checked(kind: Any, values: dict[str, Any], source: str, prefix: tuple[str, ...] = ()) -> Any:
    """A `kind` made of plain values. Raises UserError that names the key and suggests the nearest one."""
    try:
        return TypeAdapter(kind).validate_python(values)
    except ValidationError as error:
        first = error.errors()[0]
        place = tuple(part for part in first["loc"] if part != "dataclass")
        key = ".".join(map(str, prefix + place))
        if first["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
            names = field_names(kind, place[:-1])
            near = difflib.get_close_matches(str(place[-1]), names, n=1, cutoff=0.4)
            way_out = f"did you mean “{near[0]}”?" if near else f"known are {', '.join(names)}."
            raise UserError(f"{source}: there is no setting “{key}”; {way_out}") from error
        if first["type"] in ("missing", "missing_argument"):
            raise UserError(f"{source}: the setting “{key}” is missing.") from error
        raise UserError(f"{source}: “{key}” is {first['input']!r}, but {first['msg'].lower()}.") from error


def model_config(config: Config) -> Any:
    """`config.model` as the system's own typed configuration."""
    from idc.systems import system_class

    return checked(system_class(config.system).Config, config.model, "the configuration", ("model",))


def override(values: dict[str, Any], text: str) -> None:
    """Set one `dotted.key=value`; the value is read as YAML."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UserError(f"the override “{text}” is not of the form dotted.key=value.")
    *parents, last = key.split(".")
    inside = values
    for parent in parents:
        inside = inside.setdefault(parent, {})
        if not isinstance(inside, dict):
            raise UserError(f"the override “{text}” goes through “{parent}”, which is a single value.")
    inside[last] = yaml.safe_load(value) if value else None


def load_config(path: str | Path, overrides: list[str] | tuple[str, ...] = ()) -> Config:
    """Read a configuration and check all of it, the system's part too."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no configuration at {path}; ready ones are in configs/.")
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings (key: value), not a {type(values).__name__}.")
    for text in overrides:
        override(values, text)
    config = checked(Config, values, str(path))
    model_config(config)
    return config


def config_to_yaml(config: Config) -> str:
    """The whole resolved configuration."""
    return yaml.safe_dump(TypeAdapter(Config).dump_python(config, mode="json"), sort_keys=False)


def save_config(config: Config, path: Path) -> None:
    with atomic_write(path) as temporary:
        temporary.write_text(config_to_yaml(config), encoding="utf-8")
