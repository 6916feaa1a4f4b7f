"""What the target means: encoding, losses, decoding, metrics. Know no model and no training."""
