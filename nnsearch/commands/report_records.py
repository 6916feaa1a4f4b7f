"""A study's records as the values that a report shows. Knows no HTML and writes nothing."""

from datetime import UTC, datetime
from pathlib import Path
from shlex import quote

from nnsearch.commands.compare_records import Compared, load
from nnsearch.commands.listing import state_of, when
from nnsearch.commands.places import MLRUNS
from nnsearch.commands.report_interpret import interpretation
from nnsearch.commands.report_rows import examples, mistakes, parts, rivals, scored
from nnsearch.commands.show import Row, shown_of
from nnsearch.data.findings import Finding
from nnsearch.events import Finished
from nnsearch.reports.html_content import Cost, Data, Report, Trial
from nnsearch.reports.importance import Importance, importance
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.recorded import recorded_study


def gather(folder: StudyFolder, home: Path, *, at: float) -> Report:
    """Everything that the report of a study shows; `at` is the time that it is printed."""
    study = load(folder)
    record = study.record
    result = read_json(folder.result) or {"conclusion": {}}
    conclusion = result["conclusion"]
    shown = shown_of(folder, record, study.ledger)
    best = study.best
    epochs = {} if best is None else study.ledger.epochs[best.trial]
    return Report(
        study=study.name,
        description=record["study"]["description"],
        state=state_of(folder, study.ledger),
        created=when(datetime.fromisoformat(record["created"]).timestamp()),
        printed=when(at),
        reason=result.get("reason", ""),
        objective=study.objective,
        ranges=recorded_study(record).ranges(),
        trials=tuple(_trial(study, row) for row in sorted(shown.trials, key=lambda r: r.trial)),
        labels=study.labels,
        cost=_cost(study, conclusion.get("export", "")),
        data=_data(study),
        settings=record["study"],
        facts=record["facts"] | {"study fingerprint": record["fingerprint"]},
        best=best,
        epochs=tuple(event for _, event in sorted(epochs.items())),
        tested=study.tested,
        confirmed=study.confirmed,
        num_looks=study.num_looks,
        baseline=study.baseline,
        rivals=rivals(study),
        importance=_importance(study),
        scored=scored(study),
        examples=examples(study),
        mistakes=mistakes(study),
        interpretation=interpretation(study),
        export=conclusion.get("export", ""),
        export_problem=conclusion.get("export_problem", ""),
        where="" if home.resolve() == MLRUNS.resolve() else f" --mlruns {quote(str(home))}",
        objectives=(shown.objective, *shown.others) if shown.others else (),
        front=shown.front,
    )


def _trial(study: Compared, row: Row) -> Trial:
    return Trial(
        number=row.trial,
        state=row.state,
        value=row.value,
        epochs=row.epochs,
        seconds=row.seconds,
        params=row.params,
        values=study.ledger.reports(row.trial, study.objective.key),
        error=row.error,
        measured=row.measured,
        breaks=row.breaks,
    )


def _cost(study: Compared, export: str) -> Cost:
    ledger = study.ledger
    begun = [each.at for each in ledger.started.values()]
    ended = [each.at for each in ledger.endings.values()]
    folder = Path(export)
    size = None
    if export and folder.is_dir():
        size = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
    return Cost(
        training_seconds=study.seconds,
        wall_seconds=max(ended) - min(begun) if begun and ended else None,
        num_epochs=sum(map(len, ledger.epochs.values())),
        num_parameters=study.num_parameters,
        export_bytes=size,
    )


def _data(study: Compared) -> Data:
    record = study.record
    prepared = read_json(study.folder.prepared(record["data"]).record) or {}
    signature, told = record["signature"], record["study"]["data"]
    split = told["split"]
    shares = ", ".join(f"{part} {split[part]:g}" for part in ("train", "valid", "test"))
    column = f" '{split['column']}'" if split["column"] else ""
    return Data(
        source=told["source"],
        kind=signature["kind"],
        shape=tuple(signature["shape"]),
        target=signature["target"],
        divided=f"{shares}; by {split['by']}{column}, seed {record['study']['seed']}",
        fingerprint=record["data"],
        parts=parts(study),
        findings=tuple(Finding(**each) for each in prepared.get("findings", ())),
        notes=tuple(prepared.get("notes", ())),
    )


def _importance(study: Compared) -> Importance:
    complete = [
        (study.ledger.specs[each.trial].params, each.value)
        for each in study.ledger.in_order()
        if isinstance(each, Finished)
    ]
    ranges = recorded_study(study.record).ranges()
    return importance(complete, ranges, study.objective.direction)


def now() -> float:
    """The time on this machine's clock, in seconds since 1970."""
    return datetime.now(UTC).timestamp()
