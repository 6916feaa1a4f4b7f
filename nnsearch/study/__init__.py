"""A study file, read into frozen values and checked before anything trains."""
