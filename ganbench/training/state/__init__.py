"""The state of networks, losses and optimizers, wherever a plugin keeps it."""
