"""Optimizers and learning-rate schedules. Know nothing of models, data or epochs."""
