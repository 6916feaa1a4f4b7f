"""`nnsearch extend` and `show --space`: a wider study that keeps its trials, trained once only."""

import json
from pathlib import Path

import pytest
from finished import call, copied, finished

from nnsearch.commands.doctor import doctor
from nnsearch.commands.extend import Extended, as_text, extend
from nnsearch.commands.result import Options
from nnsearch.commands.run import run
from nnsearch.commands.space import as_text as space_text
from nnsearch.commands.space import examine_space, remedies
from nnsearch.errors import StudyError, UsageError
from nnsearch.events import Finished, Started, from_line, whole_lines
from nnsearch.reports.space_doctor import examine
from nnsearch.search.ledger import read_ledger
from nnsearch.study.folder import Home, StudyFolder, read_json
from nnsearch.study.load import load_study
from nnsearch.study.spec import FloatRange, IntRange

WIDER = "model.width={ choice = [4, 8, 16, 32, 64] }"


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return finished(tmp_path_factory.getbasetemp())


@pytest.fixture
def home(whole: Path, own_folder: Path) -> Path:
    """A copy of the finished study with its file, where extending leaves nothing behind."""
    home = copied(whole, own_folder)
    for name in ("flowers.toml", "parts.py"):
        (own_folder / name).write_text((whole / name).read_text())
    record = Home(home).study("flowers").spec
    record.write_text(record.read_text().replace(str(whole), str(own_folder)))
    return home


def extended(home: Path, *changes: str, **more: str) -> Extended:
    return extend("flowers", changes=changes or (WIDER,), home=home, allow_code=True, **more)  # type: ignore[arg-type]


def _begun(folder: StudyFolder) -> list[int]:
    """The trials that workers began, as often as they did."""
    events = [
        from_line(line)
        for job in sorted(folder.jobs.glob("[0-9]*"))
        for line, _ in whole_lines(folder.job(job.name).events)
    ]
    return [each.trial for each in events if isinstance(each, Started)]


def test_the_new_study_begins_with_the_old_trials_and_trains_none_again(home: Path) -> None:
    made = extended(home)
    assert (made.study, made.parent, made.num_trials, made.trials) == ("flowers-2", "flowers", 4, 8)
    assert made.changes == ("model.width: choice [4, 8, 16, 32] -> choice [4, 8, 16, 32, 64]",)
    old, new = (Home(home).study(name) for name in ("flowers", "flowers-2"))
    before = read_ledger(new)
    result = run(Path(made.file), Options(home=home, allow_code=True), warn=lambda _: None)
    ledger = read_ledger(new)
    assert result.counts == {"complete": 4, "pruned": 0, "failed": 1}, "the grid has one more point"
    assert ledger.specs[4].params == {"model.width": 64}
    assert [ledger.endings[n] for n in range(4)] == [read_ledger(old).endings[n] for n in range(4)]
    assert before.endings == read_ledger(old).endings
    begun = [_begun(folder) for folder in (old, new)]
    assert begun[1] == [*begun[0], 4], "each was begun once"
    assert not doctor("flowers-2", home=home).num_problems
    assert read_json(new.parent_record)["study"] == "flowers"


def test_looks_at_the_test_split_are_taken_over(home: Path) -> None:
    made = extended(home)
    old, new = (Home(home).study(name) for name in ("flowers", "flowers-2"))
    assert read_json(new.looks) == read_json(old.looks)
    assert new.test_reads.read_bytes() == old.test_reads.read_bytes()
    (look,) = read_json(new.looks)
    assert made.looked_at == (look["trial"],)
    assert f"opened for trial {look['trial']}; another winner" in as_text(made)
    assert new.test_predictions(look["trial"]).read_bytes()


def test_the_file_is_a_study_file_that_says_where_it_comes_from(home: Path) -> None:
    made = extended(home)
    text = Path(made.file).read_text()
    assert text.startswith("# A new version of flowers, whose trials it keeps. Changed:\n# model.w")
    study = load_study(Path(made.file), allow_code=True)
    assert study.name == "flowers-2"
    assert study.search.trials == 8
    assert "nnsearch run" in as_text(made)
    assert "4 of flowers are kept; it is to have 8 in all" in as_text(made)


def test_the_old_study_is_as_it_was(home: Path) -> None:
    root = Home(home).study("flowers").root
    before = {path: path.read_bytes() for path in root.rglob("*") if path.is_file()}
    extended(home)
    lock = Home(home).study("flowers").lock
    assert {path: path.read_bytes() for path in before if path != lock} == {
        path: each for path, each in before.items() if path != lock
    }


def test_the_next_version_has_the_next_number(home: Path) -> None:
    extended(home)
    again = extend(
        "flowers-2",
        changes=["model.width={ choice = [2, 4, 8, 16, 32, 64] }"],
        home=home,
        allow_code=True,
    )
    assert (again.study, again.parent, again.trials) == ("flowers-3", "flowers-2", 12)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.width={ choice = [4, 8, 16] }", "does not hold 1 of 4 trials: trial"),
        ("optimizer.lr=0.1", "does not hold 4 of 4 trials"),
        ("search.trials=9", "nothing in the space of 'flowers' is changed"),
        ("data.split={ train = 0.5, valid = 0.3, test = 0.2 }", "rows or their split are not"),
        ("search.objective=log_loss", "the objective is valid/log_loss, not that of 'flowers'"),
    ],
)
def test_what_is_no_extension_is_refused_and_leaves_nothing(
    home: Path, change: str, message: str
) -> None:
    wider = () if change.startswith(("model", "search.trials")) else (WIDER,)
    with pytest.raises(UsageError, match=message):
        extended(home, *wider, change)
    assert not Home(home).study("flowers-2").spec.exists()
    assert not Path("flowers-2.toml").exists()


def test_a_value_that_no_option_takes_is_refused_as_in_a_study_file(home: Path) -> None:
    with pytest.raises(StudyError, match="width"):
        extended(home, "model.width={ choice = [4, 8, 16, 32, 'wide'] }")


def test_a_name_that_is_taken_is_refused(home: Path) -> None:
    with pytest.raises(UsageError, match="there is a study 'flowers' already"):
        extended(home, new="flowers")
    Path("mine.toml").write_text("")
    with pytest.raises(UsageError, match=r"mine\.toml"):
        extended(home, new="mine")
    assert extended(home, new="other").study == "other"


def test_what_a_kill_left_behind_is_cleared_by_the_next_attempt(home: Path) -> None:
    new = Home(home).study("flowers-2")
    stale = new.job("00099")
    stale.root.mkdir(parents=True)
    stale.spec.write_text("{}")
    new.trials.write_text("[]\n")
    extended(home)
    assert not stale.root.exists()
    assert len(read_ledger(new).specs) == 4


def test_a_reached_target_and_a_spent_patience_do_not_end_the_new_study(home: Path) -> None:
    record = Home(home).study("flowers").spec
    fields = json.loads(record.read_text())
    fields["study"]["search"] |= {"patience": 3, "target": 0.01}
    record.write_text(json.dumps(fields))
    with pytest.raises(UsageError, match=r"the target 0\.01 was reached by trial"):
        extended(home)
    made = extended(home, WIDER, "search.target=1.0")
    ledger = read_ledger(Home(home).study("flowers"))
    best = max((e for e in ledger.in_order() if isinstance(e, Finished)), key=lambda e: e.value)
    assert load_study(Path(made.file), allow_code=True).search.patience == 3 + (3 - best.trial)


def test_the_doctor_asks_for_ranges_that_the_option_takes(own_folder: Path) -> None:
    text = """
    [data]
    source = "iris"
    [task]
    name = "classification"
    [model]
    name = "mlp"
    depth = { int = [1, 8] }
    dropout = { float = [0.0, 0.5] }
    [search]
    trials = 4
    """
    Path("small.toml").write_text(text)
    study = load_study(Path("small.toml"))
    from nnsearch.reports.space_doctor import Sampled

    trials = [
        Sampled(n, {"model.depth": 8 if n > 20 else 1 + n % 7, "model.dropout": 0.4 - n / 100},
                float(n), str(n))
        for n in range(40)
    ]  # fmt: skip
    found = examine(trials, study.ranges(), "maximize")
    edges = {(each.params, each.end) for each in found.symptoms if each.kind == "edge"}
    assert edges == {(("model.depth",), "high"), (("model.dropout",), "low")}
    (remedy,) = remedies(study, found)
    assert (remedy.key, remedy.value) == ("model.depth", "{ int = [1, 12] }")
    assert study.ranges()["model.depth"] == IntRange(1, 8)
    assert study.ranges()["model.dropout"] == FloatRange(0.0, 0.5)


def test_the_space_is_shown_on_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(["show", "flowers", "--space", "--mlruns", home], monkeypatch) == 0
    out = capsys.readouterr().out
    assert "flowers: the space as 4 trials show it (valid/accuracy)" in out
    assert "Importance needs 10 complete trials" in out
    assert call(["show", "flowers", "--space", "--json", "--mlruns", home], monkeypatch) == 0
    document = json.loads(capsys.readouterr().out)
    assert [each["kind"] for each in document["symptoms"]] == ["few"]
    shown = space_text(examine_space("flowers", home))
    assert "Run more trials" in shown


def test_extend_on_the_command_line(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["extend", "flowers", "--set", WIDER, "--allow-code", "--mlruns", home, "--json"]
    assert call(arguments, monkeypatch) == 0
    assert json.loads(capsys.readouterr().out)["study"] == "flowers-2"
    assert (
        call(["extend", "flowers", "--widen", "--mlruns", home, "--allow-code"], monkeypatch) == 2
    )
    assert "nothing in the space" in capsys.readouterr().err


def test_weights_are_linked_not_copied(home: Path) -> None:
    extended(home)
    new = Home(home).study("flowers-2")
    weights = sorted(new.jobs.glob("*/trial-*/weights.pt"))
    assert weights
    assert all(path.stat().st_nlink == 2 for path in weights)
    events = sorted(new.jobs.glob("[0-9]*/events.jsonl"))
    assert all(path.stat().st_nlink == 1 for path in events), "what is appended to is copied"
