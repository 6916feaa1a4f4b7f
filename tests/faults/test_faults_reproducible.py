"""The same study again, and with another number of workers: the same table, hashes included.

That a study which was killed and resumed has the same table is what every other test here shows.
"""

from pathlib import Path

import pytest
from adapters import OURS, complete
from rig import FORMS, assert_nothing_lost, base, make_home

__all__ = ["base"]  # a fixture
pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
HOW = {"twice": (), "one worker": ("--workers", "1"), "two workers": ("--workers", "2")}


@pytest.mark.parametrize(
    ("form", "how"),
    [
        pytest.param(
            form,
            how,
            id=f"{form}-{how}",
            marks=[] if (form, how) == ("alone", "one worker") else pytest.mark.slow,
        )
        for form in FORMS
        for how in HOW
    ],
)
def test_the_same_study_has_the_same_table(
    form: str, how: str, own_folder: Path, base: Path
) -> None:
    home = make_home(own_folder, base, training=FORMS[form])
    complete(OURS, home, *HOW[how])
    assert_nothing_lost(home, base, form=form)
