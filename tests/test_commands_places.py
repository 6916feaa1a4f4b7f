"""Where the study that a person names is looked for."""

from pathlib import Path

import pytest

from nnsearch.commands.places import find_study_file
from nnsearch.errors import UsageError


def test_a_name_is_looked_for_in_studies_and_then_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="nor one of that name in studies/"):
        find_study_file("data")
    Path("data.toml").write_text("")
    assert find_study_file("data") == Path("data.toml")
    Path("studies").mkdir()
    Path("studies/data.toml").write_text("")
    assert find_study_file("data") == Path("studies/data.toml")
