"""Hyperparameters -> Keras models: one file a family, stock layers only."""
