"""The drift-tube chapters of the page that `townsend report` writes."""
