"""From a source to arrays on disk that every worker maps. Knows no trial and no model.

    <folder>/<fingerprint>/prepared.json
    <folder>/<fingerprint>/{train,valid,test}/{inputs,targets,rows}.npy
    <folder>/<fingerprint>/{train,valid,test}/groups.npy    where rows belong together

The test split lies in a folder of its own, which nothing but `sealed.open_test` opens.
"""

import errno
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nnsearch.data.anomalies import ANOMALY_LABELS, encode_anomalies, normal_in_train
from nnsearch.data.checks import audit
from nnsearch.data.examples import Array, Examples
from nnsearch.data.findings import LEAKS, Finding, allowed
from nnsearch.data.own_transforms import Chosen, leaky_transforms, named_files
from nnsearch.data.split import PARTS, Part, RowsOf, split, with_split_column
from nnsearch.data.targets import (
    as_numbers,
    encode_classes,
    encode_pairs,
    masks_of_images,
    several_labels,
    with_pictures,
)
from nnsearch.data.texts import divided
from nnsearch.data.watch import opened_files
from nnsearch.errors import DataError, IntegrityError, StoreError
from nnsearch.signature import Signature
from nnsearch.study.folder import PreparedFolder, read_json, sha256_of, write_json
from nnsearch.study.spec import Split, digest

Source = Callable[..., Examples]
Judge = Callable[[Examples], Iterator[Finding]]
TargetKind = Literal["class", "number", "anomaly", "pair", "labels", "mask", "picture", "raw"]
ENCODERS: dict[str, Callable[[Examples], Examples]] = {
    "class": encode_classes,
    "number": as_numbers,
    "pair": encode_pairs,
    "labels": several_labels,
    "mask": masks_of_images,
    "picture": with_pictures,
}


@dataclass(frozen=True, slots=True)
class Prepared:
    """Data that is ready for training, and what was found out about it.

    `fingerprint` is the hash of the arrays, their division and the signature. `folder` is where
    they lie; `Path()` where they were only inspected.
    """

    folder: Path
    fingerprint: str
    signature: Signature
    num_rows: dict[str, int]
    notes: tuple[str, ...] = ()
    findings: tuple[Finding, ...] = ()


def prepare(
    source: Source,
    task_target: TargetKind,
    spec: Split,
    seed: int,
    *,
    root: Path,
    options: Mapping[str, Any],
    folder: Path,
    allow_leaky: bool = False,
    normal: tuple[str, ...] = (),
    transforms: Sequence[Chosen] = (),
) -> Prepared:
    """Load, encode, split and audit the source's examples, and lay them below `folder`.

    `normal` are the classes that a task of anomalies takes for normal; `transforms` those of the
    study, of which the audit judges the user's own.
    Arrays that are there already are checked against their hashes and used. Raises DataError for
    anything wrong with the data (a leak too, without `allow_leaky`), StoreError where the folder
    cannot be written, IntegrityError where arrays there were changed.
    """
    encode = partial(_encoded, kind=task_target, normal=normal)
    load = partial(_read, source, root, options, transforms)
    examples, rows, found = _load(load, encode, spec, seed)
    prepared = _describe(examples, rows, found, allow_leaky=allow_leaky)
    target = folder / prepared.fingerprint
    prepared = replace(prepared, folder=target)
    if target.exists():
        _verify(target)
        return prepared
    try:
        lay_down(target, prepared, examples, rows)
    except OSError as error:
        message = f"cannot write the prepared data to {target}: {error.strerror or error}."
        raise StoreError(message, "Make room or choose another folder.") from error
    return prepared


def inspect(
    source: Source,
    task_target: TargetKind,
    spec: Split,
    seed: int,
    *,
    root: Path,
    options: Mapping[str, Any],
    allow_leaky: bool = False,
    normal: tuple[str, ...] = (),
    transforms: Sequence[Chosen] = (),
) -> Prepared:
    """What `prepare` would return and raise, without writing anything."""
    encode = partial(_encoded, kind=task_target, normal=normal)
    load = partial(_read, source, root, options, transforms)
    examples, rows, found = _load(load, encode, spec, seed)
    return _describe(examples, rows, found, allow_leaky=allow_leaky)


def open_prepared(folder: Path) -> Prepared:
    """What stands in a folder that `prepare` wrote. Raises IntegrityError where it is none."""
    fields = _record(folder)
    return Prepared(
        folder,
        fields["fingerprint"],
        Signature.from_json(fields["signature"]),
        fields["num_rows"],
        tuple(fields["notes"]),
        tuple(Finding(**each) for each in fields["findings"]),
    )


def open_part(folder: Path, part: Literal["train", "valid"]) -> Examples:
    """One split's examples, read-only and mapped from the disk: workers share the memory.

    `groups`, where there are any, are numbers that count from 0 over all three splits. The test
    split is sealed: raises IntegrityError for it, and `sealed.open_test` opens it.
    """
    if part not in {"train", "valid"}:
        raise IntegrityError(f"the {part} split is sealed.", "Only a chosen trial opens it, once.")
    return map_part(folder, part)


def map_part(folder: Path, part: Part) -> Examples:
    """What `open_part` returns, of any split; for test only `sealed.open_test` asks for it."""
    record, files = _record(folder), PreparedFolder(folder)
    arrays = {
        name: np.load(files.array(part, name), mmap_mode="r")
        for name in ("inputs", "targets", "groups")
        if files.name_of(part, name) in record["sha256"]
    }
    signature = Signature.from_json(record["signature"])
    return Examples(arrays["inputs"], arrays["targets"], signature, arrays.get("groups"))


def _read(
    source: Source, root: Path, options: Mapping[str, Any], transforms: Sequence[Chosen]
) -> tuple[Examples, Judge]:
    """The source's examples, and who judges the study's transforms on those of train."""
    if not any(each.is_own for each in transforms):
        return source(root, **options), lambda _: iter(())
    with opened_files() as opened:
        examples = source(root, **options)
    data = {*opened, *named_files(root, options)}
    return examples, partial(leaky_transforms, transforms, root=root, data=data)


def _load(
    read: Callable[[], tuple[Examples, Judge]],
    encode: Callable[[Examples], Examples],
    spec: Split,
    seed: int,
) -> tuple[Examples, RowsOf, list[Finding]]:
    examples, judge = read()
    examples = encode(with_split_column(examples, spec))
    rows = split(examples, spec, seed)
    if examples.groups is not None:
        numbers = np.unique(examples.groups, return_inverse=True)[1].astype(np.int64)
        examples = replace(examples, groups=numbers)
    found = audit(examples, rows)
    if examples.signature.labels == ANOMALY_LABELS:
        examples, rows = normal_in_train(examples, rows)
    if examples.signature.kind == "text":
        examples = divided(examples, rows["train"])
    return examples, rows, [*found, *judge(examples.take(rows["train"]))]


def _encoded(examples: Examples, kind: TargetKind, normal: tuple[str, ...]) -> Examples:
    if kind == "anomaly":
        return encode_anomalies(examples, normal)
    return ENCODERS[kind](examples) if kind in ENCODERS else examples


def _describe(
    examples: Examples, rows: RowsOf, found: list[Finding], *, allow_leaky: bool
) -> Prepared:
    if allow_leaky:
        found = [allowed(each) if each.code in LEAKS else each for each in found]
    errors = [each.as_problem() for each in found if each.level == "error"]
    if errors:
        raise DataError(errors)
    return Prepared(
        Path(),
        _fingerprint(examples, rows),
        examples.signature,
        {part: len(rows[part]) for part in PARTS},
        examples.notes,
        tuple(found),
    )


def _fingerprint(examples: Examples, rows: RowsOf) -> str:
    hashes: dict[str, str] = {
        "inputs": _hash(examples.inputs),
        "targets": _hash(_storable(examples.targets)),
        **{part: _hash(rows[part].astype(np.int64)) for part in PARTS},
    }
    if examples.groups is not None:
        hashes["groups"] = _hash(examples.groups)
    return digest({"signature": examples.signature.to_json(), **hashes})


def _hash(array: Array) -> str:
    whole = np.ascontiguousarray(array)
    head = f"{whole.dtype.str}{whole.shape}".encode()
    return hashlib.sha256(head + hashlib.sha256(whole.reshape(-1).data).digest()).hexdigest()


def _storable(targets: Array) -> Array:
    """Text as fixed-width text: an array of objects could only be stored as a pickle."""
    return targets.astype(str) if targets.dtype.kind == "O" else targets


def lay_down(target: Path, prepared: Prepared, examples: Examples, rows: RowsOf) -> None:
    """Write the parts in `rows` and what they are into a folder `target`, whole or not at all."""
    target.parent.mkdir(parents=True, exist_ok=True)
    for stale in target.parent.glob(".*.tmp"):
        shutil.rmtree(stale)  # of a run that was killed; the study's lock keeps others out
    temporary = Path(tempfile.mkdtemp(dir=target.parent, prefix=f".{target.name}.", suffix=".tmp"))
    try:
        temporary.chmod(0o755)
        files, hashes = PreparedFolder(temporary), {}
        for part in rows:
            own = examples.take(rows[part])
            arrays = {"inputs": own.inputs, "targets": _storable(own.targets), "rows": rows[part]}
            if own.groups is not None:
                arrays["groups"] = own.groups
            (temporary / part).mkdir()
            for name, array in arrays.items():
                path = files.array(part, name)
                with path.open("wb") as file:
                    np.save(file, array, allow_pickle=False)
                    file.flush()
                    os.fsync(file.fileno())
                hashes[files.name_of(part, name)] = sha256_of(path)
        fields = {key: value for key, value in asdict(prepared).items() if key != "folder"}
        write_json(files.record, {**fields, "sha256": hashes})
        temporary.rename(target)
    except OSError as error:
        # Somebody else was faster: equal fingerprints are equal arrays.
        if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
            raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _verify(folder: Path) -> None:
    for name, sha256 in _record(folder)["sha256"].items():
        path = folder / name
        if not path.is_file() or sha256_of(path) != sha256:
            raise IntegrityError(
                f"{path} is not what was prepared.", f"Delete {folder} and run again."
            )


def _record(folder: Path) -> Any:
    fields = read_json(PreparedFolder(folder).record)
    if fields is None:
        raise IntegrityError(
            f"{folder} holds no prepared data.", "Run the study again to prepare it."
        )
    return fields
