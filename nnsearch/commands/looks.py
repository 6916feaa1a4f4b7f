"""Whether the two records of looks at the test split agree. Opens no data, changes nothing.

A look is recorded twice: as a read, before the first row is opened, and with what it showed once it
is over. So each look has a read, and a read of which no look came is one that was killed half-way.
"""

from collections.abc import Iterator
from datetime import UTC, datetime

from nnsearch.commands.result import tested_from_json
from nnsearch.data.sealed import Read, reads
from nnsearch.events import Tested
from nnsearch.study.folder import StudyFolder, read_json


def look_problems(folder: StudyFolder) -> Iterator[str]:
    """Looks of which no read is recorded, or that were recorded twice; clocks may have jumped."""
    looks, begun = _looks(folder), {each.trial for each in reads(folder.test_reads)}
    for number, look in enumerate(looks):
        if look.trial not in begun:
            yield f"{folder.test_reads} has no read for the look at test by trial {look.trial}"
        if look.trial in {each.trial for each in looks[:number]}:
            yield f"{folder.looks} has two looks at test by trial {look.trial}"


def broken_off(folder: StudyFolder) -> Iterator[str]:
    """Reads without a look, in words: no harm, but whoever counts looks should know of them."""
    looked, last = {each.trial for each in _looks(folder)}, dict[int, Read]()
    for read in reads(folder.test_reads):
        last[read.trial] = read
    for trial, read in last.items():
        if trial not in looked:
            at = datetime.fromtimestamp(read.at, UTC).isoformat(timespec="seconds")
            yield f"trial {trial} began to look at test ({at}), and was killed half-way"


def _looks(folder: StudyFolder) -> list[Tested]:
    return [tested_from_json(each) for each in read_json(folder.looks) or []]
