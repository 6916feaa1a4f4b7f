"""Whether anything was lost of a study, as a function. Knows no way to mend it."""

import os
from collections.abc import Mapping
from pathlib import Path

from nnsearch.commands.doctor import as_text, doctor
from nnsearch.errors import IntegrityError


def check_integrity(
    home: Path,
    study: str | None = None,
    *,
    storage: str = "",
    environ: Mapping[str, str] | None = None,
) -> None:
    """Raise IntegrityError, naming each problem, where `nnsearch doctor --strict` would exit 6.

    Records, Optuna's store and MLflow's are compared for every study below `home`, or for the one
    that is named: a COMPLETE trial has exactly one FINISHED run with equal values, params and
    files, and the reverse; the budget is kept; no step is there twice; nothing is left over.
    """
    diagnosis = doctor(
        study, home=home, storage=storage, environ=os.environ if environ is None else environ
    )
    if diagnosis.num_problems:
        raise IntegrityError(as_text(diagnosis))
