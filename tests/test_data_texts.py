"""Texts: their sources, tokens that know the training split only, and the way back from CSV."""

import io
import json
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nnsearch.commands.check import as_text, check
from nnsearch.data.examples import Examples, row_keys
from nnsearch.data.prepare import inspect, open_part, prepare
from nnsearch.data.text_file import text_table, vader
from nnsearch.data.texts import FEWEST, PATTERN, UNKNOWN, divided, text
from nnsearch.errors import DataError, StudyError
from nnsearch.exporting import standalone_files, standalone_rows
from nnsearch.exporting.folder import write_sample
from nnsearch.signature import Column, Signature
from nnsearch.study.spec import Split

TEXTS = ["Good, good film!", "bad film", "don't see it", "good plot", "unseen words here"]


def examples(texts: list[str] | None = None) -> Examples:
    given_texts = TEXTS if texts is None else texts
    signature = Signature("text", (), "str", "mood", (Column("review", "text"),))
    inputs = np.array(given_texts, dtype=object)
    return Examples(inputs, np.arange(len(inputs)) % 2, signature)


def write_csv(folder: Path, count: int = 40) -> Path:
    moods = ["good" if row % 2 else "bad" for row in range(count)]
    frame = pd.DataFrame(
        {
            "review": [f"a {mood} film, number {row}" for row, mood in enumerate(moods)],
            "mood": moods,
            "who": [f"w{row // 4}" for row in range(count)],
        }
    )
    frame.to_csv(folder / "reviews.csv", index=False)
    frame.to_parquet(folder / "reviews.parquet")
    return folder


def test_words_are_numbered_by_their_frequency_in_train() -> None:
    found = divided(examples(), np.array([0, 1, 3]))
    assert found.signature.words == ("good", "film")
    assert found.signature.shape == (5,)
    good, film = 2, 3
    assert found.inputs.dtype == np.int32
    assert found.inputs[0].tolist() == [good, UNKNOWN, good, film, UNKNOWN]
    assert found.inputs[4].tolist() == [UNKNOWN] * 3 + [0, 0]


def test_what_stands_outside_train_changes_nothing() -> None:
    ours = divided(examples(), np.array([0, 1]))
    other = [*TEXTS[:2], "film film film", "zebra zebra", "a much longer text than any of train's"]
    theirs = divided(examples(other), np.array([0, 1]))
    assert ours.signature == theirs.signature
    assert np.array_equal(ours.inputs[:2], theirs.inputs[:2])
    assert any("1 texts are cut" in note for note in theirs.notes)


def test_a_word_that_train_has_once_is_unknown() -> None:
    found = divided(examples(["one two two", "three"]), np.array([0]))
    assert FEWEST == 2
    assert found.signature.words == ("two",)
    with pytest.raises(DataError, match="no word stands twice"):
        divided(examples(["one", "two"]), np.array([0, 1]))


def test_the_transform_cuts_words_and_texts() -> None:
    train = divided(examples(), np.array([0, 1, 3]))
    module = text(train, vocabulary=1, length=3)
    assert getattr(module, "vocabulary") == 3  # noqa: B009 - what the training asks for
    cut = module(torch.from_numpy(np.array(train.inputs)))
    assert cut.dtype == torch.int32
    assert cut[0].tolist() == [2, 1, 2]
    wide = text(train, vocabulary=100, length=100)
    assert torch.equal(wide(torch.from_numpy(train.inputs)), torch.from_numpy(train.inputs))


def test_csv_and_parquet_give_the_same_texts(tmp_path: Path) -> None:
    write_csv(tmp_path)
    found = [
        text_table(tmp_path, path=f"reviews.{ending}", column="review", target="mood", group="who")
        for ending in ("csv", "parquet")
    ]
    for each in found:
        assert each.inputs[3] == "a good film, number 3"
        assert each.targets[:2].tolist() == ["bad", "good"]
        assert each.groups is not None
        assert each.groups[:5].tolist() == ["w0"] * 4 + ["w1"]
        assert each.signature.columns == (Column("review", "text"),)
    no_group = text_table(tmp_path, path="reviews.csv", column="review", target="mood")
    assert no_group.groups is None
    assert no_group.notes == ("columns beside the text are ignored: who",)


def test_problems_of_a_text_table_name_their_line(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("review,mood\ngood one,1\n,0\nbad,1\n")
    with pytest.raises(DataError, match=r"t\.csv:3.*text 'review' is missing in 1 rows"):
        text_table(tmp_path, path="t.csv", column="review", target="mood")
    with pytest.raises(DataError, match="Did you mean 'review'"):
        text_table(tmp_path, path="t.csv", column="reviews", target="mood")


def test_numbers_in_the_column_of_texts_stay_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("review,mood\n007,a\n1.50,b\n")
    found = text_table(tmp_path, path="t.csv", column="review", target="mood")
    assert found.inputs.tolist() == ["007", "1.50"]


def test_rows_of_one_text_have_one_key() -> None:
    keys = row_keys(np.array(["a b", "a b", "a b ", ""], dtype=object), np.array([1, 1, 1, 1]))
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


def archive(folder: Path, lines: list[str]) -> None:
    """What the source distribution of vaderSentiment looks like, as far as it is read."""

    def packed(name: str, content: bytes) -> bytes:
        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w:gz") as made:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            made.addfile(member, io.BytesIO(content))
        return buffer.getvalue()

    text_name = "hutto_ICWSM_2014/amazonReviewSnippets_GroundTruth.txt"
    inner = packed(text_name, "\n".join(lines).encode())
    outer = packed("v-1/additional_resources/hutto_ICWSM_2014.tar.gz", inner)
    (folder / "vaderSentiment-3.3.2.tar.gz").write_bytes(outer)


def test_vader_is_read_out_of_its_archive(tmp_path: Path) -> None:
    archive(tmp_path, ["1_1\t-0.9\tno picture", "1_2\t0\tneither", "2_1\t2.5\tgreat\tstuff"])
    found = vader(tmp_path, snippets="products")
    assert found.inputs.tolist() == ["no picture", "great\tstuff"]
    assert found.targets.tolist() == ["negative", "positive"]
    assert found.groups is not None
    assert found.groups.tolist() == ["1", "2"]
    assert vader(tmp_path, snippets="products", margin=1.0).num_rows == 1
    with pytest.raises(DataError, match="not the source distribution"):
        vader(tmp_path, snippets="movies")


def test_vader_says_how_it_is_fetched(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"pip download --no-deps .* vaderSentiment==3\.3\.2"):
        vader(tmp_path)


def test_prepared_texts_are_tokens_of_train_words(tmp_path: Path) -> None:
    write_csv(tmp_path)
    options = {"path": "reviews.csv", "column": "review", "target": "mood"}
    done = prepare(
        text_table, "class", Split(), 0, root=tmp_path, options=options, folder=tmp_path / "d"
    )
    assert "good" in done.signature.words
    assert not any(word.isdigit() for word in done.signature.words)
    train = open_part(done.folder, "train")
    assert train.inputs.shape == (done.num_rows["train"], *done.signature.shape)
    assert Signature.from_json(json.loads(json.dumps(done.signature.to_json()))) == done.signature
    again = inspect(text_table, "class", Split(), 0, root=tmp_path, options=options)
    assert again.fingerprint == done.fingerprint


def test_copies_of_a_text_are_found_before_words_become_unknown(tmp_path: Path) -> None:
    rows = [f"word{row} film,{'ab'[row % 2]}" for row in range(40)]
    (tmp_path / "t.csv").write_text("\n".join(["text,mood", *rows]))
    options = {"path": "t.csv", "column": "text", "target": "mood"}
    found = inspect(text_table, "class", Split(), 0, root=tmp_path, options=options)
    assert found.findings == ()


@given(st.lists(st.text(max_size=40), min_size=1, max_size=5))
def test_an_export_divides_texts_as_the_training_did(texts: list[str]) -> None:
    common = examples([*texts, "good good film film don't don't"])
    train = np.arange(len(texts) + 1)
    wanted = divided(common, train)
    manifest = {"signature": wanted.signature.to_json()}
    rows = [{"review": each} for each in common.inputs.tolist()]
    found = standalone_rows.encode(manifest, rows)
    assert found.dtype == wanted.inputs.dtype
    assert np.array_equal(found, wanted.inputs)


def test_a_sample_has_the_tokens_of_the_rows_it_was_made_of(tmp_path: Path) -> None:
    found = divided(examples(), np.array([0, 1, 3]))
    path = write_sample(found.inputs, found.signature, tmp_path)
    manifest = {"signature": found.signature.to_json()}
    assert np.array_equal(standalone_files.read_inputs(path, manifest), found.inputs)


def test_the_pattern_keeps_apostrophes_and_signs() -> None:
    said = "It's Kurosawa's best; no - a 10/10!"
    assert re.findall(PATTERN, said.lower()) == [
        *("it's", "kurosawa's", "best", ";", "no", "-", "a", "10", "/", "10", "!"),
    ]


STUDY = """
name = "moods"
[data.text_table]
path = "reviews.csv"
column = "review"
target = "mood"
[data.text]
vocabulary = { choice = [8, 100] }
[task]
name = "classification"
[model]
one_of = ["gru", "linear"]
[model.gru]
width = 8
embedding = 8
[optimizer]
name = "adam"
lr = 0.02
[training]
epochs = 6
batch_size = 8
[search]
sampler = "random"
trials = 3
"""


def test_a_study_of_texts_runs_to_a_script_that_reads_texts(tmp_path: Path) -> None:
    write_csv(tmp_path, 120)
    (tmp_path / "moods.toml").write_text(STUDY)
    run = [sys.executable, "-m", "nnsearch", "run", "moods.toml", "--mlruns", "m", "--json"]
    done = subprocess.run(run, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr
    conclusion = json.loads(done.stdout)["conclusion"]
    assert conclusion["tested"]["metrics"]["accuracy"] == 1.0
    (tmp_path / "new.csv").write_text('review\n"What a good, good film"\nbad\n')
    script = [sys.executable, str(Path(conclusion["export"]) / "predict.py"), "new.csv"]
    said = subprocess.run(script, capture_output=True, text=True, timeout=60, check=True)
    assert [line.split(",")[0] for line in said.stdout.splitlines()] == ["label", "good", "bad"]


def test_checking_a_study_says_what_its_texts_are(tmp_path: Path) -> None:
    write_csv(tmp_path)
    (tmp_path / "moods.toml").write_text(STUDY)
    said = as_text(check(tmp_path / "moods.toml"))
    assert re.search(r"texts of up to 6 tokens, \d+ words known, target 'mood' of 2 classes", said)
    (tmp_path / "moods.toml").write_text(STUDY.replace('"gru", "linear"', '"gru", "mlp"'))
    with pytest.raises(StudyError, match="'mlp' does not read texts"):
        check(tmp_path / "moods.toml")
