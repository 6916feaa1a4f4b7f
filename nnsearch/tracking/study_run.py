"""What is said of a study as a whole, on its own run in MLflow. Knows no trial's run, no thread.

Said again it changes nothing: values have the event's own time, and MLflow stores them once.
"""

from dataclasses import replace

from nnsearch.events import Confirmed, Tested
from nnsearch.tracking.runs import Subject, open_parent
from nnsearch.tracking.store import PARENT, Store
from nnsearch.tracking.values import as_metrics


def write_said(store: Store, subject: Subject, event: Confirmed | Tested) -> None:
    """Write how the winner was chosen, or what it came to on the test split."""
    if isinstance(event, Tested):
        _write_tested(store, subject, event)
    else:
        _write_confirmed(store, subject, event)


def _write_confirmed(store: Store, subject: Subject, confirmed: Confirmed) -> None:
    """The winner, what it is expected to be worth, and its probability of being the best."""
    run, at = store.runs.get(PARENT), repr(confirmed.at)
    if run is not None and run.confirmed_at == at:
        return
    run = open_parent(store, subject, at=confirmed.at)
    first, metric = confirmed.candidates[0], subject.objective.metric
    metrics = {
        f"confirmed/{metric}": first.estimate,
        f"confirmed/{metric}/low": first.low,
        f"confirmed/{metric}/high": first.high,
        "confirmed/chance": first.chance,
    }
    tags = {"nnsearch.best_trial": str(confirmed.trial), "nnsearch.confirmed_at": at}
    with store.calling() as backend:
        backend.write(run.id, metrics=as_metrics(metrics, at=confirmed.at), tags=tags)
    store.runs[PARENT] = replace(store.runs[PARENT], confirmed_at=at)


def _write_tested(store: Store, subject: Subject, tested: Tested) -> None:
    """The look at the test split: metrics and their 95 % intervals."""
    run = store.runs.get(PARENT)
    if run is not None and run.tested_at == repr(tested.at):
        return
    run = open_parent(store, subject, at=tested.at)
    metrics = {f"test/{name}": value for name, value in tested.metrics.items()}
    for name, (low, high) in tested.intervals.items():
        metrics |= {f"test/{name}/low": low, f"test/{name}/high": high}
    tags = {
        "nnsearch.best_trial": str(tested.trial),
        "nnsearch.test_rows": str(tested.num_rows),
        "nnsearch.tested_at": repr(tested.at),
    }
    with store.calling() as backend:
        backend.write(run.id, metrics=as_metrics(metrics, at=tested.at), tags=tags)
    store.runs[PARENT] = replace(store.runs[PARENT], tested_at=tags["nnsearch.tested_at"])
