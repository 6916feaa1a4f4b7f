"""What trials take over of the weights that their study begins with. Trains nothing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from torch import nn

from nnsearch.errors import Problem, StudyError, UsageError
from nnsearch.study.space import Drawn, sample
from nnsearch.study.spec import Choice, Range, Study
from nnsearch.study.starts import AT
from nnsearch.training.fit import build_model
from nnsearch.training.material import gather
from nnsearch.training.start import compared, read_weights

Models = Callable[[], Iterator[tuple[str, nn.Module]]]


def start_notes(study: Study, models: Models | None) -> list[str]:
    """What each network by its name takes over of each file of weights, and what it does not.

    Without `models` it is only seen whether the files can be read. Raises StudyError where one
    cannot, or has nothing for a network; names no network where the study begins with no file.
    """
    notes, problems = [], []
    for value in _starts(study):
        try:
            weights = read_weights(value, study.root)
            for name, model in models() if models is not None else ():
                taken, left = compared(model, weights)
                path = value.partition(" sha256:")[0]
                note = f"'{name}' begins with {len(taken)} of the arrays in '{path}'"
                notes.append(note + (f"; as drawn stay: {'; '.join(left)}." if left else "."))
        except UsageError as error:
            problems.append(Problem("E501", error.message, f"[{AT[0]}] {AT[1]}", error.hint))
    if problems:
        raise StudyError(list(dict.fromkeys(problems)))
    return notes


def networks(study: Study, data: Path) -> Models:
    """The networks of a study on its prepared data, one of each kind, as they are drawn."""

    def made() -> Iterator[tuple[str, nn.Module]]:
        code = study.root.resolve()
        for name in study.model.alternatives:

            def first(path: str, searched: Range, name: str = name) -> Drawn:
                if path == "model.name":
                    return name
                return searched.choices[0] if isinstance(searched, Choice) else searched.low

            trial = sample(study, first, number=0, seed=study.seed)
            material = gather(trial, data, code, torch.device("cpu"))
            yield name, build_model(trial, material, code)

    return made


def _starts(study: Study) -> list[str]:
    ((_, options),) = study.training.alternatives.items()
    given = options.get(AT[1], "")
    values = given.choices if isinstance(given, Choice) else (given,)
    return [str(each) for each in values if each]
