"""Opens an engine, lets it do work units and prints its messages: what tests start as the user of a batch system.

Run: python drive.py < JSON with the keys site (null: this machine), run, units
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from townsend.config import parse
from townsend.engines.base import WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.site import Site
from townsend.errors import TownsendError


def main() -> None:
    given = json.load(sys.stdin)
    site = parse(Site, given["site"]) if given["site"] else None
    try:
        with open_engine(site, Path(given["run"]), 2) as engine:
            for unit in given["units"]:
                engine.submit(WorkUnit.from_json(unit))
            while engine.outstanding:
                for message in engine.poll(1):
                    said = {"unit": message.unit, "news": message.news.value, "detail": message.detail}
                    print(json.dumps({**said, "body": dict(message.body)}), flush=True)  # noqa: T201
    except TownsendError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
