"""Models of sequences: shapes, lengths that are kept, gradients, first weights, exports."""

from collections.abc import Callable
from itertools import product
from math import sqrt
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nnsearch import components
from nnsearch.errors import UsageError
from nnsearch.exporting.onnx import onnx
from nnsearch.exporting.parity import parity
from nnsearch.exporting.predictor import Predictor
from nnsearch.models.mlp import linear, mlp
from nnsearch.models.recurrent import Layers, gru, lstm, reversed_places, rnn
from nnsearch.models.sequence import Pooling, Sequence, SequenceModel, Tokens
from nnsearch.models.temporal import tcn
from nnsearch.models.transformer import ReadPatches, transformer

FAMILIES: dict[str, Callable[..., nn.Module]] = {
    "rnn": rnn,
    "lstm": lstm,
    "gru": gru,
    "tcn": tcn,
    "transformer": transformer,
}
SERIES, TEXT = (4, 11), Tokens(9, 30)
SMALL: dict[str, Any] = {"width": 8, "depth": 2}


def series(count: int = 6, *, seed: int = 0) -> Tensor:
    """Three channels and a mask; the lengths go from 1 to 11 steps."""
    x_BCT = torch.randn(count, *SERIES, generator=torch.Generator().manual_seed(seed))
    lengths_B1 = torch.linspace(1, 11, count).round().unsqueeze(1)
    mask_BT = (torch.arange(11) < lengths_B1).float()
    return torch.cat([x_BCT[:, :-1] * mask_BT[:, None], mask_BT[:, None]], 1)


def texts(count: int = 6) -> Tensor:
    tokens_BT = torch.randint(1, 30, (count, 9), generator=torch.Generator().manual_seed(1))
    lengths_B1 = torch.linspace(0, 9, count).round().unsqueeze(1)
    return torch.where(torch.arange(9) < lengths_B1, tokens_BT, 0).int()


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_every_family_reads_series_and_texts(name: str, pooling: Pooling) -> None:
    make = FAMILIES[name]
    for inputs, examples in ((SERIES, series()), (TEXT, texts())):
        model = make(inputs, 5, pooling=pooling, **SMALL)
        outputs = model(examples)
        assert outputs.shape == (6, 5)
        assert bool(torch.isfinite(outputs).all())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("pooling", get_args(Pooling))
def test_what_stands_behind_the_end_changes_nothing(name: str, pooling: Pooling) -> None:
    more = {"bidirectional": True} if name in {"rnn", "lstm", "gru"} else {}
    model = FAMILIES[name](SERIES, 3, pooling=pooling, **SMALL, **more).eval()
    clean = series()
    mask_B1T = clean[:, -1:]
    dirty = torch.cat([clean[:, :-1] + 5 * (1 - mask_B1T), mask_B1T], 1)
    assert not torch.equal(clean, dirty)
    assert torch.allclose(model(clean), model(dirty), atol=1e-6)


@pytest.mark.parametrize("name", FAMILIES)
def test_an_empty_text_has_a_finite_answer(name: str) -> None:
    model = FAMILIES[name](TEXT, 2, pooling="attention", **SMALL)
    nothing = torch.zeros(2, 9, dtype=torch.int32)
    assert bool(torch.isfinite(model(nothing)).all())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("inputs", [SERIES, TEXT])
def test_gradients_reach_every_parameter(name: str, inputs: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    more = {"bidirectional": True} if name in {"rnn", "lstm", "gru"} else {}
    model = FAMILIES[name](inputs, 3, pooling="attention", dropout=0.1, **SMALL, **more).double()
    examples = texts(24) if isinstance(inputs, Tokens) else series(24).double()
    model(examples).square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().max()) > 1e-12, key


@pytest.mark.parametrize("kind", [nn.RNN, nn.LSTM, nn.GRU])
def test_layers_say_what_packed_sequences_say(kind: type[nn.RNN | nn.LSTM | nn.GRU]) -> None:
    torch.manual_seed(0)
    theirs = kind(3, 5, num_layers=2, bidirectional=True, batch_first=True)
    layers: list[list[nn.RNN | nn.LSTM | nn.GRU]] = [[], []]
    for layer, (direction, suffix) in product(range(2), enumerate(("", "_reverse"))):
        own = kind(3 if layer == 0 else 10, 5, batch_first=True)
        state = theirs.state_dict()
        own.load_state_dict(
            {
                f"{part}_l0": state[f"{part}_l{layer}{suffix}"]
                for part in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            }
        )
        layers[direction].append(own)
    x_BCT = series()
    x_BTF, mask_BT = x_BCT[:, :-1].transpose(1, 2), x_BCT[:, -1]
    counts = mask_BT.sum(1).long()
    packed = pack_padded_sequence(x_BTF, counts, batch_first=True, enforce_sorted=False)
    wanted, _ = pad_packed_sequence(theirs(packed)[0], batch_first=True, total_length=11)
    found = Layers(layers[0], layers[1], 0.0)(Sequence(x_BTF, mask_BT))
    assert torch.allclose(found * mask_BT[..., None], wanted, atol=1e-6)


def test_the_last_step_of_the_backward_units_is_the_first_of_the_series() -> None:
    model = gru(SERIES, 2, width=4, bidirectional=True, pooling="last").eval()
    examples = series()
    changed = examples.clone()
    changed[:, 0, 0] += 1.0  # the first step reaches the backward units last
    assert isinstance(model, SequenceModel)
    vectors = [
        model.body(model.reader(each))[torch.arange(6), each[:, -1].sum(1).long() - 1, 4:]
        for each in (examples, changed)
    ]
    assert bool(((vectors[0] - vectors[1]).abs().amax(1) > 1e-4).all())


def test_reversing_twice_is_nothing() -> None:
    mask_BT = series()[:, -1]
    places = reversed_places(mask_BT)
    assert torch.equal(places.gather(1, places), torch.arange(11).expand(6, -1))


def test_no_convolution_sees_what_is_to_come() -> None:
    model = tcn(SERIES, 2, width=6, depth=3, norm="layer").eval()
    examples = series(6)
    examples[:, -1] = 1.0
    later = examples.clone()
    later[:, :-1, 7:] += 3.0
    assert isinstance(model, SequenceModel)
    steps = [model.body(model.reader(each)) for each in (examples, later)]
    assert torch.allclose(steps[0][:, :7], steps[1][:, :7], atol=1e-6)
    assert not torch.allclose(steps[0][:, 7:], steps[1][:, 7:], atol=1e-2)


def test_patches_are_the_squares_of_an_image_row_by_row() -> None:
    image = torch.arange(2 * 4 * 6).float().view(1, 2, 4, 6)
    steps = ReadPatches(2)(image)
    assert steps.x.shape == (1, 6, 8)
    assert steps.x[0, 1].tolist() == image[0, :, 0:2, 2:4].flatten().tolist()
    assert steps.x[0, 3].tolist() == image[0, :, 2:4, 0:2].flatten().tolist()


def test_attention_is_torchs_own() -> None:
    torch.manual_seed(0)
    model = transformer(SERIES, 3, width=8, heads=2, depth=1)
    between = model.get_submodule("body.blocks.0.between")
    theirs = nn.MultiheadAttention(8, 2, batch_first=True)
    parts = tuple(between.get_parameter(f"{each}.weight") for each in ("ask", "key", "value"))
    with torch.no_grad():
        theirs.in_proj_weight.copy_(torch.cat(parts))
        theirs.in_proj_bias.zero_()
        theirs.out_proj.load_state_dict(between.get_submodule("leave").state_dict())
    x_BTF, mask_BT = torch.randn(6, 11, 8), series()[:, -1]
    wanted, _ = theirs(x_BTF, x_BTF, x_BTF, key_padding_mask=mask_BT == 0)
    assert torch.allclose(between(Sequence(x_BTF, mask_BT)), wanted, atol=1e-5)


def drawn(model: nn.Module) -> dict[str, Tensor]:
    """The weights of a model's first recurrent layer, by their names."""
    layer = next(each for each in model.modules() if isinstance(each, nn.RNNBase))
    return {name: each.detach() for name, each in layer.named_parameters()}


def test_first_weights_suit_their_gates() -> None:
    torch.manual_seed(0)
    weights = drawn(lstm(SERIES, 2, width=16))
    for gate in weights["weight_hh_l0"].chunk(4):
        assert torch.allclose(gate @ gate.T, torch.eye(16), atol=1e-5)
    assert float(weights["weight_ih_l0"].abs().max()) <= sqrt(6 / (3 + 16))
    biases = (weights["bias_ih_l0"] + weights["bias_hh_l0"]).chunk(4)
    assert [float(each.mean()) for each in biases] == [0.0, 1.0, 0.0, 0.0]
    deviation = float(drawn(rnn(SERIES, 2, width=64, activation="relu"))["weight_ih_l0"].std())
    assert deviation == pytest.approx(sqrt(2 * 2 / (3 + 64)), rel=0.15)


def test_with_residual_an_untrained_head_says_the_last_value() -> None:
    for make in FAMILIES.values():
        model = make(SERIES, 2, residual=True, **SMALL)
        head = next(each for each in reversed(list(model.modules())) if isinstance(each, nn.Linear))
        nn.init.zeros_(head.weight)
        examples = series()
        last = examples[torch.arange(6), 0, examples[:, -1].sum(1).long() - 1]
        assert torch.allclose(model(examples), last[:, None].expand(-1, 2))
        with pytest.raises(UsageError, match="residual"):
            make(TEXT, 2, residual=True, **SMALL)


def test_a_bag_of_words_counts_them() -> None:
    model = linear(TEXT, 2)
    weights = model.get_parameter("weights.weight")
    with torch.no_grad():
        weights[5], weights[7] = torch.tensor([1.0, 0.0]), torch.tensor([0.5, 2.0])
    tokens = torch.tensor([[5, 7, 5, 0, 0, 0, 0, 0, 0], [7, 3, 0, 0, 0, 0, 0, 0, 0]])
    assert model(tokens).tolist() == [[2.5, 2.0], [0.5, 2.0]]
    with pytest.raises(UsageError, match="does not read texts"):
        mlp(TEXT, 2)


@pytest.mark.parametrize("name", FAMILIES)
def test_what_is_no_sequence_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match=f"model '{name}' needs series or texts"):
        FAMILIES[name]((30,), 2)


def test_a_transformer_says_which_sizes_it_takes() -> None:
    with pytest.raises(UsageError, match="multiple of heads"):
        transformer(SERIES, 2, width=10, heads=4)
    with pytest.raises(UsageError, match="divisor of both sides"):
        transformer((1, 8, 9), 2, patch=4)


def test_a_state_dict_carries_the_whole_model() -> None:
    for make in FAMILIES.values():
        old, new = (make(SERIES, 3, **SMALL).eval() for _ in range(2))
        assert not torch.equal(old(series()), new(series()))
        new.load_state_dict(old.state_dict())
        assert torch.equal(old(series()), new(series()))


def test_every_family_is_built_without_memory() -> None:
    with torch.device("meta"):
        for name in FAMILIES:
            make = components.load("models", name)
            assert all(each.is_meta for each in make(TEXT, 2, **SMALL).parameters())


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("kind", ["series", "text"])
def test_an_export_says_what_torch_says(name: str, kind: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    more = {"bidirectional": True} if name in {"lstm", "gru"} else {}
    inputs, examples = (SERIES, series(8)) if kind == "series" else (TEXT, texts(8))
    model = FAMILIES[name](inputs, 3, pooling="attention", **SMALL, **more)
    predictor = Predictor(nn.Identity(), model, nn.Softmax(-1))
    rows = np.asarray(examples)
    assert parity(predictor, onnx(predictor, rows[:4], tmp_path), rows) <= 1e-5


def test_a_transformer_of_patches_is_exported(tmp_path: Path) -> None:
    model = transformer((1, 8, 8), 3, width=8, heads=2, depth=1, patch=4)
    predictor = Predictor(nn.Identity(), model, nn.Softmax(-1))
    rows = np.random.default_rng(0).normal(size=(7, 1, 8, 8)).astype(np.float32)
    assert parity(predictor, onnx(predictor, rows[:3], tmp_path), rows) <= 1e-5
