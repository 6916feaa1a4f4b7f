"""OpenML's answers as scikit-learn keeps them, from those that its own tests come with."""

import gzip
import json
import shutil
from pathlib import Path
from urllib.parse import urlparse

import sklearn.datasets

ANSWERS = Path(sklearn.datasets.__file__).parent / "tests" / "data" / "openml"


def cache(folder: Path, data_id: int) -> None:
    """Lay the answers about a data set below a folder that is to be a data_home."""
    source, home = ANSWERS / f"id_{data_id}", folder / "openml" / "openml.org"
    api = home / "api" / "v1" / "json" / "data"
    about = json.loads(gzip.decompress((source / f"api-v1-jd-{data_id}.json.gz").read_bytes()))
    described = about["data_set_description"]
    listed = api / "list" / "data_name" / described["name"].lower() / "limit" / "2"
    short = f"api-v1-jdl-dn-{described['name'].lower()}-l-2"
    (data,) = source.glob("data-v1-dl-*.arff.gz")
    places = {
        f"api-v1-jd-{data_id}.json.gz": api / f"{data_id}.gz",
        f"api-v1-jdf-{data_id}.json.gz": api / "features" / f"{data_id}.gz",
        f"api-v1-jdq-{data_id}.json.gz": api / "qualities" / f"{data_id}.gz",
        f"{short}-s-act-.json.gz": listed / "status" / "active" / ".gz",
        f"{short}-dv-1.json.gz": listed / "data_version" / "1.gz",
        data.name: home / f"{urlparse(described['url']).path.lstrip('/')}.gz",
    }
    for name, place in places.items():
        if (source / name).exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, place)
