"""One ONNX file of a predictor, and whether it says what torch says."""

import logging
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from nnsearch import components
from nnsearch.errors import IntegrityError, UsageError
from nnsearch.exporting.onnx import require
from nnsearch.exporting.parity import parity, torch_predictions
from nnsearch.exporting.predictor import Predictor

export = components.load("exporters", "onnx")


class Half(nn.Module):
    """Raw bytes to numbers."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.to(torch.float32) / 2


class Branch(nn.Module):
    """What no graph can express: the program looks at the values."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x if float(x.sum()) > 0 else -x


class FixedBatch(nn.Module):
    """A model that has learned its batch size by heart."""

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x.reshape(2, 4)


def predictor(middle: nn.Module | None = None) -> Predictor:
    torch.manual_seed(3)
    model = nn.Sequential(nn.Linear(4, 5), nn.BatchNorm1d(5), nn.Dropout(0.5), nn.Linear(5, 2))
    return Predictor(Half(), model if middle is None else middle, nn.Softmax(dim=1))


def rows(count: int) -> np.ndarray:
    return np.random.default_rng(4).integers(0, 256, (count, 4), dtype=np.uint8)


def test_a_predictor_is_in_evaluation_mode() -> None:
    made = predictor()
    assert not any(module.training for module in made.modules())
    x = torch.from_numpy(rows(3))
    assert torch.equal(made(x), torch.softmax(made.model(x.float() / 2), dim=1))


def test_one_file_with_a_free_batch_axis(tmp_path: Path) -> None:
    path = export(predictor(), rows(2), tmp_path)
    assert [path] == list(tmp_path.iterdir())
    assert path.name == "model.onnx"
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    (inputs,), (outputs,) = model.graph.input, model.graph.output
    assert (inputs.name, outputs.name) == ("inputs", "predictions")
    assert inputs.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    for value, width in ((inputs, 4), (outputs, 2)):
        batch, second = value.type.tensor_type.shape.dim
        assert batch.dim_param
        assert second.dim_value == width
    assert parity(predictor(), path, rows(256)) <= 1e-5


@pytest.mark.parametrize("opset", [18, 23])
def test_the_opset_is_the_one_asked_for(tmp_path: Path, opset: int) -> None:
    path = export(predictor(), rows(2), tmp_path, opset=opset)
    assert onnx.load(path).opset_import[0].version == opset
    assert parity(predictor(), path, rows(256)) <= 1e-5


def test_the_options_have_ends() -> None:
    option = components.options(export)["opset"]
    assert option.default == 20
    assert option.complaint(17)
    assert option.complaint(24)
    assert not option.complaint(18)


def test_equal_weights_give_equal_bytes_without_a_path_of_this_machine(tmp_path: Path) -> None:
    contents = []
    for name in ("a", "b"):
        folder = tmp_path / name
        contents.append(export(predictor(), rows(2), folder).read_bytes())
    assert contents[0] == contents[1]
    assert str(Path(__file__).parent).encode() not in contents[0]
    assert b"forward" not in contents[0]


def test_nothing_is_said_and_nothing_stays_changed(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    made = predictor().train()
    before = {name: value.clone() for name, value in made.state_dict().items()}
    level = logging.getLogger("torch.onnx").level
    warnings.simplefilter("always")
    export(made, rows(2), tmp_path)
    assert capfd.readouterr() == ("", "")
    assert list(recwarn) == []
    assert made.training
    assert logging.getLogger("torch.onnx").level == level
    after = made.state_dict()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_an_ordinary_model_goes_the_quick_way(tmp_path: Path) -> None:
    program = (
        "import sys; from test_exporting_onnx import export, predictor, rows; from pathlib import "
        "Path; export(predictor(), rows(2), Path(sys.argv[1])); print('onnxscript' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "False\n"


def test_a_model_that_cannot_be_traced_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be exported to ONNX"):
        export(predictor(Branch()), rows(2), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_a_fixed_batch_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be exported to ONNX"):
        export(predictor(FixedBatch()), rows(2), tmp_path)


def test_an_example_has_two_rows(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two rows"):
        export(predictor(), rows(1), tmp_path)


def test_a_missing_package_is_named_with_what_to_type() -> None:
    with pytest.raises(UsageError, match=r"no_such_one is not.*pip install 'nnsearch\[export\]'"):
        require("onnx", "no_such_one")
    with pytest.raises(UsageError, match="no_such_one and nor_this are not"):
        require("no_such_one", "nor_this")


class Shifted(nn.Module):
    """A decoding that adds to the second number."""

    def __init__(self, shift: float) -> None:
        super().__init__()
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:  # noqa: D102
        return x + torch.tensor([0.0, self.shift])


def number_predictor(shift: float, scale: float = 1.0) -> Predictor:
    model = nn.Linear(4, 2)
    with torch.no_grad():
        model.weight.fill_(scale / 512)
        model.bias.fill_(scale)
    return Predictor(Half(), model, Shifted(shift))


@pytest.mark.parametrize(
    ("shift", "scale", "is_equal"),
    [(5e-6, 1.0, True), (1e-4, 1.0, False), (5e-3, 1e3, True), (1e-1, 1e3, False)],
)
def test_the_tolerance_is_relative_to_large_predictions(
    tmp_path: Path, *, shift: float, scale: float, is_equal: bool
) -> None:
    path = export(number_predictor(0.0, scale), rows(2), tmp_path)
    if is_equal:
        assert parity(number_predictor(shift, scale), path, rows(256)) == pytest.approx(
            shift, rel=0.3
        )
        return
    with pytest.raises(IntegrityError, match="in 256 of 256 rows"):
        parity(number_predictor(shift, scale), path, rows(256))


def test_a_prediction_near_zero_is_measured_by_its_columns_scale(tmp_path: Path) -> None:
    given = rows(64)
    model = number_predictor(0.0, 1e3)
    wanted = torch_predictions(model, given)
    centre = float(np.median(wanted))
    path = export(number_predictor(-centre, 1e3), given[:2], tmp_path)
    assert parity(number_predictor(-centre + 1e-4, 1e3), path, given) <= 2e-4


@pytest.mark.parametrize("shift", [float("nan"), float("inf"), -float("inf")])
def test_not_finite_is_a_difference_unless_both_say_it(tmp_path: Path, shift: float) -> None:
    path = export(number_predictor(0.0), rows(2), tmp_path)
    with pytest.raises(IntegrityError, match="inf in 256 of 256"):
        parity(number_predictor(shift), path, rows(256))
    broken = export(number_predictor(shift), rows(2), tmp_path)
    assert parity(number_predictor(shift), broken, rows(256)) <= 1e-5


def test_another_number_of_outputs_is_a_difference(tmp_path: Path) -> None:
    path = export(predictor(), rows(2), tmp_path)
    with pytest.raises(IntegrityError, match="shape"):
        parity(predictor(nn.Linear(4, 3)), path, rows(4))
