"""What runs in a worker: a job of one or several trials, as events. Knows no Optuna, no MLflow."""
