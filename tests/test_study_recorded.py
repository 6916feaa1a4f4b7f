"""A study comes back from its records as it was."""

import json
from pathlib import Path

import pytest

from nnsearch.study.fingerprint import fingerprint, to_json
from nnsearch.study.load import load_study
from nnsearch.study.recorded import recorded_study

ROOT = Path(__file__).parent
FILES = [*sorted(ROOT.parent.glob("studies/*.toml")), ROOT / "golden" / "study" / "small.toml"]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_study_comes_back_from_its_record(path: Path) -> None:
    study = load_study(path, allow_code=True)
    record = json.loads(json.dumps({"study": to_json(study), "root": str(study.root)}))
    again = recorded_study(record)
    assert again == study
    assert list(again.ranges()) == list(study.ranges())
    assert fingerprint(again) == fingerprint(study)
