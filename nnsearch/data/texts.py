"""Texts: their tokens, and the transform that cuts them. Knows no file, no model and no task.

A text is divided in two steps. When the data are prepared, the words of the training split get
numbers, the most frequent first, and every text becomes the numbers of its tokens. The transform
then decides, for each trial anew, how many words and how much of each text the model gets to see:
both are comparisons of numbers, and lie in the exported graph.
"""

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from nnsearch.components import Count
from nnsearch.data.examples import Examples
from nnsearch.errors import DataError, Problem

# Words with their apostrophes, and every other sign by itself.
PATTERN = r"\w+(?:['\u2019]\w+)*|[^\w\s]"
NONE, UNKNOWN = 0, 1
NUM_SPECIAL = 2
# A word that train has once is unknown, so that a model learns what an unknown word is like.
FEWEST = 2
MOST_WORDS = 50_000
MOST_TOKENS = 512


def divided(examples: Examples, train: npt.NDArray[np.int64]) -> Examples:
    """The examples with texts as the numbers of their tokens, int32 [N, T].

    The words that have a number, and T, the length of the longest text, are those of the rows
    `train`; longer texts are cut. Raises DataError where train has no word twice.
    """
    found = [re.findall(PATTERN, str(text).lower()) for text in examples.inputs.tolist()]
    counts = Counter(word for row in train.tolist() for word in found[row])
    ranked = sorted(counts, key=lambda word: (-counts[word], word))[:MOST_WORDS]
    words = tuple(word for word in ranked if counts[word] >= FEWEST)
    if not words:
        hint = "Is it the right column?"
        raise DataError([Problem("E371", "no word stands twice in train's texts.", hint=hint)])
    longest = max(len(found[row]) for row in train.tolist())
    numbers = {word: number for number, word in enumerate(words, start=NUM_SPECIAL)}
    inputs = np.full((len(found), min(longest, MOST_TOKENS)), NONE, np.int32)
    for row, tokens in zip(inputs, found, strict=True):
        kept = tokens[: len(row)]
        row[: len(kept)] = [numbers.get(word, UNKNOWN) for word in kept]
    signature = replace(
        examples.signature, shape=inputs.shape[1:], dtype="int32", words=words, pattern=PATTERN
    )
    note = f"{len(words):,} words stand in train {FEWEST} times or more: the others are unknown"
    num_cut = sum(len(tokens) > inputs.shape[1] for tokens in found)
    cut = (f"{num_cut} texts are cut after {inputs.shape[1]} tokens",) if num_cut else ()
    return replace(
        examples, inputs=inputs, signature=signature, notes=(*examples.notes, note, *cut)
    )


def text(train: Examples, *, vocabulary: Count = 20_000, length: Count = 64) -> nn.Module:
    """Tokens int32 [B, T] to the first `length` of each text, int32.

    The `vocabulary` most frequent words of train keep their numbers; every other is the same
    unknown word. Raises DataError where the examples are no texts.
    """
    if train.signature.kind != "text":
        hint = f"Use the transform {train.signature.kind}."
        raise DataError([Problem("E371", "the transform text wants texts.", hint=hint)])
    num_words = min(vocabulary, len(train.signature.words))
    return TextTransform(num_words + NUM_SPECIAL, min(length, train.signature.shape[0]))


class TextTransform(nn.Module):
    """The first tokens of a text, those from `vocabulary` on as the unknown word.

    `vocabulary` is how many numbers there are, which a model has to know.
    """

    def __init__(self, vocabulary: int, length: int) -> None:
        super().__init__()
        self.vocabulary = vocabulary
        self.length = length

    def forward(self, x_BT: Tensor) -> Tensor:
        """Int32 [B, length]."""
        kept_BT = x_BT[:, : self.length]
        return torch.where(kept_BT < self.vocabulary, kept_BT, UNKNOWN)
