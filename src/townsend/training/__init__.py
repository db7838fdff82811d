"""Training of the fits of a bracket, and the records it leaves."""
