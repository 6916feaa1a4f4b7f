"""Who is told what happens in a session: MLflow and the screen. Knows no executor and no search."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from nnsearch.commands.opening import Opened, facts
from nnsearch.commands.pictures import picture
from nnsearch.commands.result import Listen, Options, Show
from nnsearch.events import Event
from nnsearch.search.ledger import replay
from nnsearch.study.folder import Home, read_json
from nnsearch.tracking.mlflow import mlflow_listener
from nnsearch.tracking.store import destination

# What of the time to leave in, after a signal, MLflow has.
TELLING_SHARE = 0.3


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is told every event, and what has MLflow told at once of all that it was not yet."""

    listen: Listen
    flush: Callable[[], object]


@contextmanager
def audience(
    opened: Opened,
    options: Options,
    show: Show | None,
    warn: Callable[[str], None],
) -> Iterator[Audience]:
    """MLflow and the screen, both told of what happened before this run."""
    uri, artifacts = destination(Home(options.home), options.environ)
    labels = opened.prepared.signature.labels
    with ExitStack() as stack:
        tracker = stack.enter_context(
            mlflow_listener(
                opened.study,
                opened.objective,
                opened.folder,
                uri=uri,
                artifacts=artifacts,
                locate=partial(opened.ledger.folder, opened.folder),
                picture=partial(picture, labels, opened.objective),
                facts=facts(),
                dataset=_dataset(opened),
                warn=warn,
                uid=read_json(opened.folder.spec)["fingerprint"],
                leave_seconds=TELLING_SHARE * options.grace,
            )
        )
        listeners: list[Listen] = [tracker]
        if show is not None:
            context = show(opened.objective, opened.study.search.trials)
            listeners.append(stack.enter_context(context))

        def listen(event: Event) -> None:
            for each in listeners:
                each(event)

        for event in replay(opened.ledger):
            listen(event)
        yield Audience(listen, partial(tracker.flush, 0.0))


def _dataset(opened: Opened) -> dict[str, object]:
    prepared = opened.prepared
    return {
        "name": opened.study.source.name,
        "digest": prepared.fingerprint[:8],
        "num_rows": prepared.num_rows,
        "shape": list(prepared.signature.shape),
        "labels": list(prepared.signature.labels),
    }
