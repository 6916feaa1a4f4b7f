"""The rows behind the numbers: the worst mistakes, the splits, and what the audit said. Pure."""

from nnsearch.reports.html_content import Cell, Data, Mistake, Mistakes, Report
from nnsearch.reports.html_markup import (
    Content,
    Html,
    folded,
    joined,
    pairs,
    picture,
    section,
    table,
    tag,
)
from nnsearch.reports.html_numbers import PARTS
from nnsearch.reports.tables import number

# Of a row with many columns those that are furthest from what is usual are shown first.
NUM_CELLS = 4
# Nearer to the mean a value reads +0.0 sd, and is not unusual.
UNUSUAL = 0.05
_ENDS = ("least", "quarter", "middle", "three quarters", "most")
MOST_CLASSES, ALMOST = 40, 0.995


def mistakes(report: Report) -> Html:
    """Pictures or rows that the winner gets most wrong."""
    title, found = "Worst mistakes", report.mistakes
    if found is None:
        return section("mistakes", title, tag("p", "No trial has completed."))
    if found.problem:
        return section("mistakes", title, tag("p", found.problem))
    told = tag("p", _told(found, has_classes=bool(report.labels)))
    if not found.worst:
        return section("mistakes", title, told)
    if found.worst[0].png:
        return section("mistakes", title, told, _gallery(found, has_classes=bool(report.labels)))
    return section("mistakes", title, told, *_table(found, has_classes=bool(report.labels)))


def data(report: Report) -> Html:
    """Where the rows came from, how they were divided, and what is to know of them."""
    found = report.data
    shape = " x ".join(map(str, found.shape))
    facts: dict[str, Content] = {
        "source": found.source,
        "an example": f"{found.kind}, {shape}" + (" columns" if found.kind == "table" else ""),
        "target": found.target,
        "division": found.divided,
        "fingerprint": tag("code", found.fingerprint),
    }
    left, right = tag("div", pairs(facts), _sizes(found)), tag("div", _spread(report))
    grid = tag("div", left, right, class_="halves")
    return section("data", "The data", _audit(found), grid)


def environment(report: Report) -> Html:
    """Versions, machine, and every setting of the study: what the numbers depend on."""
    names = sorted(report.facts)
    rows = [{"name": name, "value": report.facts[name]} for name in names]
    settings = [{"setting": name, "value": value} for name, value in _flat(report.settings)]
    return section(
        "environment",
        "The environment",
        tag("p", f"Begun {report.created}; this page was written {report.printed}."),
        table(rows, caption="Versions and machine"),
        folded("Every setting of the study", table(settings, caption="The resolved study")),
    )


def _told(found: Mistakes, *, has_classes: bool) -> str:
    part, shown = PARTS[found.part], len(found.worst)
    why = (
        f"These are {part} rows: they may be studied, and what is learned from them may go into"
        " the next search. The test rows are left alone for that."
    )
    if not has_classes:
        return f"The {shown} largest errors of {found.num_rows} {part} rows. {why}"
    if not shown:
        return f"Not one mistake on {found.num_rows} {part} rows."
    count = f"{found.num_wrong} of {found.num_rows} {part} rows are wrong"
    first = f"the {shown} surest of them first" if shown < found.num_wrong else "the surest first"
    return f"{count}; {first}. {why}"


def _gallery(found: Mistakes, *, has_classes: bool) -> Html:
    items = []
    for each in found.worst:
        words = f"Row {each.row}: {each.truth}, taken for {each.answer}"
        shown = picture(each.png, words, class_="pixels")
        items.append(tag("li", shown, _words(each, has_classes=has_classes)))
    return tag("ul", *items, class_="gallery")


def _words(each: Mistake, *, has_classes: bool) -> Html:
    answer, truth = tag("b", each.answer), tag("b", each.truth)
    if not has_classes:
        told = [tag("span", "said ", answer), tag("span", "is ", truth)]
    else:
        told = [
            tag("span", "said ", answer, f" ({_percent(each.surety)})"),
            tag("span", "is ", truth, f" ({_percent(each.chance or 0.0)})"),
        ]
    return tag("span", *told, tag("small", f"row {each.row}"), class_="words")


def _percent(chance: float) -> str:
    # What is not certain is not to be called 100 %.
    return ">99%" if ALMOST <= chance < 1 else f"{chance:.0%}"


def _table(found: Mistakes, *, has_classes: bool) -> list[Html]:
    rows: list[dict[str, object]] = []
    whole: list[dict[str, object]] = []
    for each in found.worst:
        row: dict[str, object] = {"row": each.row, "truth": each.truth, "answer": each.answer}
        if has_classes:
            row["sure"] = f"{each.surety:.1%}"
        else:
            row["off by"] = each.surety
        whole.append(row | {cell.name: cell.text for cell in sorted(each.cells, key=_by_name)})
        unusual = [
            f"{cell.name} {cell.text} ({cell.distance:+.1f} sd)"
            for cell in each.cells[:NUM_CELLS]
            if abs(cell.distance) >= UNUSUAL
        ]
        # A single cell, such as a text, says all by itself.
        is_single = len(each.cells) == 1 and not unusual
        told = tag("span", each.cells[0].text if is_single else "; ".join(unusual), class_="roomy")
        rows.append(row | {each.cells[0].name if is_single else "furthest from usual": told})
    note = "Row numbers are places in the source, from 0; sd: deviations from the mean of train."
    return [
        table(rows, caption="Worst mistakes"),
        tag("p", note, class_="note"),
        folded("All columns of these rows", table(whole, caption="Worst mistakes, all columns")),
    ]


def _by_name(cell: Cell) -> str:
    return cell.name


def _audit(found: Data) -> Html:
    if not found.findings and not found.notes:
        return tag("p", "The audit found nothing to complain of: no copies across the splits, no"
                   " column that tells the target, no identifier, no class without rows.",
                   class_="good")  # fmt: skip
    items = [
        tag("li", tag("b", f"{each.level} {each.code}"), f" {each.message} {each.hint}",
            class_=each.level)
        for each in found.findings
    ]  # fmt: skip
    notes = [tag("li", each) for each in found.notes]
    return tag("ul", *items, *notes, class_="audit")


def _sizes(found: Data) -> Html:
    total = max(sum(each.num_rows for each in found.parts), 1)
    bar = [
        tag("span", class_=f"part {each.name}", style=f"flex-grow:{each.num_rows}")
        for each in found.parts
        if each.num_rows
    ]
    rows = [
        {"split": PARTS.get(each.name, each.name), "rows": each.num_rows,
         "share": f"{each.num_rows / total:.1%}"}
        for each in found.parts
    ]  # fmt: skip
    return joined([tag("div", *bar, class_="split", aria_hidden="true"),
                   table(rows, caption="Rows of each split")])  # fmt: skip


def _spread(report: Report) -> Html:
    parts, labels = report.data.parts, report.labels
    if labels and all(each.counts for each in parts if each.num_rows):
        order = sorted(range(len(labels)), key=lambda at: (-parts[0].counts[at], at))
        rows: list[dict[str, object]] = [
            {"class": labels[at]}
            | {PARTS.get(e.name, e.name): e.counts[at] for e in parts if e.counts}
            for at in order[:MOST_CLASSES]
        ]
        left = f"; {len(labels) - MOST_CLASSES} more" if len(labels) > MOST_CLASSES else ""
        return table(rows, caption=f"Rows of each class, the most frequent first{left}")
    if any(each.spread for each in parts):
        rows = [
            {"split": PARTS.get(each.name, each.name), **dict(zip(_ENDS, each.spread, strict=True))}
            for each in parts
            if each.spread
        ]
        return table(rows, caption=f"Quartiles of {report.data.target}")
    return tag("p", "The prepared rows are no longer on the disk.")


def _flat(settings: object, name: str = "") -> list[tuple[str, str]]:
    if isinstance(settings, dict) and settings:
        return [
            pair
            for key, each in settings.items()
            for pair in _flat(each, f"{name}.{key}" if name else str(key))
        ]
    if isinstance(settings, list | tuple):
        return [(name, ", ".join(map(number, settings)))]
    return [(name, number(settings))]
