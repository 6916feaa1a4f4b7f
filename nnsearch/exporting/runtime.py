"""Exported predictors for Python callers. Knows no torch, no study and no server."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nnsearch.errors import DataError, IntegrityError, Problem, UsageError
from nnsearch.exporting import standalone, standalone_files, standalone_rows
from nnsearch.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

Cell = str | float | None


@dataclass(frozen=True, slots=True)
class RuntimePredictor:
    """An export, opened and verified; its methods may be called from several threads."""

    folder: Path
    signature: Signature
    manifest: Mapping[str, Any]
    session: Any = field(repr=False)

    def predict(self, inputs: np.ndarray) -> np.ndarray:
        """Predictions [N, P] of raw inputs [N, *shape], float32.

        P is the number of classes (probabilities), or 1. Raises DataError where the inputs do not
        fit the signature or a prediction is not finite.
        """
        with _own_errors():
            return standalone.predict(
                self.session, standalone_rows.as_inputs(inputs, self.manifest["signature"])
            )

    def predict_table(
        self, rows: "Sequence[Mapping[str, Cell]] | pd.DataFrame"
    ) -> list[dict[str, Any]]:
        """Each row's `{label, probabilities}`, `{label, score}`, or `{prediction}` for a number.

        A row holds cells by column name; None, NaN and empty text are missing, unseen categories
        are as good as missing, other columns are ignored. Raises DataError where a column is absent
        or a cell is no number, UsageError where the model does not take tables.
        """
        if not self.signature.columns:
            raise UsageError(f"{self.folder} takes images, not tables.", "Call predict(inputs).")
        records = rows if isinstance(rows, Sequence) else _records(rows)
        with _own_errors():
            inputs = standalone_rows.encode(self.manifest, records)
            predictions = standalone.predict(self.session, inputs)
        return standalone.describe(predictions, self.manifest)

    def predict_file(
        self,
        path: Path,
        *,
        delimiter: str | None = None,
        warn: Callable[[str], None] = standalone_rows.silent,
    ) -> np.ndarray:
        """Predictions [N, P] of a file as `predict.py` reads it: CSV, .npy, .npz or an image.

        A folder means the images in it, in the order of their names. Without a `delimiter` it is
        the one of the study's own table. `warn` is told of categories that the model does not know.
        """
        if not path.exists() or not (path.is_file() or path.is_dir()):
            hint = "Name a CSV, .npy or .npz file, an image or a folder of images."
            raise UsageError(f"there is no file {path}.", hint)
        with _own_errors():
            if files := standalone_files.image_files(path):
                inputs = standalone_files.read_images(files, self.manifest)
            else:
                inputs = standalone_files.read_inputs(
                    path, self.manifest, delimiter or "", warn=warn
                )
            return standalone.predict(self.session, inputs)


def load_predictor(folder: Path) -> RuntimePredictor:
    """Open the export in `folder` after checking each of its files against the manifest.

    Raises UsageError where the folder is no export or onnxruntime is not installed, IntegrityError
    where a file is missing or its sha256 is not the manifest's.
    """
    with _own_errors():
        manifest = standalone.read_manifest(folder)
        contents = {
            name: standalone.read_verified(folder, manifest, name) for name in manifest["files"]
        }
        session = standalone.open_session(contents[standalone.MODEL])
    return RuntimePredictor(folder, Signature.from_json(manifest["signature"]), manifest, session)


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    """The rows of a data frame, its several kinds of missing cells all as None."""
    return [
        {str(name): cell for name, cell in row.items()}
        for row in frame.astype(object).where(frame.notna(), None).to_dict("records")
    ]


@contextmanager
def _own_errors() -> Iterator[None]:
    """What the standalone code raises, as nnsearch's errors."""
    try:
        yield
    except standalone.NoExportError as error:
        raise UsageError(str(error), "Exports are made by: nnsearch export STUDY") from error
    except standalone.DamagedError as error:
        raise IntegrityError(str(error)) from error
    except standalone_rows.PredictError as error:
        raise DataError([Problem("E340", line) for line in str(error).splitlines()]) from error
