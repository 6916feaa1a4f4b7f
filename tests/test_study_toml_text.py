"""A resolved study written as a study file is read as the same study."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.study.fingerprint import to_json
from nnsearch.study.load import load_study
from nnsearch.study.toml_text import study_tables, toml

STUDIES = sorted((Path(__file__).resolve().parent.parent / "studies").glob("*.toml"))
GOLDEN = Path(__file__).resolve().parent / "golden" / "study" / "small.toml"


@pytest.mark.parametrize("path", [*STUDIES, GOLDEN], ids=lambda path: path.stem)
def test_every_study_comes_back(path: Path) -> None:
    study = load_study(path, allow_code=True)
    resolved = to_json(study)
    text = toml(study_tables(resolved, path.parent, allow_code=True), "One.\nTwo.")
    again = Path(path.name)
    again.write_text(text)
    for part in path.parent.glob("*.py"):
        Path(part.name).write_text(part.read_text())
    assert to_json(load_study(again, allow_code=True)) == resolved
    assert text.startswith("# One.\n# Two.\n\nname = ")
    assert "beta2" not in text, "what is at its default is left out"


SCALARS = st.one_of(
    st.booleans(), st.integers(-(2**53), 2**53), st.floats(allow_nan=False), st.text()
)


@given(st.dictionaries(st.text(min_size=1), SCALARS | st.lists(SCALARS, max_size=3)))
def test_any_key_and_value_comes_back(table: dict[str, object]) -> None:
    tables = {"top": 1, "below": {"more.dots": table}}
    assert tomllib.loads(toml(tables)) == tables


def test_a_range_stands_in_one_line() -> None:
    text = toml({"model": {"mlp": {"width": {"int": [1, 3], "log": True}}}})
    assert text == "\n[model.mlp]\nwidth = { int = [1, 3], log = true }\n"
