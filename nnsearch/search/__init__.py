"""The Optuna side: asking, pruning, telling, and the study's records. Knows no torch."""
