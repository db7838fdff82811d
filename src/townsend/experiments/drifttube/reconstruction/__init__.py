"""Both networks and their calibration as one folder, made by `townsend assemble`, applied by `townsend reconstruct`."""
