"""Predictors: transforms, model and decoding as one module, exported as a folder to serve."""
