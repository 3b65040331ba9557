"""Typed configurations: YAML on top of defaults, `dotted.key=value` on top of YAML.

The defaults are the paper's values. A configuration is strict: an unknown key and a value of another type are
errors that name the key. Paths are relative to the current folder.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints

import yaml
from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from idc.errors import UserError
from idc.files import atomic_write
from idc.systems import system_class
from idc.systems.ranges import Count, Index, NotNegative, Part, Positive, Share

if TYPE_CHECKING:
    from idc.systems.system import Stage, System

STRICT = ConfigDict(extra="forbid", strict=True)
DEFAULT_SYSTEM = "scorer_cbr"
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")]


@dataclass(config=STRICT, frozen=True)
class SplitConfig:
    """A split. batch_size: scenes in a batch, of each process. max_samples: a subset of that many scenes."""

    batch_size: Count = 128
    max_samples: Count | None = None


@dataclass(config=STRICT, frozen=True)
class TrainSplitConfig:
    """The training split. swap: how often the default and the nonsemantic picture trade places. reversal: how often
    the change is played backwards, which only rendered worlds have captions for."""

    batch_size: Count = 128
    max_samples: Count | None = None
    swap: Share = 0.5
    reversal: Share = 0.0


@dataclass(config=STRICT, frozen=True)
class DataConfig:
    """Where the data are; what is left null has its usual place below `root`, see `path`.

    kind: the data set, and with it the layout of its files.
    """

    kind: Literal["clevr_change", "spot_the_diff", "image_editing_request"] = "clevr_change"
    root: str = "data/clevr_change"
    backbone: str = "resnet101"
    grids: str | None = None
    labels: str | None = None
    vocabulary: str | None = None
    annotations: str | None = None
    num_workers: Index = 0
    train: TrainSplitConfig = field(default_factory=TrainSplitConfig)
    val: SplitConfig = field(default_factory=SplitConfig)
    test: SplitConfig = field(default_factory=SplitConfig)

    def path(self, name: Literal["grids", "labels", "vocabulary", "annotations"]) -> Path:
        """The path of the features, the label file, the vocabulary or the reference captions."""
        usual = {
            "grids": f"features_{self.backbone}",
            "labels": "transformer_labels.hdf5",
            "vocabulary": "transformer_vocab.json",
            "annotations": "total_change_captions_reformat.json",
        }
        return Path(getattr(self, name) or Path(self.root) / usual[name])


@dataclass(config=STRICT, frozen=True)
class OptimConfig:
    """The optimiser and its learning rate.

    method: with "adam" weight decay is a part of the gradient, with "adamw" it is a step of its own (Loshchilov and
    Hutter 2019). schedule: "step" multiplies the rate by gamma every `step_epochs` epochs, as published; "cosine" and
    "linear" let it fall to zero at the last step; "constant" keeps it. The first `warmup` steps rise linearly. clip:
    the largest norm of the gradient, null for any.
    """

    method: Literal["adam", "adamw"] = "adam"
    lr: Positive = 2e-4
    betas: tuple[Part, Part] = (0.9, 0.999)
    eps: Positive = 1e-8
    weight_decay: NotNegative = 0.0
    schedule: Literal["step", "cosine", "linear", "constant"] = "step"
    warmup: Index = 0
    step_epochs: Count = 15
    gamma: Positive = 0.1
    clip: Positive | None = None


@dataclass(config=STRICT, frozen=True)
class TrainConfig:
    """The loop; everything is counted in steps.

    snapshot_every: validate and write a snapshot. save_every: write the state to resume from; null for
    snapshot_every. keep_last: how many snapshots to keep beside the best one; null for all. best_metric: what
    chooses the best snapshot on val, e.g. CIDEr, facts.statement on rendered worlds, or
    retrieval.text_to_pair.R@1 in a stage that is measured by retrieval. devices: processes; torchrun's own number
    goes before it.
    """

    steps: Count = 10_000
    snapshot_every: Count = 1000
    save_every: Count | None = None
    keep_last: Count | None = None
    log_every: Count = 10
    best_metric: str = "CIDEr"
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    devices: Count = 1
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"


@dataclass(config=STRICT, frozen=True)
class StageConfig:
    """What an earlier stage of training does differently: only the settings that are not the general ones.

    skip: leave the stage out. The sections are those of `Config`; processes are the same in all stages.
    """

    skip: bool = False
    loss_weights: dict[str, Any] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    optim: dict[str, Any] = field(default_factory=dict)
    train: dict[str, Any] = field(default_factory=dict)


@dataclass(config=STRICT, frozen=True)
class Config:
    """One experiment, written to `runs`/`exp_name`.

    model: the system's own settings. loss_weights: a factor for each of the system's losses; 0 leaves one out.
    Both are completed with the system's defaults. logger: beside metrics.jsonl, which is always written.

    The general settings are those of the system's last stage of training, and `stages` has what the earlier ones do
    differently. Every earlier stage is a run of its own, in a folder of its name within the run's. stage: train that
    one alone; its settings then become the general ones.

    Raises UserError for an unknown system, a setting the system lacks, a loss or a stage it does not have.
    """

    exp_name: Name
    system: str = DEFAULT_SYSTEM
    seed: Index = 1111
    runs: str = "runs"
    model: dict[str, Any] = field(default_factory=dict)
    loss_weights: dict[str, NotNegative] = field(default_factory=dict)
    data: DataConfig = field(default_factory=DataConfig)
    optim: OptimConfig = field(default_factory=OptimConfig)
    train: TrainConfig = field(default_factory=TrainConfig)
    stage: str | None = None
    stages: dict[str, StageConfig] = field(default_factory=dict)
    logger: tuple[Literal["jsonl", "tensorboard", "visdom"], ...] = ("tensorboard",)

    def __post_init__(self) -> None:
        system = system_class(self.system)
        check_names(self.model, name_tree(system.Config), "model")
        check_names(self.loss_weights, dict.fromkeys(system.loss_weights, float), "loss_weights")
        model = checked(system.Config, self.model, "model")
        object.__setattr__(self, "model", plain(model))
        object.__setattr__(self, "loss_weights", {**system.loss_weights, **self.loss_weights})
        check_stages(self.stages, self.stage, system)
        settings = {name: self.settings_of(name) for name in self.stages}
        for section, value in settings.get(self.stage or "", {}).items():
            object.__setattr__(self, section, value)
        others = {name: own for name, own in self.stages.items() if name != self.stage}
        object.__setattr__(self, "stages", others)

    def settings_of(self, stage: str) -> dict[str, Any]:
        """The sections of an earlier stage: its own settings on top of the general ones."""
        own, place = self.stages[stage], f"stages.{stage}"
        check_names(plain(own), stage_tree(self.loss_weights), place)
        return {
            "loss_weights": checked(
                dict[str, NotNegative], self.loss_weights | own.loss_weights, f"{place}.loss_weights"
            ),
            "data": checked(DataConfig, merged(plain(self.data), own.data), f"{place}.data"),
            "optim": checked(OptimConfig, merged(plain(self.optim), own.optim), f"{place}.optim"),
            "train": checked(TrainConfig, merged(plain(self.train), own.train), f"{place}.train"),
        }

    def stage_list(self) -> tuple[Stage, ...]:
        """All stages of the system, in order."""
        return system_class(self.system).stages()

    @property
    def present(self) -> Stage:
        """The stage that the general settings are for: `stage`, or else the last one."""
        stages = {stage.name: stage for stage in self.stage_list()}
        return stages[self.stage] if self.stage else self.stage_list()[-1]

    @property
    def run_folder(self) -> Path:
        """The run of the present stage."""
        folder = Path(self.runs) / self.exp_name
        return folder if self.present == self.stage_list()[-1] else folder / self.present.name

    def to_train(self) -> list[Config]:
        """The configurations to train, in order: of `stage` alone, or of all stages that are not skipped."""
        return [self] if self.stage else [*self.earlier(), self]

    def earlier(self) -> list[Config]:
        """The configurations of the stages before the present one, in order, without those that are skipped."""
        names = [stage.name for stage in self.stage_list()]
        return [
            dataclasses.replace(self, stage=name)
            for name in names[: names.index(self.present.name)]
            if name not in self.stages or not self.stages[name].skip
        ]


NameTree = dict[str, Any]  # setting -> its type, or the tree of a section


def name_tree(kind: Any) -> NameTree:
    """The settings of a dataclass, sections in sections."""
    types = get_type_hints(kind)
    names = [f.name for f in dataclasses.fields(kind)]
    return {
        name: name_tree(types[name]) if dataclasses.is_dataclass(types[name]) else types[name]
        for name in names
    }


def full_tree(system: str) -> NameTree:
    """All settings of an experiment with that system."""
    kind = system_class(system)
    weights = dict.fromkeys(kind.loss_weights, float)
    own = {"model": name_tree(kind.Config), "loss_weights": weights}
    return name_tree(Config) | own | {"stages": {name: stage_tree(weights) for name in earlier_stages(kind)}}


ONE_FOR_ALL = ("devices", "accelerator")  # settings of `train` that hold for all stages


def stage_tree(weights: Iterable[str]) -> NameTree:
    """The settings of an earlier stage."""
    train = {name: kind for name, kind in name_tree(TrainConfig).items() if name not in ONE_FOR_ALL}
    sections = {"data": name_tree(DataConfig), "optim": name_tree(OptimConfig), "train": train}
    return {"skip": bool, "loss_weights": dict.fromkeys(weights, float)} | sections


def earlier_stages(system: type[System]) -> list[str]:
    """The names of all stages but the last."""
    return [stage.name for stage in system.stages()[:-1]]


def check_stages(stages: Iterable[str], stage: str | None, system: type[System]) -> None:
    """Raises UserError for settings of a stage that has none of its own, and for a `stage` that does not exist."""
    last, earlier = system.stages()[-1].name, earlier_stages(system)
    for name in stages:
        if name == last:
            raise UserError(
                f"“stages.{name}” cannot be set: the settings of the last stage are the general ones. Write optim.lr, "
                f"not stages.{name}.optim.lr."
            )
        if name not in earlier:
            found = f"there is {', '.join(earlier)}" if earlier else "it is the only one"
            raise UserError(f"there is no stage “{name}” before “{last}”; {found}.")
    if stage is not None and stage not in (*earlier, last):
        raise UserError(f"there is no stage “{stage}”; there is {', '.join((*earlier, last))}.")


def merged(values: dict[str, Any], top: dict[str, Any]) -> dict[str, Any]:
    """`values` with those of `top` in place, section by section."""
    return values | {
        name: merged(values[name], value)
        if isinstance(value, dict) and isinstance(values.get(name), dict)
        else value
        for name, value in top.items()
    }


def dotted(tree: NameTree, prefix: str = "") -> Iterator[str]:
    """Every setting's full name."""
    for name, inside in tree.items():
        if isinstance(inside, dict):
            yield from dotted(inside, f"{prefix}{name}.")
        else:
            yield prefix + name


def check_names(
    values: dict[str, Any], tree: NameTree, place: str = "", everything: NameTree | None = None
) -> None:
    """Raises UserError for a key that is no setting, with the nearest one."""
    everything = tree if everything is None else everything
    prefix = f"{place}." if place else ""
    for key, value in values.items():
        if key not in tree:
            near = nearest(str(key), prefix, list(tree), list(dotted(everything)))
            raise UserError(f"there is no setting “{prefix}{key}”; {near}")
        if isinstance(tree[key], dict):
            if not isinstance(value, dict):
                raise UserError(
                    f"“{prefix}{key}” is {value!r}, but it is a section with the settings {', '.join(tree[key])}."
                )
            check_names(value, tree[key], prefix + key, everything)


def nearest(key: str, prefix: str, siblings: list[str], everywhere: list[str]) -> str:
    """What to say to someone who typed `key`."""
    elsewhere = [name for name in everywhere if name.split(".")[-1] == key]
    close = [prefix + name for name in difflib.get_close_matches(key, siblings, n=1)]
    close = elsewhere or close or difflib.get_close_matches(prefix + key, everywhere, n=1)
    if close:
        return f"did you mean {' or '.join(f'“{name}”' for name in close)}?"
    return f"there are {', '.join(siblings)}."


def checked(kind: Any, values: dict[str, Any], place: str = "") -> Any:
    """A `kind` made of plain values. Raises UserError that names every wrong setting, its value and what it must be.

    Values take the way through JSON: in pydantic's strict mode a list may then stand for a tuple.
    """
    try:
        return TypeAdapter(kind).validate_json(json.dumps(values, default=str), strict=True)
    except ValidationError as error:
        raise UserError(
            "; ".join(dict.fromkeys(complaint(each, place) for each in error.errors())) + "."
        ) from error


def complaint(error: Any, place: str) -> str:
    """One wrong setting in words."""
    # pydantic adds the members of a union to the place; they are no settings of ours
    parts = [part for part in error["loc"] if not (isinstance(part, str) and re.search(r"[^\w.-]", part))]
    key = ".".join(map(str, ([place] if place else []) + parts))
    if error["type"] in ("missing", "missing_argument"):
        return f"the setting “{key}” is missing"
    if error["type"] == "string_pattern_mismatch":
        return f"“{key}” is {error['input']!r}; it may only have letters, digits, “_”, “-” and “.”"
    must = (
        error["msg"].replace("Input should be", "must be").replace("unable to parse string as an integer", "")
    )
    return f"“{key}” is {error['input']!r}; it {must}"


class ConfigLoader(yaml.SafeLoader):
    """YAML as people write it: 2e-4 is a number, a date is text, a key that comes twice is an error."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"“{twice}” is set twice", node.start_mark)
        return super().construct_mapping(node, deep)


ConfigLoader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
ConfigLoader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+"), list("-+.0123456789")
)


def read_yaml(text: str, source: str) -> Any:
    try:
        return yaml.load(text, ConfigLoader)  # a SafeLoader
    except yaml.YAMLError as error:
        raise UserError(f"{source} is not valid YAML: {' '.join(str(error).split())}") from error


def override(values: dict[str, Any], text: str, tree: NameTree) -> None:
    """Set one `dotted.key=value`. The value is read as YAML, unless the setting is text: then it is taken as it is."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip("."):
        raise UserError(f"“{text}” is not of the form dotted.key=value, such as optim.lr=0.001.")
    inside, known = values, tree
    *parents, last = key.split(".")
    for parent in parents:
        if inside.get(parent) is None:
            inside[parent] = {}
        known = known.get(parent) if isinstance(known, dict) else None  # type: ignore[assignment]
        inside = inside[parent]
        if not isinstance(inside, dict):
            raise UserError(f"“{text}” looks for a setting inside “{parent}”, which is a single value.")
    kind = known.get(last) if isinstance(known, dict) else None
    if is_text(kind) and value not in ("null", "~", ""):
        inside[last] = value
    else:
        inside[last] = read_yaml(value, f"the value of “{text}”")


def is_text(kind: Any) -> bool:
    """Whether a setting's type is str, or str | None."""
    members = get_args(kind)
    return (
        kind is str or kind is Name or (bool(members) and members[0] is str and members[1:] == (type(None),))
    )


def load_config(path: str | Path, overrides: Iterable[str] = ()) -> Config:
    """Read a configuration. Raises UserError for a missing or broken file, and as `Config` does."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no configuration at {path}; ready ones are in configs/.")
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not a text file ({error}); give the YAML of a configuration.") from error
    values = read_yaml(text, str(path))
    if not isinstance(values, dict):
        raise UserError(f"{path} must hold settings (key: value), not {values!r}.")
    # the system comes first: it decides which settings there are
    overrides = sorted(overrides, key=lambda text: not text.startswith("system="))
    source = f"{path} with {' '.join(overrides)}" if overrides else str(path)
    try:
        for each in overrides:
            override(values, each, known_settings(values))
        values = {name: {} if value is None and name in SECTIONS else value for name, value in values.items()}
        known = known_settings(values)
        if isinstance(stages := values.get("stages"), dict) and "model" in known:
            check_stages(stages, None, system_class(values.get("system", DEFAULT_SYSTEM)))
            values["stages"] = {name: {} if own is None else own for name, own in stages.items()}
        check_names(values, known)
        return checked(Config, values)
    except UserError as error:
        raise UserError(f"{source}: {error}") from error


SECTIONS = ("model", "loss_weights", "data", "optim", "train", "stages")


def known_settings(values: dict[str, Any]) -> NameTree:
    """All settings there are for the system that the values name."""
    system = values.get("system", DEFAULT_SYSTEM)
    return full_tree(system) if isinstance(system, str) else name_tree(Config)


def model_config(config: Config) -> Any:
    """`config.model` as the system's own typed configuration."""
    return checked(system_class(config.system).Config, config.model, "model")


def plain(config: Any) -> dict[str, Any]:
    """A configuration as dictionaries, lists and plain values."""
    return TypeAdapter(type(config)).dump_python(config, mode="json")


def save_config(config: Config, path: Path) -> None:
    """Write all settings; the file can be loaded again."""
    with atomic_write(path) as temporary:
        temporary.write_text(yaml.safe_dump(plain(config), sort_keys=False), encoding="utf-8")


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """The settings, by dotted name, in which two configurations differ, with both values."""
    first, second = dict(leaves(plain(one))), dict(leaves(plain(other)))
    return {
        name: (first.get(name), second.get(name))
        for name in first | second
        if first.get(name) != second.get(name)
    }


def leaves(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value
