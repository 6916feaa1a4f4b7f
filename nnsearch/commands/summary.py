"""What a person reads at the end of a run, and the JSON document that says the same."""

from dataclasses import asdict
from typing import Any

from nnsearch.commands.result import RunResult


def as_document(result: RunResult) -> dict[str, Any]:
    """The result as JSON values."""
    return asdict(result)


def as_text(result: RunResult) -> str:
    """The answer first, then where everything lies and what to type next."""
    conclusion, objective = result.conclusion, result.objective
    best, tested = conclusion.best, conclusion.tested
    lines = [
        f"{result.study}: {result.reason}"
        + ("" if result.has_trained else " (finished before; nothing was trained)"),
        f"  trials       {_counts(result.counts)}",
        f"  best trial   {best.trial}: {objective.key} {best.value:.4f}{_gain(result)}",
        *(f"                 {name} = {_short(value)}" for name, value in result.params.items()),
        f"  test split   {_tested(result)}",
    ]
    if conclusion.num_looks > 1:
        lines.append(
            f"               the test split has now been looked at {conclusion.num_looks} times"
        )
    lines.append(f"  {_exported(conclusion.export, conclusion.export_problem)}")
    lines.append(f"  records      {result.folder}")
    lines.append(f"  browse       nnsearch ui        every trial in MLflow ({result.tracking_uri})")
    if conclusion.export:
        sample = "INPUT.csv" if tested.num_rows else ""
        lines.append(f"  predict      nnsearch predict {conclusion.export} {sample}")
    return "\n".join(lines)


def _counts(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    return f"{total}: " + ", ".join(f"{number} {state}" for state, number in counts.items())


def _gain(result: RunResult) -> str:
    baseline = result.conclusion.baseline
    if baseline is None:
        return ""
    gain = result.conclusion.best.value - baseline
    return f" (linear baseline {baseline:.4f}, {gain:+.4f})"


def _tested(result: RunResult) -> str:
    tested, metric = result.conclusion.tested, result.objective.metric
    name = metric if metric in tested.metrics else next(iter(tested.metrics))
    text = f"{name} {tested.metrics[name]:.4f}"
    if name in tested.intervals:
        low, high = tested.intervals[name]
        text += f" [{low:.4f}, {high:.4f}]"
    return f"{text}  (95 % interval, {tested.num_rows} rows, looked at once)"


def _exported(folder: str, problem: str) -> str:
    return f"exported     {folder}" if folder else f"not exported {problem}"


def _short(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
