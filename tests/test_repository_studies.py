"""The studies that come with nnsearch: what they resolve to, what they tell, what editors know.

`make generated` writes anew what is compared here, for the change of a study or of a component.
"""

import json
import os
import re
import tomllib
from pathlib import Path

import pytest

from nnsearch.study.fingerprint import to_json
from nnsearch.study.json_schema import json_schema
from nnsearch.study.load import load_study

ROOT = Path(__file__).resolve().parent.parent
STUDIES = sorted((ROOT / "studies").glob("*.toml"))
GOLDEN = ROOT / "tests" / "golden" / "studies"
SCHEMA = ROOT / "studies" / "study.schema.json"


def is_as_stored(path: Path, text: str) -> bool:
    """Whether `path` holds `text`, which is first written there if `make generated` asks for it."""
    if os.environ.get("NNSEARCH_WRITE_GENERATED"):
        path.write_text(text, encoding="utf-8")
    return path.exists() and path.read_text(encoding="utf-8") == text


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_resolves_to_what_it_did(path: Path) -> None:
    study = load_study(path)
    assert study.name == path.stem
    text = json.dumps(to_json(study), indent=1) + "\n"
    assert is_as_stored(GOLDEN / f"{path.stem}.json", text), "run `make generated`, read the diff"


def test_there_is_no_golden_study_too_many() -> None:
    assert [path.stem for path in sorted(GOLDEN.iterdir())] == [path.stem for path in STUDIES]


def test_the_schema_for_editors_is_the_one_of_the_signatures() -> None:
    # as `nnsearch components --schema` prints it
    text = json.dumps(json_schema(), indent=1) + "\n"
    assert is_as_stored(SCHEMA, text), "run `make generated`, read the diff"


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_opens_with_its_schema_its_command_and_its_result(path: Path) -> None:
    head = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    assert head[0] == f"#:schema ./{SCHEMA.name}"
    assert f"#   nnsearch run {path.stem}" in head
    gave = " ".join(head).partition("What it gave")[2]
    search = tomllib.loads(path.read_text(encoding="utf-8"))["search"]
    assert f" {search['trials']} trials" in gave
    assert re.search(r"\bvalidation [\w ]+ \d+\.\d+", gave), "no result on the validation split"
    assert re.search(r"\btest [\w ]+ \d+\.\d+", gave), "no result on the test split"


def test_the_readme_lists_each_study_and_quotes_the_first_one() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| \[([\w-]+)\]\(studies/([\w-]+)\.toml\)", readme, re.MULTILINE)
    assert sorted(listed) == sorted((path.stem, path.stem) for path in STUDIES)
    walk = readme.partition("## The first study, line by line")[2].partition("\n## ")[0]
    quoted = [line[4:] for line in walk.splitlines() if line.startswith("    ")]
    digits = (ROOT / "studies" / "digits.toml").read_text(encoding="utf-8")
    told = [line for line in digits.splitlines() if line and not line.startswith(("#", "desc"))]
    assert [line for line in quoted if line] == told
