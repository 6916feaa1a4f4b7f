"""Data: sources, splits, checks, transforms and batches."""
