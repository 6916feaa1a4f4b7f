"""Keras Tuner's Bayesian optimisation, with torch behind Keras, as its guide shows it."""

import os
import sys
import time
from typing import Any

os.environ["KERAS_BACKEND"] = "torch"  # read when keras is imported

import keras  # type: ignore[import-not-found]
import keras_tuner  # type: ignore[import-not-found]
from work import (
    BATCH_SIZE,
    DEPTHS,
    MOST_DROPOUT,
    NUM_CLASSES,
    OPTIMIZERS,
    RATES,
    Task,
    arrays,
    task_from,
    tell,
)


def main() -> None:
    """Search, and find the configurations in the oracle's trials."""
    task = task_from(sys.argv[1:])
    began = time.perf_counter()
    keras.utils.set_random_seed(task.seed)
    x_train, y_train, x_valid, y_valid = arrays(task)
    # Keras wants the channels last.
    x_train, x_valid = (each.transpose(0, 2, 3, 1).copy() for each in (x_train, x_valid))
    tuner = keras_tuner.BayesianOptimization(
        lambda choose: _compiled(task, choose, x_train.shape[1:]),
        objective="val_accuracy",
        max_trials=task.trials,
        seed=task.seed + 1,  # it takes 0 for none and draws one
        directory="keras",
        project_name=task.workload,
    )
    if task.given:
        tuner.oracle.populate_space = lambda number: {
            "status": "RUNNING",
            "values": task.given[int(number)],
        }
    tuner.search(
        x_train,
        y_train,
        validation_data=(x_valid, y_valid),
        epochs=task.epochs,
        batch_size=BATCH_SIZE,
        verbose=0,
    )
    trials = tuner.oracle.trials.values()
    best = max(each.score for each in trials if each.score is not None)
    tell(task, [each.hyperparameters.values for each in trials], best, began)


def _compiled(task: Task, choose: Any, shape: tuple[int, ...]) -> Any:
    name, choices = task.size
    size = choose.Choice(name, list(choices))
    depth = choose.Int("depth", *DEPTHS[task.workload])
    dropout = choose.Float("dropout", 0.0, MOST_DROPOUT)
    rate = choose.Float("lr", *RATES, sampling="log")
    optimizers = {
        "adam": keras.optimizers.Adam,
        "sgd": keras.optimizers.SGD,
        "rmsprop": keras.optimizers.RMSprop,
    }
    optimizer = optimizers[choose.Choice("optimizer", list(OPTIMIZERS))](rate)
    layers = (_mlp if task.workload == "w1" else _cnn)(size, depth, dropout)
    model = keras.Sequential([keras.layers.Input(shape), *layers, keras.layers.Dense(NUM_CLASSES)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=optimizer, loss=loss, metrics=["accuracy"])
    return model


def _mlp(width: int, depth: int, dropout: float) -> list[Any]:
    layers: list[Any] = [keras.layers.Flatten()]
    for _ in range(depth):
        layers += [
            keras.layers.Dense(width, activation="relu"),
            keras.layers.Dropout(dropout),
        ]
    return layers


def _cnn(channels: int, depth: int, dropout: float) -> list[Any]:
    layers: list[Any] = []
    for level in range(depth):
        layers += [
            keras.layers.Conv2D(channels * 2**level, 3, padding="same", activation="relu"),
            keras.layers.MaxPooling2D(2),
        ]
    return [*layers, keras.layers.Flatten(), keras.layers.Dropout(dropout)]


if __name__ == "__main__":
    main()
