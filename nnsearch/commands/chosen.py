"""Which trial of a study is its winner, as its records say. Chooses none."""

from nnsearch.events import Confirmed, Finished
from nnsearch.search.ledger import Ledger
from nnsearch.study.folder import StudyFolder, read_json
from nnsearch.study.spec import Objective


def confirmed_of(folder: StudyFolder) -> Confirmed | None:
    """How the study's winner was chosen, if it was."""
    fields = read_json(folder.confirmed)
    return None if fields is None else Confirmed.from_json(fields)


def chosen_of(folder: StudyFolder, ledger: Ledger, objective: Objective) -> Finished | None:
    """The study's winner: the confirmed one and, where there is none yet, the search's best."""
    confirmed = confirmed_of(folder)
    ending = None if confirmed is None else ledger.endings.get(confirmed.trial)
    return ending if isinstance(ending, Finished) else ledger.best(objective)
