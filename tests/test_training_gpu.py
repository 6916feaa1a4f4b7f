"""What only a GPU can show: the numbers of a CPU, bits that come again, memory that ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from company import DOUBLE, MODELS, Materials, assert_equal, together, trials_of
from lessons import ACCURACY, Classroom, classroom

from nnsearch.events import Ending, Finished
from nnsearch.study.folder import JobFolder, read_json, sha256_of
from nnsearch.study.spec import Component, TrialSpec
from nnsearch.training import checkpoint, memory
from nnsearch.training.devices import device_of
from nnsearch.training.fit_many import fit_many
from nnsearch.training.group import make_group
from nnsearch.training.job import recorded, run_job, write_job
from nnsearch.training.material import Material

pytestmark = pytest.mark.gpu

DEVICE = "cuda"
OPTIMIZERS = ("adam", "sgd", "rmsprop", "nadam")
ON_DEVICE = {"training__device": DEVICE, "training__checkpoint_seconds": 0.0}


@pytest.fixture(scope="module", autouse=True)
def exact() -> None:
    assert device_of("auto") == DEVICE


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Classroom:
    return classroom(tmp_path_factory.mktemp("digits"))


class OnDevice(Materials):
    """The same materials, resident on the GPU."""

    def __call__(self, trial: TrialSpec) -> Material:
        """The trial's material."""
        found = super().__call__(trial)
        names = ("train", "train_targets", "valid", "valid_targets")
        moved: dict[str, Any] = {name: getattr(found, name).to(DEVICE) for name in names}
        key = str(trial.task)
        self.made[key] = found if found.train.is_cuda else replace(found, **moved)
        return self.made[key]


@pytest.mark.parametrize("model", MODELS)
def test_together_alone_and_on_a_cpu_the_numbers_are_the_same(
    digits: Classroom, model: str
) -> None:
    changes: list[dict[str, Any]] = [{"optimizer": Component(each)} for each in OPTIMIZERS]
    common = {"model": MODELS[model], "training__epochs": 2}
    if "residual" not in model and model != "linear":
        common["model__dropout"] = 0.3
    trials = trials_of(digits, changes, **common)
    materials = OnDevice(digits, DOUBLE)
    assert_equal(trials, materials)
    here, there = (
        together(trials, each, ACCURACY) for each in (Materials(digits, DOUBLE), materials)
    )
    for number, (events, _) in here.items():
        for one, other in zip(events, there[number][0], strict=True):
            assert one.metrics == pytest.approx(other.metrics, rel=1e-7, abs=1e-9)


@pytest.mark.parametrize("model", ["mlp-batch", "cnn-residual", "cnn-group"])
def test_a_job_that_was_killed_goes_on_bit_for_bit(
    digits: Classroom, tmp_path: Path, model: str
) -> None:
    trials = trials_of(digits, [{}, {"optimizer__lr": 0.02}], model=MODELS[model], **ON_DEVICE)
    job = replace(digits.job(), trials=tuple(trials))
    places = [JobFolder(tmp_path / name) for name in ("whole", "killed")]
    for place in places:
        write_job(place, job)
    run_job(str(places[0].root))

    def save_then_die(path: Path, state: dict[str, object]) -> str:
        real(path, state)
        raise KeyboardInterrupt

    real = checkpoint.save
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkpoint, "save", save_then_die)
        with pytest.raises(KeyboardInterrupt):
            run_job(str(places[1].root))
    run_job(str(places[1].root))
    for trial in trials:
        hashes = {sha256_of(place.trial(trial.number).weights) for place in places}
        assert len(hashes) == 1


@pytest.mark.parametrize("size", [1, 16])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_what_is_foretold_is_what_is_taken(
    digits: Classroom, model: str, optimizer: str, size: int
) -> None:
    wide = {"mlp": {"width": 1024, "dropout": 0.3}, "cnn": {"channels": 32, "dropout": 0.3}}[model]
    common = {"model": Component(model, wide), "optimizer": Component(optimizer)}
    trials = trials_of(digits, [{}] * size, training__epochs=1, **common)
    materials = OnDevice(digits, torch.float32, 10**6)
    need = memory.needed(trials, materials, digits.code)
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    next(fit_many(make_group(trials, materials, digits.code), ACCURACY))
    taken = torch.cuda.max_memory_allocated() - before
    assert taken < need < memory.ASIDE + 2.5 * taken


@pytest.fixture
def little() -> Iterator[None]:
    """This process may have 128 MB more than it has."""
    torch.cuda.empty_cache()
    whole = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (128 << 20)) / whole)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


@pytest.mark.usefixtures("little")
def test_a_group_that_runs_out_of_memory_goes_on_in_halves(
    digits: Classroom, tmp_path: Path
) -> None:
    """What is free is asked of the device, which knows nothing of this limit."""
    model = Component("mlp", {"width": 512, "depth": 3})
    trials = trials_of(digits, [{}] * 16, model=model, **{**ON_DEVICE, "training__epochs": 1})
    place = JobFolder(tmp_path)
    write_job(place, replace(digits.job(), trials=tuple(trials)))
    run_job(str(tmp_path))
    endings = [each for each in recorded(place) if isinstance(each, Ending)]
    assert sorted(each.trial for each in endings) == list(range(16))
    assert all(isinstance(each, Finished) for each in endings)
    assert len(read_json(place.groups)[-1]) < 16
