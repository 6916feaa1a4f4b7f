"""Which trials may share one job. Pure: trials in, groups of trials out."""

from collections.abc import Sequence

from nnsearch.study.spec import TrialSpec


def plan(trials: Sequence[TrialSpec]) -> list[list[TrialSpec]]:
    """The jobs of a batch, in the order in which they should run: for now each trial alone."""
    return [[trial] for trial in trials]
