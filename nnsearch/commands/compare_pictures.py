"""Draw what a comparison shows, into the folder of runs. Knows no verdict."""

from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

from nnsearch.commands.compare_budget import Family, alike
from nnsearch.commands.compare_records import Compared, predictions_of
from nnsearch.study.folder import write_whole
from nnsearch.study.spec import digest
from nnsearch.tasks.metrics import confusion

LONGEST_NAME = 150


def draw(studies: Sequence[Compared], home: Path) -> tuple[Path, ...]:
    """The pictures of a comparison, in a folder called after its studies; earlier ones go.

    Best-so-far curves share a picture where the values compare, matrices where the classes are
    the same, ROC and calibration where the rows are too; a regression has predicted against true,
    one picture a study.
    """
    folder = home / "compare" / _name([each.name for each in studies])
    drawn: dict[str, bytes] = {}
    for families in alike(studies):
        group = [each for family in families for each in family.members]
        drawn[_file("best_so_far", group, studies)] = _curves(families)
    classified = [each for each in studies if each.labels]
    for group in _groups(classified, lambda each: each.labels):
        if picture := _matrices(group):
            drawn[_file("confusion_matrices", group, studies)] = picture
    drawn |= _sides(classified, studies)
    for each in studies:
        if not each.labels and (picture := _against_true(each)):
            drawn[f"predicted_true_{each.name}.svg"] = picture
    for stale in folder.glob("*.svg"):
        if stale.name not in drawn:
            stale.unlink()
    for name, content in drawn.items():
        _write(folder / name, content)
    return tuple(folder / name for name in drawn)


def _name(names: Sequence[str]) -> str:
    joined = "+".join(names)
    if len(joined) <= LONGEST_NAME:
        return joined
    return f"{names[0]}+{len(names) - 1}-{digest(list(names))[:8]}"


def _file(what: str, group: Sequence[Compared], studies: Sequence[Compared]) -> str:
    """The plain name where one picture holds all studies, else with the first of the group."""
    return f"{what}.svg" if len(group) == len(studies) else f"{what}_{group[0].name}.svg"


def _groups(
    studies: Sequence[Compared], key: Callable[[Compared], Hashable]
) -> list[list[Compared]]:
    found: dict[Hashable, list[Compared]] = {}
    for each in studies:
        found.setdefault(key(each), []).append(each)
    return list(found.values())


def _curves(group: Sequence[Family]) -> bytes:
    from nnsearch.reports.budget_curves import budget_curves
    from nnsearch.reports.plots import svg

    objective = group[0].members[0].objective
    courses = {each.name: each.courses for each in group}
    return svg(budget_curves(courses, metric=objective.key, direction=objective.direction))


def _matrices(group: Sequence[Compared]) -> bytes | None:
    """On test rows where all have looked at them, else on validation rows."""
    from nnsearch.reports.plots import confusion_matrices, svg

    of_test = all(each.tested is not None for each in group)
    labels = group[0].labels
    matrices: dict[str, Any] = {}
    for each in group:
        found = predictions_of(each, of_test=of_test)
        if found is not None:
            predictions, targets = found
            title = f"{each.name}: {'test' if of_test else 'validation'}"
            matrices[title] = confusion(predictions.argmax(axis=1), targets, len(labels))
    return svg(confusion_matrices(matrices, labels)) if matrices else None


def _sides(classified: Sequence[Compared], studies: Sequence[Compared]) -> dict[str, bytes]:
    """ROC and calibration of those that were judged on the same rows, in one picture each."""
    from nnsearch.reports.plots import svg
    from nnsearch.reports.sides import calibration_sides, roc_sides

    of_test = all(each.tested is not None for each in classified)
    where = "test rows" if of_test else "validation rows"
    scored = {each.name: predictions_of(each, of_test=of_test) for each in classified}
    known = [each for each in classified if scored[each.name] is not None]
    drawn: dict[str, bytes] = {}
    for group in _groups(known, lambda each: (each.labels, _targets(scored[each.name]))):
        found = {each.name: pair for each in group if (pair := scored[each.name]) is not None}
        drawn[_file("roc", group, studies)] = svg(roc_sides(found, where))
        drawn[_file("calibration", group, studies)] = svg(calibration_sides(found, where))
    return drawn


def _targets(found: tuple[Any, Any] | None) -> bytes:
    return b"" if found is None else found[1].tobytes()


def _against_true(study: Compared) -> bytes | None:
    from nnsearch.reports.plots import predicted_against_true, svg

    found = predictions_of(study, of_test=study.tested is not None)
    if found is None:
        return None
    return svg(predicted_against_true(*found, name=study.record["signature"]["target"]))


def _write(path: Path, content: bytes) -> None:
    write_whole(path, lambda temporary: temporary.write_bytes(content))
    path.chmod(0o644)
