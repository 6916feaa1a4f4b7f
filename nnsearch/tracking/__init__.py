"""Listeners of events: the one MLflow writer, and live progress."""
