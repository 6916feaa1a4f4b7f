"""Studies of which a model does not take the data: a case for each kind of inputs."""

from collections.abc import Callable
from pathlib import Path

from bad_data import rows, table
from cases import Case

FIT = "a model that does not take the data"
STUDY = """name = "small"
[data]
source = {source}
[task]
name = "{task}"
[model]
{model}
[optimizer]
name = "adam"
[search]
trials = 2
"""


def _study(source: str, model: str, task: str = "classification") -> Callable[[Path], object]:
    """A study beside a table, a file of ratings and one of texts."""
    text = STUDY.format(source=source, model=model, task=task)

    def write(folder: Path) -> None:
        (folder / "small.toml").write_text(text)
        (folder / "table.csv").write_text(table(rows()))
        pairs = [[f"u{place % 9}", f"i{place % 7}", place % 5 + 1] for place in range(60)]
        (folder / "stars.csv").write_text(table(pairs, "user,item,rating"))
        texts = [[f"word{place % 11} and word{place}", place % 2] for place in range(60)]
        (folder / "texts.csv").write_text(table(texts, "text,y"))

    return write


def _named(name: str) -> str:
    return f'name = "{name}"'


RATINGS = '"ratings"\n[data.ratings]\npath = "stars.csv"'
TEXTS = '"text_table"\n[data.text_table]\npath = "texts.csv"\ncolumn = "text"\ntarget = "y"'
TWO = 'one_of = ["mlp", "lstm"]\n[model.lstm]\nwidth = { int = [4, 8] }'

MISFITS = (
    Case(FIT, "a convolution of a table", _study('"iris"', _named("cnn"))),
    Case(FIT, "a recurrent network of images", _study('"digits"', TWO)),
    Case(FIT, "a factorization of images", _study('"digits"', _named("factorization"))),
    Case(FIT, "a perceptron of ratings", _study(RATINGS, _named("mlp"), "rating")),
    Case(FIT, "a perceptron of texts", _study(TEXTS, _named("mlp"))),
    Case(
        FIT,
        "a --set of a foreign model",
        _study('"iris"', _named("mlp")),
        words=("small.toml", "--set", "model.name=transformer"),
    ),
)
