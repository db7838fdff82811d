"""How townsend's drift tube compares with Garfield++, row by row, with verdicts."""
