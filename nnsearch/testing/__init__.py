"""What a plugin's author tests with, and we ourselves: contracts, faults, and whole stores.

The checks of conformance call a component as nnsearch would and raise `ConformanceError` where it
breaks its contract:

    from nnsearch.testing import check_model

    def test_my_network_is_a_model() -> None:
        check_model(my_network, (6,), 3, options={"width": 8})

`check_study` trains a trial of a study file with all of its parts: resumed, with other validation
rows, exported, and beside others. `check_integrity` says whether anything was lost of the studies
below a folder, and `nnsearch.testing.faults` holds components that fail when they are told to.
"""

from nnsearch.testing.conformance import ConformanceError
from nnsearch.testing.integrity import check_integrity
from nnsearch.testing.models import check_model
from nnsearch.testing.optimizers import check_optimizer, check_schedule
from nnsearch.testing.sources import check_source, check_transform
from nnsearch.testing.studies import check_study
from nnsearch.testing.tasks import check_task

__all__ = [
    "ConformanceError",
    "check_integrity",
    "check_model",
    "check_optimizer",
    "check_schedule",
    "check_source",
    "check_study",
    "check_task",
    "check_transform",
]
