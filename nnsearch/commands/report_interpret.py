"""What a study's winner looks at, on validation rows. Never opens the test split.

Code of the user's own is not run for a report, so of such a model there is nothing to say here.
"""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from nnsearch.commands.compare_records import Compared, predictions_of
from nnsearch.data.examples import Examples
from nnsearch.data.prepare import open_part
from nnsearch.errors import NnsearchError
from nnsearch.reports.html_content import Feature, Interpretation, Sight, Trace
from nnsearch.reports.html_pictures import heat_of, png_of
from nnsearch.reports.measures import measure
from nnsearch.study.spec import TrialSpec

if TYPE_CHECKING:
    from nnsearch.training.examine import Parts

Array = npt.NDArray[Any]
EXPLAINED = {
    "table": "permutation",
    "image": "gradients",
    "series": "gradients",
    "text": "gradients",
}
NUM_REPEATS, MOST_ROWS, FEWEST_ROWS, MOST_FORWARD = 10, 2000, 200, 3_000_000
UNKNOWN = "[unknown]"
# How many right answers, one a class, and how many of the worst mistakes are explained.
NUM_RIGHT, NUM_WRONG = 6, 6
# Above this share of what they explain, attributions do not add up well enough to be shown.
MOST_GAP = 0.1
_NORMAL = 1.96
# Bytes of an image reach this, or less where it uses few of them, as the digits from 0 to 16.
WHITE, DARK = 255.0, 128


def interpretation(study: Compared) -> Interpretation | None:
    """Permutation importance for tables, integrated gradients for images, series and texts.

    `problem` says why there is nothing, as for other kinds.
    """
    if study.best is None:
        return None
    kind = study.record["signature"]["kind"]
    told = EXPLAINED.get(kind)
    if told is None:
        return Interpretation(
            "", problem=f"There is no such explanation for inputs of kind {kind}."
        )
    if predictions_of(study, of_test=False) is None:
        problem = "An answer of this study is neither one class nor one number."
        return Interpretation(told, problem=problem)
    if any(".py:" in each for each in _names(study.spec)):
        problem = "A report runs no code of your own, and this model is some."
        return Interpretation(told, problem=problem)
    try:
        made = _of_table(study) if told == "permutation" else _of_examples(study, kind)
    except NnsearchError as error:
        return Interpretation(told, problem=f"Nothing can be said: {error.message}")
    return made


def as_document(found: Interpretation | None) -> dict[str, Any] | None:
    """The same as JSON values, without the pictures."""
    if found is None:
        return None
    document = asdict(found)
    for sight in document["sights"]:
        del sight["png"], sight["heat"], sight["traces"], sight["tokens"]
    return document


def _names(spec: TrialSpec) -> Iterator[str]:
    yield from (each.name for each in spec.transforms)
    yield from (each.name for each in (spec.task, spec.model))


def _of_table(study: Compared) -> Interpretation:
    """The columns by how much the objective suffers when one is shuffled, the worst first."""
    from nnsearch.training.examine import rebuild
    from nnsearch.training.interpret import shuffled_drops

    assert study.best is not None  # noqa: S101 - the caller has looked
    _, parts, task = rebuild(*_place(study))
    valid = open_part(parts.data, "valid")
    names = [each["name"] for each in study.record["signature"]["columns"]]
    if len(names) != valid.inputs.shape[1]:
        names = [f"column {place}" for place in range(valid.inputs.shape[1])]
    metric, sign = study.objective.metric, _sign(study)
    rows = _some_rows(valid, len(names))

    def score(predictions: Array, targets: Array) -> float:
        chosen = measure(metric, len(study.labels))
        if chosen is None:
            return sign * float(task.metrics(predictions, targets)[metric])
        return sign * chosen.score(chosen.reduce(predictions, targets), targets)

    means, deviations = shuffled_drops(
        parts,
        np.asarray(valid.inputs[rows]),
        np.asarray(valid.targets[rows]),
        score,
        num_repeats=NUM_REPEATS,
    )
    spreads = _NORMAL * deviations
    features = [
        Feature(name, float(mean), float(mean - spread), float(mean + spread))
        for name, mean, spread in zip(names, means, spreads, strict=True)
    ]
    features.sort(key=lambda each: (-each.drop, each.name))
    return Interpretation(
        "permutation",
        metric=metric,
        features=tuple(features),
        num_rows=len(rows),
        num_repeats=NUM_REPEATS,
    )


def _of_examples(study: Compared, kind: str) -> Interpretation:
    """Some right answers and the worst mistakes, each with what its parts added to the answer."""
    from nnsearch.training.examine import predict, rebuild

    _, parts, _ = rebuild(*_place(study))
    valid = open_part(parts.data, "valid")
    inputs, targets = np.asarray(valid.inputs), np.asarray(valid.targets)
    predictions = predict(parts, inputs)
    chosen = _chosen(predictions, targets, has_classes=bool(study.labels))
    answers = predictions.argmax(axis=1)[chosen] if study.labels else None
    if kind == "text":
        pictures, gaps = _read(parts, study.record["signature"]["words"], inputs[chosen], answers)
    elif kind == "series":
        pictures, gaps = _heard(parts, inputs, chosen, answers)
    else:
        pictures, gaps = _seen(parts, inputs, chosen, answers)
    if not np.isfinite(gaps).all() or float(np.median(gaps)) > MOST_GAP:
        told = "The attributions do not add up to what they explain, so they are not shown."
        return Interpretation("gradients", problem=told)
    rows = np.load(study.folder.prepared(study.record["data"]).array("valid", "rows"))
    sights = [
        Sight(int(rows[place]), **_said(study, predictions[place], targets[place]), **each)
        for place, each in zip(chosen, pictures, strict=True)
    ]
    if not study.labels:  # the nearest come first
        sights = [replace(each, is_right=at < NUM_RIGHT) for at, each in enumerate(sights)]
    return Interpretation(
        "gradients",
        metric=study.objective.metric,
        num_rows=len(targets),
        sights=tuple(sights),
        gap=float(np.median(gaps)),
    )


def _seen(
    parts: "Parts", images: Array, chosen: list[int], answers: Array | None
) -> tuple[list[dict[str, Any]], Array]:
    """Each chosen image, and what its pixels weigh; and how far the sums are off."""
    from nnsearch.training.interpret import integrated_gradients

    found, gaps = integrated_gradients(parts, images[chosen], answers)
    top = _brightest(images)
    pictures = [
        {"png": png_of(images[place], top=top), "heat": heat_of(images[place], each, top=top)}
        for place, each in zip(chosen, found, strict=True)
    ]
    return pictures, gaps


def _heard(
    parts: "Parts", series: Array, chosen: list[int], answers: Array | None
) -> tuple[list[dict[str, Any]], Array]:
    """Each chosen series up to its end, and what its steps weigh; and how far the sums are off."""
    from nnsearch.training.interpret import series_gradients

    num_values = np.maximum(np.isfinite(series).sum(axis=(0, 2)), 1)
    middle = np.nansum(series, axis=(0, 2), dtype=np.float64) / num_values
    found, gaps = series_gradients(parts, series[chosen], middle, answers)
    traces = []
    for values, weights in zip(series[chosen], found, strict=True):
        there = np.flatnonzero(np.isfinite(values).any(axis=0))
        end = int(there[-1]) + 1 if len(there) else 1
        traces.append(
            tuple(
                Trace(f"channel {place + 1}", tuple(own[:end].tolist()), tuple(each[:end].tolist()))
                for place, (own, each) in enumerate(zip(values, weights, strict=True))
            )
        )
    return [{"traces": each} for each in traces], gaps


def _read(
    parts: "Parts", words: Sequence[str], texts: Array, answers: Array | None
) -> tuple[list[dict[str, Any]], Array]:
    """The words of each text that the model reads, and what they weigh; and the gaps."""
    from nnsearch.training.interpret import token_gradients

    found, gaps = token_gradients(parts, texts, answers)
    named = ["", UNKNOWN, *words]  # as they are numbered in a signature
    tokens = [
        tuple((named[token], weight) for token, weight in zip(own, each, strict=False) if token)
        for own, each in zip(texts.tolist(), found.tolist(), strict=True)
    ]
    return [{"tokens": each} for each in tokens], gaps


def _place(study: Compared) -> tuple[str, int]:
    """The job's folder and the trial's number of the winner."""
    assert study.best is not None  # noqa: S101 - the caller has looked
    number = study.best.trial
    return str(study.folder.job(study.ledger.jobs[number]).root), number


def _sign(study: Compared) -> float:
    return 1.0 if study.objective.direction == "maximize" else -1.0


def _some_rows(valid: Examples, num_columns: int) -> Array:
    """As many validation rows as the time allows, drawn without replacement."""
    most = MOST_FORWARD // max(1, num_columns * NUM_REPEATS)
    count = min(len(valid.targets), int(np.clip(most, FEWEST_ROWS, MOST_ROWS)))
    return np.sort(np.random.default_rng(0).permutation(len(valid.targets))[:count])


def _chosen(predictions: Array, targets: Array, *, has_classes: bool) -> list[int]:
    """The places of the surest right answer of each class, then of the worst mistakes."""
    if not has_classes:
        errors = np.abs(predictions.reshape(len(targets), -1)[:, 0] - targets)
        order = np.argsort(errors, kind="stable")
        return [*order[:NUM_RIGHT].tolist(), *order[::-1][:NUM_WRONG].tolist()]
    answers, surety = predictions.argmax(axis=1), predictions.max(axis=1)
    right: list[int] = []
    for label in np.unique(targets)[:NUM_RIGHT]:
        places = np.flatnonzero((targets == label) & (answers == label))
        right += places[np.argsort(-surety[places], kind="stable")][:1].tolist()
    wrong = np.flatnonzero(answers != targets)
    return [*right, *wrong[np.argsort(-surety[wrong], kind="stable")][:NUM_WRONG].tolist()]


def _said(study: Compared, prediction: Array, target: Any) -> dict[str, Any]:
    if not study.labels:
        answer = float(prediction.reshape(-1)[0])
        return {"truth": f"{float(target):.5g}", "answer": f"{answer:.5g}", "is_right": True}
    answer = int(prediction.argmax())
    labels = study.labels
    return {
        "truth": labels[int(target)],
        "answer": labels[answer],
        "is_right": answer == int(target),
    }


def _brightest(images: Array) -> float:
    most = float(images[:500].max(initial=0))
    return most if 0 < most < DARK else WHITE
