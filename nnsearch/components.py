"""The one extension rule: a component is a function, and its signature is its schema.

Positional parameters come from the run, keyword-only ones from the study file. Knows no kind of
component beyond its name; the modules named here are imported only when asked for.
"""

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any, get_type_hints

from annotated_types import Ge, Gt, Le, Lt

from nnsearch.errors import UsageError

Count = Annotated[int, Ge(1)]
# Of a network: beyond these no machine holds it, and looking whether it can be built takes hours.
Depth = Annotated[int, Ge(1), Le(200)]
Width = Annotated[int, Ge(1), Le(2**20)]
NonNegative = Annotated[float, Ge(0)]
Positive = Annotated[float, Gt(0)]
Unit = Annotated[float, Ge(0), Lt(1)]
Share = Annotated[float, Ge(0), Le(1)]

BUILTINS: dict[str, dict[str, str]] = {
    "sources": {
        "digits": "nnsearch.data.bundled:digits",
        "digit_scenes": "nnsearch.data.scenes:digit_scenes",
        "breast_cancer": "nnsearch.data.bundled:breast_cancer",
        "wine": "nnsearch.data.bundled:wine",
        "iris": "nnsearch.data.bundled:iris",
        "diabetes": "nnsearch.data.bundled:diabetes",
        "csv": "nnsearch.data.tables:csv",
        "parquet": "nnsearch.data.tables:parquet",
        "idx": "nnsearch.data.idx_file:idx",
        "npz": "nnsearch.data.npz_file:npz",
        "images": "nnsearch.data.images:images",
        "image_table": "nnsearch.data.images:image_table",
        "openml": "nnsearch.data.openml:openml",
        "hugging_face": "nnsearch.data.hugging_face:hugging_face",
        "torchvision": "nnsearch.data.torchvision_files:torchvision",
        "ratings": "nnsearch.data.ratings:ratings",
        "ts": "nnsearch.data.ts_file:ts",
        "japanese_vowels": "nnsearch.data.ts_file:japanese_vowels",
        "text_table": "nnsearch.data.text_file:text_table",
        "vader": "nnsearch.data.text_file:vader",
        "long_table": "nnsearch.data.long_table:long_table",
        "series_table": "nnsearch.data.windows:series_table",
        "glucose": "nnsearch.data.windows:glucose",
    },
    "transforms": {
        "table": "nnsearch.data.transforms:table",
        "image": "nnsearch.data.transforms:image",
        "ids": "nnsearch.data.ratings:ids",
        "series": "nnsearch.data.series:series",
        "text": "nnsearch.data.texts:text",
    },
    "tasks": {
        "classification": "nnsearch.tasks.classification:classification",
        "regression": "nnsearch.tasks.regression:regression",
        "forecasting": "nnsearch.tasks.forecasting:forecasting",
        "multilabel": "nnsearch.tasks.multilabel:multilabel",
        "segmentation": "nnsearch.tasks.segmentation:segmentation",
        "generation": "nnsearch.tasks.generation:generation",
        "anomaly": "nnsearch.tasks.anomaly:anomaly",
        "rating": "nnsearch.tasks.recommendation:rating",
        "ranking": "nnsearch.tasks.recommendation:ranking",
    },
    "models": {
        "constant": "nnsearch.models.constant:constant",
        "linear": "nnsearch.models.mlp:linear",
        "mlp": "nnsearch.models.mlp:mlp",
        "embedding_mlp": "nnsearch.models.embedding:embedding_mlp",
        "cnn": "nnsearch.models.cnn:cnn",
        "unet": "nnsearch.models.unet:unet",
        "gan": "nnsearch.models.gan:gan",
        "vae": "nnsearch.models.generators:vae",
        "independent": "nnsearch.models.generators:independent",
        "autoencoder": "nnsearch.models.autoencoder:autoencoder",
        "conv_autoencoder": "nnsearch.models.autoencoder:conv_autoencoder",
        "factorization": "nnsearch.models.factorization:factorization",
        "neural_factorization": "nnsearch.models.factorization:neural_factorization",
        "rnn": "nnsearch.models.recurrent:rnn",
        "lstm": "nnsearch.models.recurrent:lstm",
        "gru": "nnsearch.models.recurrent:gru",
        "tcn": "nnsearch.models.temporal:tcn",
        "transformer": "nnsearch.models.transformer:transformer",
    },
    "optimizers": {
        "adam": "nnsearch.optim.optimizers:adam",
        "adamw": "nnsearch.optim.optimizers:adamw",
        "sgd": "nnsearch.optim.optimizers:sgd",
        "rmsprop": "nnsearch.optim.optimizers:rmsprop",
        "adagrad": "nnsearch.optim.optimizers:adagrad",
        "adadelta": "nnsearch.optim.optimizers:adadelta",
        "adamax": "nnsearch.optim.optimizers:adamax",
        "nadam": "nnsearch.optim.optimizers:nadam",
        "radam": "nnsearch.optim.optimizers:radam",
        "muon": "nnsearch.optim.muon:muon",
    },
    "schedules": {
        "constant": "nnsearch.optim.schedules:constant",
        "step": "nnsearch.optim.schedules:step_decay",
        "exponential": "nnsearch.optim.schedules:exponential",
        "polynomial": "nnsearch.optim.schedules:polynomial",
        "cosine": "nnsearch.optim.schedules:cosine",
        "cosine_restarts": "nnsearch.optim.schedules:cosine_restarts",
        "one_cycle": "nnsearch.optim.schedules:one_cycle",
        "plateau": "nnsearch.optim.schedules:plateau",
    },
    "training": {"recipe": "nnsearch.training.recipe:recipe"},
    "samplers": {
        "tpe": "nnsearch.search.samplers:tpe",
        "random": "nnsearch.search.samplers:random",
        "grid": "nnsearch.search.samplers:grid",
        "qmc": "nnsearch.search.samplers:qmc",
        "gp": "nnsearch.search.samplers:gp",
    },
    "pruners": {
        "none": "nnsearch.search.pruners:none",
        "median": "nnsearch.search.pruners:median",
        "halving": "nnsearch.search.pruners:halving",
        "hyperband": "nnsearch.search.pruners:hyperband",
    },
    "executors": {
        "inline": "nnsearch.executors.inline:inline",
        "processes": "nnsearch.executors.processes:processes",
    },
    "exporters": {"onnx": "nnsearch.exporting.onnx:onnx"},
}

Function = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Option:
    """One keyword-only parameter of a component: what the study file may set."""

    name: str
    annotation: Any
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether the study file has to give it."""
        return self.default is inspect.Parameter.empty

    def complaint(self, value: object) -> str:
        """What is wrong with `value`, in one phrase; empty where nothing is."""
        from pydantic import ValidationError

        try:
            _adapter(self.annotation).validate_python(value, strict=not isinstance(value, list))
        except ValidationError as error:
            return "; ".join(_phrase(each["msg"]) for each in error.errors()[:2])
        return ""

    def parse(self, value: object) -> Any:
        """`value` as the component wants it (a TOML array becomes the annotated tuple)."""
        return _adapter(self.annotation).validate_python(value)


def load(kind: str, name: str, *, root: Path | None = None, allow_code: bool = False) -> Function:
    """The component function that a study file names.

    A name is a built-in's, an entry point's of the group `nnsearch.<kind>`, or
    `"my_parts.py:residual_mlp"` for a function in a file under `root`, the study's folder.
    Raises UsageError for a name nobody knows (the nearest is told) and for code of the user's
    without `allow_code`.
    """
    if ".py:" in name:
        return _from_file(name, root or Path.cwd(), allow_code=allow_code)
    if name in BUILTINS[kind]:
        module, _, function = BUILTINS[kind][name].partition(":")
        loaded: Function = getattr(importlib.import_module(module), function)
        return loaded
    for point in entry_points(group=f"nnsearch.{kind}", name=name):
        plugin: Function = point.load()
        return plugin
    raise UsageError(f"unknown {kind.removesuffix('s')} '{name}'.", nearest(name, names(kind)))


def names(kind: str) -> list[str]:
    """The built-in components of a kind, then those that installed packages offer."""
    plugins = {point.name for point in entry_points(group=f"nnsearch.{kind}")}
    return [*BUILTINS[kind], *sorted(plugins - BUILTINS[kind].keys())]


def options(function: Function) -> Mapping[str, Option]:
    """The keyword-only parameters of a component, in the order of its signature."""
    hints = _hints(function)
    return {
        parameter.name: Option(parameter.name, hints[parameter.name], parameter.default)
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _hints(function: Function) -> dict[str, Any]:
    """The types of the parameters; what is returned may be of a package that is not loaded yet."""
    named = inspect.get_annotations(function)
    named.pop("return", None)
    names = getattr(inspect.unwrap(function), "__globals__", {})
    return get_type_hints(SimpleNamespace(__annotations__=named), names, include_extras=True)


def nearest(word: str, known: list[str]) -> str:
    """`Did you mean 'width'?`, or the list of what there is where nothing is near."""
    close = get_close_matches(word, known, n=1, cutoff=0.6)
    return f"Did you mean '{close[0]}'?" if close else f"There is: {', '.join(known)}."


def _from_file(name: str, root: Path, *, allow_code: bool) -> Function:
    relative, _, function = name.rpartition(":")
    path = (root / relative).resolve()
    if not allow_code:
        raise UsageError(f"'{name}' is code of your own.", "Add --allow-code to run it.")
    if not path.is_relative_to(root.resolve()):
        raise UsageError(f"'{name}' lies outside the study's folder {root}.", "Move it there.")
    if not path.is_file():
        raise UsageError(f"there is no file {path}.", "Name a file beside the study file.")
    loaded = getattr(_module(path), function, None)
    if not callable(loaded):
        raise UsageError(f"{path} defines no function '{function}'.", "Check the name.")
    result: Function = loaded
    return result


@cache
def _module(path: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"nnsearch_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UsageError(f"{path} is not a Python file.", "Give it the ending .py.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def _adapter(annotation: Any) -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(annotation)


def _phrase(message: str) -> str:
    return message.removeprefix("Input ").replace("should be", "must be")
