"""Linear models and multi-layer perceptrons. Knows nothing of tasks, losses or training."""

from math import prod

from torch import nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.factorization import refuse_pairs
from nnsearch.models.layers import Activation, Initialiser, Norm, Shape, hidden, initialise
from nnsearch.models.sequence import BagOfWords, Tokens


def linear(inputs: Shape, outputs: int) -> nn.Module:
    """One linear layer on the flattened inputs: [B, *inputs] to [B, outputs].

    With a classification this is logistic regression, with a regression least squares. Of a text's
    tokens the counts are the inputs, which is known as a bag of words.
    """
    if isinstance(inputs, Tokens):
        return BagOfWords(inputs.vocabulary, outputs)
    refuse_pairs(inputs, "linear")
    return nn.Sequential(nn.Flatten(), initialise(nn.Linear(prod(inputs), outputs), "none"))


def mlp(
    inputs: Shape,
    outputs: int,
    *,
    width: Width = 64,
    depth: Depth = 2,
    dropout: Unit = 0.0,
    activation: Activation = "relu",
    norm: Norm = "none",
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """`depth` hidden layers of `width` units, then a linear head: [B, *inputs] to [B, outputs].

    Inputs are flattened, so images will do. `dropout` is the share of each hidden layer's outputs
    that is dropped in training. The hidden layers' first weights are drawn by `initialiser`, which
    "auto" matches to the activation. Raises UsageError for texts, whose tokens are no quantities.
    """
    if isinstance(inputs, Tokens):
        hint = "Use 'linear', a bag of words, or 'gru', 'lstm', 'tcn' or 'transformer'."
        raise UsageError("the model 'mlp' does not read texts.", hint)
    refuse_pairs(inputs, "mlp")
    blocks = hidden(
        [prod(inputs), *[width] * depth],
        activation=activation,
        norm=norm,
        dropout=dropout,
        initialiser=initialiser,
    )
    head = initialise(nn.Linear(width, outputs), "none")
    return nn.Sequential(nn.Flatten(), *blocks, head)
