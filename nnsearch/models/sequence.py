"""What models of sequences share: how steps are read, and how they become one vector.

Knows no recurrence, no convolution and no attention between steps.

Shape suffixes: B examples, C channels, T steps, F features, H height, W width. A mask [B, T] is 1
where a step is real and 0 behind the end; every sequence has one real step at least.
"""

from math import sqrt
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from nnsearch.errors import UsageError
from nnsearch.models.dropout import Dropout
from nnsearch.models.factorization import refuse_pairs
from nnsearch.models.layers import Shape, initialise

Pooling = Literal["last", "mean", "max", "attention"]

SERIES_AXES = 2


class Tokens(NamedTuple):
    """The shape of a text: `length` numbers of tokens from 0 to `vocabulary` - 1; 0 is none."""

    length: int
    vocabulary: int


class Sequence(NamedTuple):
    """Features `x` [B, T, F] of steps, and the `mask` [B, T] of those that are real."""

    x: Tensor
    mask: Tensor


class ReadSeries(nn.Module):
    """Series [B, C, T], whose last channel is the mask, step by step."""

    def forward(self, x_BCT: Tensor) -> Sequence:
        """Features [B, T, C - 1] and the mask."""
        return Sequence(x_BCT[:, :-1].transpose(1, 2), _with_first(x_BCT[:, -1]))


class ReadTokens(nn.Module):
    """Tokens [B, T], each as its embedding; that of token 0 is 0 and stays so.

    In training a share `rate` of the embeddings' values is dropped.
    """

    def __init__(self, vocabulary: int, width: int, rate: float = 0.0) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, width, padding_idx=0)
        nn.init.normal_(self.embedding.weight, std=1 / sqrt(width))
        with torch.no_grad():
            self.embedding.weight[0] = 0.0
        self.dropout = Dropout(rate)

    def forward(self, x_BT: Tensor) -> Sequence:
        """Features [B, T, width] and the mask."""
        return Sequence(self.dropout(self.embedding(x_BT)), _with_first((x_BT != 0).float()))


class Pool(nn.Module):
    """Steps [B, T, F] as one vector [B, F]: the last real one, their mean or maximum, or a mean.

    The weights of that last mean, "attention", are a softmax of learned scores of the steps.
    """

    def __init__(self, pooling: Pooling, width: int) -> None:
        super().__init__()
        self.pooling = pooling
        # Drawn small, it begins as the plain mean.
        self.score = nn.Linear(width, 1, bias=False) if pooling == "attention" else None
        if self.score is not None:
            nn.init.normal_(self.score.weight, std=0.1 / sqrt(width))

    def forward(self, steps: Sequence) -> Tensor:
        """[B, F]."""
        x_BTF, mask_BT = steps
        mask_BT1 = mask_BT.unsqueeze(-1)
        if self.score is not None:
            scores_BT1 = self.score(x_BTF).masked_fill(mask_BT1 == 0, -torch.inf)
            return (x_BTF * torch.softmax(scores_BT1, 1)).sum(1)
        match self.pooling:
            case "mean":
                return (x_BTF * mask_BT1).sum(1) / mask_BT1.sum(1)
            case "max":
                return x_BTF.masked_fill(mask_BT1 == 0, -torch.inf).amax(1)
            case _:
                last_B11 = (lengths(mask_BT) - 1).view(-1, 1, 1).expand(-1, 1, x_BTF.shape[2])
                return x_BTF.gather(1, last_B11).squeeze(1)


class SequenceModel(nn.Module):
    """A network of sequences: reader, body, pool, dropout, head.

    With `is_residual` the last real value of the first channel is added to every output.
    """

    def __init__(
        self, parts: tuple[nn.Module, nn.Module, Pool], head: nn.Module, *, is_residual: bool
    ) -> None:
        super().__init__()
        self.reader, self.body, self.pool = parts
        self.head = head
        self.is_residual = is_residual

    def forward(self, x: Tensor) -> Tensor:
        """Series [B, C, T] or tokens [B, T] to [B, outputs]."""
        steps: Sequence = self.reader(x)
        body_BTF = self.body(steps)
        outputs: Tensor = self.head(self.pool(Sequence(body_BTF, steps.mask)))
        if not self.is_residual:
            return outputs
        last_B1 = (lengths(steps.mask) - 1).unsqueeze(1)
        return outputs + steps.x[:, :, 0].gather(1, last_B1)


class Read(NamedTuple):
    """What reads inputs step by step: so many `features` a step, and so many `steps`."""

    reader: nn.Module
    features: int
    steps: int


def read_steps(inputs: Shape, embedding: int, model: str, *, dropout: float) -> Read:
    """The reader of series or tokens; raises UsageError, in the name of `model`, for others."""
    if isinstance(inputs, Tokens):
        reader = ReadTokens(inputs.vocabulary, embedding, dropout)
        return Read(reader, embedding, inputs.length)
    refuse_pairs(inputs, model)
    if len(inputs) == SERIES_AXES:
        return Read(ReadSeries(), inputs[0] - 1, inputs[1])
    raise UsageError(
        f"the model '{model}' needs series or texts, not inputs of shape {inputs}.",
        "Use 'mlp' or 'linear', or 'cnn' for images.",
    )


def headed(
    reader: nn.Module,
    body: tuple[nn.Module, int],
    outputs: int,
    *,
    pooling: Pooling,
    dropout: float,
    residual: bool = False,
) -> nn.Module:
    """The whole network around a body that gives so many features a step."""
    layer, width = body
    if residual and not isinstance(reader, ReadSeries):
        raise UsageError("residual = true adds a series' last value.", "Leave it out.")
    head = nn.Sequential(Dropout(dropout), initialise(nn.Linear(width, outputs), "none"))
    return SequenceModel((reader, layer, Pool(pooling, width)), head, is_residual=residual)


class BagOfWords(nn.Module):
    """A weight for each word and output, summed over a text: [B, T] tokens to [B, outputs].

    With a classification this is logistic regression on the counts of words.
    """

    def __init__(self, vocabulary: int, outputs: int) -> None:
        super().__init__()
        self.weights = nn.Embedding(vocabulary, outputs, padding_idx=0)
        self.bias = nn.Parameter(torch.zeros(outputs))
        nn.init.zeros_(self.weights.weight)

    def forward(self, x_BT: Tensor) -> Tensor:
        """[B, outputs]."""
        summed: Tensor = self.weights(x_BT).sum(1) + self.bias
        return summed


def lengths(mask_BT: Tensor) -> Tensor:
    """The number of steps [B] up to the last real one."""
    places_T = torch.arange(1, mask_BT.shape[1] + 1, device=mask_BT.device)
    return ((mask_BT > 0) * places_T).amax(1)


def _with_first(mask_BT: Tensor) -> Tensor:
    """The mask with its first step real, for an empty sequence has no mean and no last step."""
    return torch.cat([torch.ones_like(mask_BT[:, :1]), mask_BT[:, 1:]], 1)
