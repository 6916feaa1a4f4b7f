"""Networks as plain functions from shapes to nn.Module. Know nothing of data or training."""
