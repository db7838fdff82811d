"""Many trainings over a space of hyperparameters, in one folder that survives being killed."""
