"""What an option means, in one sentence: from the docstring of its component, or from here.

Here stand those that a docstring does not name, because many components have them or because they
belong to no component. Imports no component.
"""

import inspect
import re
from collections.abc import Callable, Sequence
from typing import Any

_IMAGES = {
    "size": "Images become that many pixels high; without it all have to be of one size.",
    "width": "And that many wide, where they are not to be square.",
    "fit": "How an image of other proportions gets that size.",
    "channels": "Grey or three colours; auto is grey where all images are.",
    "broken": "What to do with files that are no images.",
}
_WINDOWS = {
    "window": "Steps that a forecast sees.",
    "horizon": "Steps that are forecast.",
    "stride": "Steps from the beginning of one window to the next.",
}
_RECURRENT = {
    "width": "Units of each layer and direction.",
    "depth": "Layers, one on the other.",
    "dropout": "The share of each layer's outputs that is dropped in training.",
    "embedding": "Numbers that each word becomes; of no effect on series.",
    "residual": "Forecasts are what is added to the last value that was seen.",
}

# Of one component, else of its kind.
_WORDS: dict[str, dict[str, str]] = {
    "sources": {
        "path": "The file, relative to the study's folder, or to data_root.",
        "data_root": "A folder elsewhere that may be read; paths are then relative to it.",
        "target": "The column to predict.",
        "labels": "In place of target, columns of 0 and 1 that are predicted together.",
        "drop": "Columns that are left out.",
        "numeric": "Columns that are numbers, whatever the file says.",
        "categorical": "Columns that are categories, whatever the file says.",
        "missing": "Cells that mean that there is no value.",
        "delimiter": "The character between two cells.",
        "decimal": "The character before the decimals of a number.",
        "dedupe": "Whether a row that is equal to an earlier one is left out.",
        "user": "The column of users.",
        "item": "The column of items.",
        "season": "Steps after which a naive forecast repeats the past.",
    },
    "sources.glucose": _WINDOWS,
    "sources.csv": {
        "numeric": "Columns that are numbers, though some of their cells are not.",
        "categorical": "Columns that are categories, though all their cells are numbers.",
        "missing": "Cells that mean that there is no value.",
    },
    "sources.images": {**_IMAGES, "path": "The folder, relative to the study's or to data_root."},
    "sources.image_table": {**_IMAGES, "column": "The column of paths."},
    "sources.hugging_face": {
        **_IMAGES,
        "text": "The column of texts that are the inputs.",
        "image": "The column of images that are the inputs.",
        "drop": "Columns that are left out.",
    },
    "sources.text_table": {"column": "The column of texts."},
    "sources.torchvision": {"name": "The data set, as torchvision calls it."},
    "sources.vader": {"snippets": "What the texts are about."},
    "sources.idx": {
        "images": "The file of the images, relative to the study's folder, or to data_root.",
        "labels": "The file of their labels.",
        "test_labels": "The file of the labels of test_images.",
    },
    "sources.series_table": {
        "target": "The column to forecast.",
        "others": "Columns that are seen as well.",
        "every": "Seconds of a step, which is the mean of its rows.",
        **_WINDOWS,
    },
    "sources.npz": {
        "inputs": "The array of the inputs.",
        "targets": "The array of what is to be predicted.",
        "test_targets": "The array of the targets of test_inputs.",
        "groups": "The array that says what group a row is of, which the split keeps together.",
        "times": "The array of each row's time, by which the split can divide.",
        "kind": "What the inputs are; auto goes by their axes.",
    },
    "transforms": {
        "missing": "What a missing number becomes, all of it worked out on the training split.",
        "scale": "How numbers are brought to one scale, by the training split.",
    },
    "transforms.table": {
        "fill_value": "What a missing number becomes where missing is constant.",
        "indicators": "Whether an input of its own says that a number was missing.",
    },
    "tasks": {"loss": "What training minimises."},
    "tasks.classification": {
        "class_weights": "How much a row counts, by its class.",
        "effective_beta": "Of the weights effective: the nearer to 1, the more rare classes count.",
    },
    "tasks.multilabel": {"label_weights": "How much a row counts, by its labels."},
    "tasks.anomaly": {
        "distance": "How the error of a reconstruction is measured.",
        "threshold": "How the error from which on a row is an anomaly is chosen.",
    },
    "models": {
        "width": "Units of each hidden layer.",
        "depth": "Hidden layers.",
        "dropout": "The share of each hidden layer's outputs that is dropped in training.",
        "activation": "The function behind each hidden layer.",
        "norm": "What normalises the outputs of each hidden layer.",
        "initialiser": "How the first weights are drawn; auto goes by the activation.",
        "bidirectional": "Whether a second set of units reads each sequence from its end.",
        "pooling": "What the head sees of the steps.",
        "kernel": "Steps or pixels that a convolution sees at once.",
        "code": "Numbers between the two sides.",
    },
    "models.cnn": {
        "block": "One convolution, or two with a way around them.",
        "pool": "How a block halves height and width.",
        "head": "What the linear head sees: every pixel that is left, or each channel's mean.",
    },
    "models.lstm": _RECURRENT,
    "models.gru": _RECURRENT,
    "models.transformer": {
        "depth": "Encoder blocks.",
        "heads": "Heads of the attention; they have to divide the width.",
        "hidden": "How many times as wide a block is inside.",
        "patch": "Pixels of a side of the squares that an image is cut into.",
    },
    "optimizers": {
        "lr": "The learning rate, which the schedule multiplies; what matters most to search.",
        "weight_decay": "How strongly weights are pulled towards 0.",
        "momentum": "The share of the last step that each step keeps.",
        "nesterov": "Whether the gradient is taken where the momentum leads to.",
        "beta1": "What the mean of gradients keeps at each step.",
        "beta2": "What the mean of squared gradients keeps at each step.",
        "eps": "A number added to what is divided by, against divisions by 0.",
        "amsgrad": "Whether the largest mean of squares so far is used (Reddi et al., 2018).",
    },
    "schedules": {
        "warmup": "The share of all steps in which the rate rises from 0.",
        "num_drops": "How many times the rate drops.",
        "shape": "The form of the way up and of the way down.",
        "min_factor": "The factor below which the rate does not fall.",
    },
    "training.recipe": {
        "batch_size": "Examples of a batch.",
        "accumulate": "Batches of a step, by the mean gradient of all of them.",
        "min_delta": "By how much the objective has to be better to have improved.",
        "restore_best": "Whether the weights of the best epoch are taken at the end.",
        "clip_norm": "The total norm that gradients are clipped to; 0 is not at all.",
        "clip_value": "The size that each number of a gradient is clipped to; 0 is not at all.",
        "unfreeze_after": "Epochs after which all layers learn; 0 is never.",
        "flip": "Whether half of the images are flipped from left to right.",
        "crop": "Up to that share of each side is cut away, and the rest enlarged.",
        "shift": "Images move by up to that share of each side.",
        "rotate": "Images turn by up to so many degrees.",
        "cutout": "A square of that share of each side is blanked out.",
        "noise": "The deviation of what is added to the transformed inputs.",
        "scaling": "The deviation of the factor of each channel of a series.",
        "mixup": "Means of two examples are trained on, with a weight from Beta(mixup, mixup).",
    },
    "samplers": {
        "sequence": "Which sequence.",
        "startup": "Trials at the beginning that are random.",
        "is_deterministic": "Whether equal trials have equal results, so that none is noise.",
    },
    "pruners": {
        "first": "Epochs before a trial may be stopped.",
        "factor": "Of so many trials one goes on.",
    },
    "executors.processes": {
        "workers": "Processes; 0 is one a GPU, or one a core where there is no GPU.",
        "threads": "Threads of each process.",
        "log": "The file to whose end processes write what they print.",
        "warm": "A module that is imported ahead.",
    },
    "exporters": {"opset": "The version of ONNX's operators."},
    "study.(top)": {
        "name": "The study's name, by default the file's; also that of the MLflow experiment.",
        "seed": "From it comes all that is drawn.",
        "description": "A text for MLflow and the report.",
    },
    "study.data": {
        "source": "Where the rows come from; its options stand in a table of its name.",
        "transforms": "What makes inputs of them; by default what goes with the kind of data.",
        "allow_leaky": "Go on though the data would make the result a lie.",
    },
    "study.data.split": {
        "train": "The share of rows that trials are trained on.",
        "valid": "The share of rows that trials are compared on.",
        "test": "The share of rows that the chosen model is measured on, once, at the end.",
        "by": "How rows are divided; by class, every part has the classes in proportion.",
        "column": "The column of groups, or of times.",
    },
    "study.search": {
        "sampler": "What proposes the values of the next trial.",
        "pruner": "What stops trials that fall behind.",
        "trials": "How many trials in all, however often the study is started.",
        "timeout": "When to stop: seconds, or a text such as 10m or 2h.",
        "target": "The objective's value that is good enough, at which the search stops.",
        "patience": "Trials without an improvement after which the search stops.",
        "stall_timeout": "How long a worker may be silent until it is taken for dead.",
        "objective": "The metric that is searched for, by default the task's.",
        "direction": "Whether more is better; by default the metric's own.",
        "objectives": "Two or three metrics or costs in place of objective, for a Pareto front.",
        "constraints": "What a trial has to keep to, such as parameters <= 100_000.",
        "folds": "Divisions of train and valid that each trial is trained on; 0 is one.",
    },
    "study.confirmation": {
        "trials": "How many of the best trials are trained again; 0 is none.",
        "seeds": "On up to so many fresh seeds each; 0 is no confirmation.",
        "resample": "Whether each seed divides train and valid anew.",
    },
}


def meaning(kind: str, name: str, option: str, function: Callable[..., Any]) -> str:
    """What an option means; empty where neither the docstring nor this module says it.

    `name` is the component's, `function` the component itself.
    """
    summary, *rest = (inspect.getdoc(function) or "").split("\n\n")
    return (
        _WORDS.get(f"{kind}.{name}", {}).get(option)
        or _said(option, rest)
        or _WORDS.get(kind, {}).get(option)
        or _said(option, [summary])
    )


def _said(option: str, paragraphs: Sequence[str]) -> str:
    """The first sentence that names the option, in one line."""
    for paragraph in paragraphs:
        for sentence in re.split(r"(?<=[.:])\s+(?=[A-Z`\"])", " ".join(paragraph.split())):
            if re.search(rf"`{option}[` ]", sentence):
                return sentence
    return ""
