"""Where work runs. An engine carries work units and knows nothing of what they do."""
