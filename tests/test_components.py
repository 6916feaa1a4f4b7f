"""The one extension rule: names, files of the user's, and signatures as schemas."""

from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from annotated_types import Ge

from nnsearch import components
from nnsearch.components import Count, NonNegative, Option, Positive, Share, Unit
from nnsearch.errors import UsageError

PARTS = "def model(inputs, outputs, *, width: int = 3): return width\nnumber = 3\n"


def example(
    inputs: object, *, width: Count, rate: Unit = 0.5, kinds: tuple[str, ...] = ()
) -> object: ...


def test_keyword_only_parameters_are_the_options_in_their_order() -> None:
    options = components.options(example)
    assert list(options) == ["width", "rate", "kinds"]
    assert [option.is_required for option in options.values()] == [True, False, False]
    assert options["rate"].default == 0.5


@pytest.mark.parametrize(
    ("annotation", "value", "is_right"),
    [
        (Count, 1, True),
        (Count, 0, False),
        (Count, True, False),
        (Count, 1.0, False),
        (Count, "1", False),
        (float, 1, True),
        (float, "1", False),
        (Unit, 0, True),
        (Unit, 1.0, False),
        (Share, 1.0, True),
        (Positive, 0.0, False),
        (NonNegative, 0.0, True),
        (bool, 1, False),
        (int | None, 3, True),
        (Literal["a", "b"], "a", True),
        (Literal["a", "b"], "c", False),
        (tuple[int, ...], [1, 2], True),
        (tuple[int, ...], (1, "2"), False),
    ],
)
def test_a_value_is_right_or_there_is_a_complaint(
    annotation: Any, value: object, is_right: bool
) -> None:
    assert (Option("x", annotation, 0).complaint(value) == "") is is_right


def test_a_complaint_is_a_phrase() -> None:
    assert Option("x", Annotated[int, Ge(1)], 0).complaint(0) == (
        "must be greater than or equal to 1"
    )


def test_an_array_becomes_the_tuple_that_is_annotated() -> None:
    assert Option("x", tuple[int, ...], ()).parse([1, 2]) == (1, 2)
    assert repr(Option("x", float, 0.0).parse(1)) == "1.0"


def test_a_function_of_a_file_beside_the_study() -> None:
    Path("parts.py").write_text(PARTS, encoding="utf-8")
    function = components.load("models", "parts.py:model", root=Path(), allow_code=True)
    assert function(None, None, width=5) == 5


@pytest.mark.parametrize(
    ("name", "allow_code", "said"),
    [
        ("parts.py:model", False, "'parts.py:model' is code of your own. Add --allow-code"),
        ("../parts.py:model", True, "lies outside the study's folder"),
        ("link.py:model", True, "lies outside the study's folder"),
        ("none.py:model", True, "there is no file"),
        ("parts.py:none", True, "defines no function 'none'"),
        ("parts.py:number", True, "defines no function 'number'"),
        ("mpl", False, "unknown model 'mpl'. Did you mean 'mlp'?"),
        ("resnet-of-1000-layers", False, "There is: constant, linear, mlp,"),
    ],
)
def test_what_cannot_be_loaded(own_folder: Path, name: str, allow_code: bool, said: str) -> None:
    inside = own_folder / "studies"
    inside.mkdir()
    (inside / "parts.py").write_text(PARTS, encoding="utf-8")
    (own_folder / "parts.py").write_text(PARTS, encoding="utf-8")
    (inside / "link.py").symlink_to(own_folder / "parts.py")
    with pytest.raises(UsageError) as caught:
        components.load("models", name, root=inside, allow_code=allow_code)
    assert said in str(caught.value)


BUILTINS = [(kind, name) for kind, functions in components.BUILTINS.items() for name in functions]


@pytest.mark.parametrize(("kind", "name"), BUILTINS)
def test_every_builtin_has_options_whose_defaults_fit(kind: str, name: str) -> None:
    for option in components.options(components.load(kind, name)).values():
        if not option.is_required:
            assert option.complaint(option.default) == ""
