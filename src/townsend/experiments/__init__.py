"""Users of the engine: one folder an experiment; nothing outside imports from here but the two doors."""
