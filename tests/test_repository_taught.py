"""What a good guide to neural networks teaches, name by name, and where a study file says it.

The right side is `kind component`, `kind component.option` or `kind component.option = value`, as
`nnsearch components` lists it; of a metric `tasks component: metric`.
"""

import re

import pytest

from nnsearch.commands.catalogue import ComponentFacts, catalogue

TAUGHT = """
MLP                            models mlp
CNN                            models cnn
residual CNN                   models cnn.block = residual
RNN                            models rnn
LSTM                           models lstm
GRU                            models gru
bidirectional RNN              models rnn.bidirectional
bidirectional LSTM             models lstm.bidirectional
bidirectional GRU              models gru.bidirectional
attention pooling              models lstm.pooling = attention
Transformer encoder            models transformer
Transformer of patches         models transformer.patch
temporal convolution           models tcn
dense autoencoder              models autoencoder
convolutional autoencoder      models conv_autoencoder
denoising autoencoder          models autoencoder.noise
variational autoencoder        models autoencoder.kl
variational, which draws       models vae
GAN                            models gan
conditional GAN                tasks generation.conditional
matrix factorization           models factorization
neural collaborative filtering models neural_factorization
U-Net                          models unet
linear model                   models linear
ReLU                           models mlp.activation = relu
leaky ReLU                     models mlp.activation = leaky_relu
ELU                            models mlp.activation = elu
GELU                           models mlp.activation = gelu
SiLU                           models mlp.activation = silu
sigmoid                        models mlp.activation = sigmoid
tanh                           models mlp.activation = tanh
He                             models mlp.initialiser = he_normal
Xavier                         models mlp.initialiser = xavier_uniform
orthogonal                     models mlp.initialiser = orthogonal
matched to the activation      models mlp.initialiser = auto
batch norm                     models cnn.norm = batch
layer norm                     models cnn.norm = layer
group norm                     models cnn.norm = group
dropout                        models mlp.dropout
start from weights             training recipe.start
new head                       training recipe.new_head
freeze                         training recipe.freeze
unfreeze after n epochs        training recipe.unfreeze_after
learning rate by depth         training recipe.rate_by_depth
classification                 tasks classification
multi-label                    tasks multilabel
regression                     tasks regression
MSE                            tasks regression.loss = squared
MAE as loss                    tasks regression.loss = absolute
Huber                          tasks regression.loss = huber
quantile                       tasks regression.loss = quantile
forecasting                    tasks forecasting
windows                        sources series_table.window
horizon                        sources series_table.horizon
backtest by time               study data.split.by = time
anomaly detection              tasks anomaly
threshold on validation        tasks anomaly.threshold = best_f1
implicit recommendation        tasks ranking
explicit recommendation        tasks rating
generation                     tasks generation
segmentation                   tasks segmentation
accuracy                       tasks classification: accuracy
balanced accuracy              tasks classification: balanced_accuracy
top-k                          tasks classification: top_5_accuracy
precision, macro               tasks classification: precision_macro
recall, macro                  tasks classification: recall_macro
F1, macro                      tasks classification: f1_macro
F1, weighted                   tasks classification: f1_weighted
F1, micro                      tasks multilabel: f1_micro
precision, micro               tasks multilabel: precision_micro
recall, micro                  tasks multilabel: recall_micro
ROC-AUC                        tasks classification: roc_auc
PR-AUC                         tasks classification: pr_auc
log loss                       tasks classification: log_loss
Brier                          tasks classification: brier
calibration error              tasks classification: ece
MCC                            tasks classification: mcc
MAE                            tasks regression: mae
RMSE                           tasks regression: rmse
R2                             tasks regression: r2
MAPE                           tasks regression: mape
pinball                        tasks regression: pinball
recall@k                       tasks ranking: recall_at_k
NDCG@k                         tasks ranking: ndcg_at_k
RMSE of ratings                tasks rating: rmse
IoU                            tasks segmentation: iou
Dice                           tasks segmentation: dice
Frechet distance               tasks generation: frechet
of pictures and their class    tasks generation: joint_frechet
against the seasonal naive     tasks forecasting: skill_seasonal
image folders                  sources images
CSV of paths                   sources image_table
text CSV or Parquet            sources text_table
tokenizer                      transforms text.vocabulary
long series                    sources long_table
wide series                    sources series_table
ratings                        sources ratings
NumPy archives                 sources npz
OpenML                         sources openml
Hugging Face                   sources hugging_face
torchvision                    sources torchvision
MNIST                          sources torchvision.name = MNIST
Fashion-MNIST                  sources torchvision.name = FashionMNIST
CIFAR-10                       sources torchvision.name = CIFAR10
CIFAR-100                      sources torchvision.name = CIFAR100
SVHN                           sources torchvision.name = SVHN
STL-10                         sources torchvision.name = STL10
tables                         sources csv
missing by the mean            transforms table.missing = mean
missing by the median          transforms table.missing = median
missing by the most frequent   transforms table.missing = most_frequent
missing, indicator             transforms table.indicators
outliers clipped by quantile   transforms table.clip
robust scaling                 transforms table.scale = robust
standard scaling               transforms table.scale = standard
min-max scaling                transforms table.scale = minmax
categorical encoding           transforms table.max_categories
embeddings of categories       models embedding_mlp.embedding
class weights                  tasks classification.class_weights = balanced
resampling, over               tasks classification.resample = over
resampling, under              tasks classification.resample = under
focal loss                     tasks classification.focal_gamma
flip                           training recipe.flip
crop                           training recipe.crop
shift                          training recipe.shift
rotate                         training recipe.rotate
noise, and jitter of series    training recipe.noise
cutout                         training recipe.cutout
mixup                          training recipe.mixup
scaling of series              training recipe.scaling
SGD                            optimizers sgd
momentum                       optimizers sgd.momentum
Nesterov                       optimizers sgd.nesterov
RMSprop                        optimizers rmsprop
Adagrad                        optimizers adagrad
Adadelta                       optimizers adadelta
Adam                           optimizers adam
AdamW                          optimizers adamw
Adamax                         optimizers adamax
NAdam                          optimizers nadam
RAdam                          optimizers radam
Muon                           optimizers muon
step                           schedules step
exponential                    schedules exponential
cosine                         schedules cosine
warm restarts                  schedules cosine_restarts
one-cycle                      schedules one_cycle
plateau                        schedules plateau
warm-up                        schedules cosine.warmup
L1                             training recipe.l1
L2                             optimizers adam.weight_decay
decoupled weight decay         optimizers adamw.weight_decay
early stopping                 training recipe.patience
clipping by norm               training recipe.clip_norm
clipping by value              training recipe.clip_value
gradient accumulation          training recipe.accumulate
label smoothing                tasks classification.label_smoothing
EMA                            training recipe.average = ema
SWA                            training recipe.average = swa
k-fold cross-validation        study search.folds
"""
ROWS = [
    re.split(r"\s{2,}|(?<=filtering) ", line, maxsplit=1) for line in TAUGHT.split("\n") if line
]


@pytest.fixture(scope="module")
def listed() -> dict[tuple[str, str], ComponentFacts]:
    return {(each.kind, each.name): each for each in catalogue()}


@pytest.mark.parametrize(("name", "place"), ROWS, ids=[name for name, _ in ROWS])
def test_what_is_taught_is_listed(
    name: str, place: str, listed: dict[tuple[str, str], ComponentFacts]
) -> None:
    del name
    kind, _, rest = place.partition(" ")
    rest, _, metric = rest.partition(": ")
    rest, _, value = rest.partition(" = ")
    component, _, option = (rest, "", "") if (kind, rest) in listed else rest.rpartition(".")
    facts = listed[kind, component]
    assert not facts.problem
    assert not metric or metric in facts.metrics
    if option:
        (found,) = (each for each in facts.options if each.name == option)
        assert not value or value in found.type.split(" | ")
