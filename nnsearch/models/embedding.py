"""Multi-layer perceptrons that learn a vector for each category of a table's columns.

Know no task and no training, and of a table only which features are the categories of a column.

Shape suffixes: B rows, F features, E numbers behind the embeddings.
"""

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor, nn

from nnsearch.components import Depth, Unit, Width
from nnsearch.errors import UsageError
from nnsearch.models.layers import Activation, Initialiser, Norm, Shape, hidden, initialise


class Features(tuple[int, ...]):  # noqa: SLOT001 - a tuple can have no slots of its own
    """The shape of a table's features, (F,), which says where the categories of its columns are.

    `places` has the places of the features of each categorical column, of which one at the most is
    1 in each row and the others are 0.
    """

    places: tuple[tuple[int, ...], ...]

    def __new__(cls, num_features: int, places: Sequence[Sequence[int]]) -> Self:
        """The shape of so many features."""
        made = super().__new__(cls, (num_features,))
        made.places = tuple(tuple(each) for each in places)
        return made


class Embeddings(nn.Module):
    """Features [B, F] with the categories of each column as a vector, [B, E]."""

    others: Tensor

    def __init__(self, inputs: Features, width: int) -> None:
        super().__init__()
        taken = {place for each in inputs.places for place in each}
        others = [place for place in range(inputs[0]) if place not in taken]
        self.register_buffer("others", torch.tensor(others, dtype=torch.int64), persistent=False)
        for number, places in enumerate(inputs.places):
            own = torch.tensor(places, dtype=torch.int64)
            self.register_buffer(f"places_{number}", own, persistent=False)
        # Of ones and zeros a layer without bias picks the row of a table.
        tables = [
            nn.Linear(len(places), min(width, len(places)), bias=False) for places in inputs.places
        ]
        for table in tables:
            nn.init.normal_(table.weight, std=table.out_features**-0.5)
        self.tables = nn.ModuleList(tables)
        self.has_others = bool(others)
        self.num_features = len(others) + sum(each.out_features for each in tables)

    def forward(self, x_BF: Tensor) -> Tensor:
        """The numbers as they are, then a vector for each categorical column."""
        vectors = [
            table(x_BF.index_select(1, self.get_buffer(f"places_{number}")))
            for number, table in enumerate(self.tables)
        ]
        kept = [x_BF.index_select(1, self.others)] if self.has_others else []
        return torch.cat([*kept, *vectors], dim=1)


def embedding_mlp(
    inputs: Shape,
    outputs: int,
    *,
    embedding: Width = 8,
    width: Width = 64,
    depth: Depth = 2,
    dropout: Unit = 0.0,
    activation: Activation = "relu",
    norm: Norm = "none",
    initialiser: Initialiser = "auto",
) -> nn.Module:
    """The model mlp behind a vector for each category of a column: [B, F] to [B, outputs].

    The vectors have `embedding` numbers, or as many as the column has categories where those are
    fewer, and are learned with the rest (Guo and Berkhahn, Entity Embeddings of Categorical
    Variables, 2016). Those that the transform lumps together share one; its `max_categories` says
    how many are told apart. A table without categories goes to the mlp as it is. The other
    options are the mlp's. Raises UsageError where the inputs are no table.
    """
    if len(inputs) != 1:
        hint = "Use 'mlp' or 'linear'."
        raise UsageError("the model 'embedding_mlp' wants the columns of a table.", hint)
    first: list[nn.Module] = []
    num_features = inputs[0]
    if isinstance(inputs, Features) and inputs.places:
        embeddings = Embeddings(inputs, embedding)
        first, num_features = [embeddings], embeddings.num_features
    blocks = hidden(
        [num_features, *[width] * depth],
        activation=activation,
        norm=norm,
        dropout=dropout,
        initialiser=initialiser,
    )
    head = initialise(nn.Linear(width, outputs), "none")
    return nn.Sequential(*first, *blocks, head)
