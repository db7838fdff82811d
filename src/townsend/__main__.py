"""`python -m townsend`: the same as the command `townsend`."""

from __future__ import annotations

from townsend.cli import main

if __name__ == "__main__":
    main()
