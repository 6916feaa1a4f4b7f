"""What a report reads of a study's arrays: the splits, the rivals' predictions, the mistakes.

Whatever the disk no longer has is left out, and said. Knows no text and no picture's look.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nnsearch.commands.compare_records import Compared, predictions_of
from nnsearch.commands.pictures import shown_of
from nnsearch.data.split import PARTS
from nnsearch.reports.forecasts import are_forecasts
from nnsearch.reports.html_content import (
    Cell,
    Examples,
    Mistake,
    Mistakes,
    Part,
    Rival,
    Scored,
)
from nnsearch.reports.html_pictures import png_of
from nnsearch.reports.measures import measure
from nnsearch.reports.statistics import Difference, paired_difference
from nnsearch.signature import Signature
from nnsearch.study.folder import TrialFolder, read_json

Array = npt.NDArray[Any]
NUM_MISTAKES = 24
# How many images are looked at for their brightest value, and below which it counts as white.
NUM_SEEN, DARK = 500, 128
# As many draws as this many predicted numbers allow, between the two ends.
MOST_CELLS, FEWEST_DRAWS, MOST_DRAWS = 20_000_000, 100, 1000
_QUARTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


def scored(study: Compared) -> Scored | None:
    """The best trial's predictions: of the test split, else of the validation split."""
    for part, of_test in (("test", True), ("valid", False)):
        if of_test and study.tested is None:
            continue
        found = predictions_of(study, of_test=of_test)
        if found is not None:
            return Scored(part, *found)
    return None


def examples(study: Compared) -> Examples | None:
    """What the best trial shows of validation rows; None where its predictions are gone."""
    if study.best is None:
        return None
    path = study.ledger.folder(study.folder, study.best.trial).predictions
    if not path.exists():
        return None
    with np.load(path) as stored:
        made = Scored("valid", stored["predictions"], stored["targets"])
        shown = shown_of(stored)
    return Examples(shown, made if are_forecasts(made.targets) else None)


def parts(study: Compared) -> tuple[Part, ...]:
    """The three splits; without counts where their targets are no longer there."""
    return tuple(_part(study, name) for name in PARTS)


def rivals(study: Compared) -> tuple[Rival, ...]:
    """The second best trial and the baseline, on the rows that the best was chosen by."""
    if study.best is None:
        return ()
    found = []
    ours = predictions_of(study, of_test=False)
    others = [
        each for each in study.ledger.ranking(study.objective) if each.trial != study.best.trial
    ]
    if others:
        second = others[0]
        folder = study.ledger.folder(study.folder, second.trial)
        name = f"the runner-up, trial {second.trial}"
        found.append(_rival(study, name, second.value, ours=ours, theirs=folder))
    if study.baseline is not None:
        folder = study.folder.baseline.trial(0)
        (trial,) = read_json(study.folder.baseline.spec)["trials"]
        name = f"the {trial['model']['name']} baseline"
        found.append(_rival(study, name, study.baseline, ours=ours, theirs=folder))
    return tuple(found)


def mistakes(study: Compared) -> Mistakes | None:
    """The worst mistakes on the validation rows: those may be studied, test is not for that."""
    if study.best is None:
        return None
    found = predictions_of(study, of_test=False)
    arrays = [_array(study, "valid", name) for name in ("inputs", "rows")]
    if found is None and examples(study) is not None:
        problem = "An answer of this study is neither one class nor one number: none is the worst."
        return Mistakes("valid", problem=problem)
    if found is None or arrays[0] is None or arrays[1] is None:
        return Mistakes("valid", problem="The predictions or the rows are no longer on the disk.")
    predictions, targets = found
    inputs, rows = arrays[0], arrays[1]
    signature = Signature.from_json(study.record["signature"])
    if len(inputs) != len(targets):
        return Mistakes("valid", problem="The predictions are of other rows than those here.")
    describe = _describer(study, signature)
    if signature.labels:
        answers = predictions.argmax(axis=1)
        wrong = np.flatnonzero(answers != targets)
        worst = wrong[np.argsort(-predictions[wrong, answers[wrong]], kind="stable")]
    else:
        errors = np.abs(predictions.reshape(-1) - targets)
        wrong = np.flatnonzero(errors > 0)
        worst = np.argsort(-errors, kind="stable")
    made = []
    for place in worst[:NUM_MISTAKES].tolist():
        png, cells = describe(np.asarray(inputs[place]))
        told = _told(predictions[place], targets[place], signature.labels)
        made.append(Mistake(int(rows[place]), **told, png=png, cells=cells))
    return Mistakes("valid", tuple(made), len(wrong), len(targets))


def _part(study: Compared, name: str) -> Part:
    num_rows = int(study.record["num_rows"][name])
    if name == "test":  # sealed: known are those that were predicted, once there are such
        found = None if study.tested is None else predictions_of(study, of_test=True)
        targets = None if found is None else found[1]
    else:
        targets = _array(study, name, "targets")
    if targets is None or not len(targets):
        return Part(name, num_rows)
    if study.labels:
        counts = np.bincount(targets.astype(np.int64), minlength=len(study.labels))
        return Part(name, num_rows, counts=tuple(counts.tolist()))
    spread = np.quantile(targets.astype(np.float64), _QUARTILES)
    return Part(name, num_rows, spread=tuple(spread.tolist()))


def _array(study: Compared, part: str, name: str) -> Array | None:
    path = study.folder.prepared(study.record["data"]).array(part, name)
    return np.load(path, mmap_mode="r") if path.exists() else None


def _rival(
    study: Compared,
    name: str,
    value: float,
    *,
    ours: tuple[Array, Array] | None,
    theirs: TrialFolder,
) -> Rival:
    if ours is None or not theirs.predictions.exists():
        return Rival(name, value, None)
    with np.load(theirs.predictions) as stored:
        predictions, targets = stored["predictions"], stored["targets"]
    if not np.array_equal(targets, ours[1]):
        return Rival(name, value, None)
    return Rival(name, value, _difference(study, ours[0], predictions, targets), len(targets))


def _difference(study: Compared, ours: Array, theirs: Array, targets: Array) -> Difference | None:
    """The best minus the other in the objective's metric; None for a metric of the user's own."""
    metric = measure(study.objective.metric, len(study.labels))
    if metric is None:
        return None
    first, second = (metric.reduce(each, targets) for each in (ours, theirs))
    draws = int(np.clip(MOST_CELLS // max(first.size, 1), FEWEST_DRAWS, MOST_DRAWS))
    return paired_difference(metric.score, first, second, targets, seed=0, num_resamples=draws)


def _told(prediction: Array, target: Any, labels: tuple[str, ...]) -> dict[str, Any]:
    if not labels:
        answer, truth = float(prediction.reshape(-1)[0]), float(target)
        return {"truth": f"{truth:.5g}", "answer": f"{answer:.5g}", "surety": answer - truth}
    answer, truth = int(prediction.argmax()), int(target)
    return {
        "truth": labels[truth],
        "answer": labels[answer],
        "surety": float(prediction[answer]),
        "chance": float(prediction[truth]),
    }


def _describer(
    study: Compared, signature: Signature
) -> Callable[[Array], tuple[bytes, tuple[Cell, ...]]]:
    """What shows an example to a person: its picture, or its cells, the unusual ones first."""
    if signature.kind == "image":
        top = _brightest(study)
        return lambda pixels: (png_of(pixels, top=top), ())
    if signature.kind == "text":
        name = signature.columns[0].name
        return lambda tokens: (b"", (Cell(name, signature.text_of(tokens.tolist())),))
    train = _array(study, "train", "inputs")
    middles, spreads = np.zeros(signature.shape), np.full(signature.shape, np.nan)
    if train is not None and len(train):
        with np.errstate(all="ignore"):
            whole = np.asarray(train, np.float64)
            is_there = ~np.isnan(whole)
            counts = np.maximum(is_there.sum(axis=0), 1)
            middles = np.where(is_there, whole, 0).sum(axis=0) / counts
            squares = np.where(is_there, (whole - middles) ** 2, 0).sum(axis=0)
            spreads = np.sqrt(squares / counts)

    def describe(cells: Array) -> tuple[bytes, tuple[Cell, ...]]:
        found = sorted(_cells(cells, signature, middles, spreads), key=lambda c: -abs(c.distance))
        return b"", tuple(found)

    return describe


def _brightest(study: Compared) -> float:
    """What white is: some images of bytes use few of them, as the digits from 0 to 16."""
    images = _array(study, "valid", "inputs")
    most = 0.0 if images is None else float(images[:NUM_SEEN].max(initial=0))
    return most if 0 < most < DARK else 255.0


def _cells(cells: Array, signature: Signature, middles: Array, spreads: Array) -> Iterator[Cell]:
    for place, column in enumerate(signature.columns):
        value = float(cells[place])
        if np.isnan(value):
            yield Cell(column.name, "missing")
        elif column.kind == "categorical":
            index = int(value)
            is_known = 0 <= index < len(column.categories)
            yield Cell(column.name, column.categories[index] if is_known else f"{value:g}")
        else:
            spread = float(spreads[place])
            distance = (value - float(middles[place])) / spread if spread > 0 else 0.0
            yield Cell(column.name, f"{value:.4g}", distance)
