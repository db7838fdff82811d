"""`set_logging` shows townsend's own messages, once each, and nobody else's."""

from __future__ import annotations

import logging

import pytest

from townsend import set_logging
from townsend.errors import InputError


def test_message_is_shown_once_however_often_logging_is_set(capsys: pytest.CaptureFixture[str]) -> None:
    set_logging()
    set_logging("info")
    logging.getLogger("townsend.sweep").info("training 3 fits")
    assert capsys.readouterr().err == "INFO townsend.sweep: training 3 fits\n"


def test_level_hides_what_lies_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    set_logging("WARNING")
    logging.getLogger("townsend").info("hidden")
    logging.getLogger("townsend").warning("shown")
    assert capsys.readouterr().err == "WARNING townsend: shown\n"


def test_root_logger_is_left_alone() -> None:
    before = (logging.getLogger().level, list(logging.getLogger().handlers))
    set_logging("DEBUG")
    assert (logging.getLogger().level, list(logging.getLogger().handlers)) == before


def test_unknown_level_is_refused_with_the_nearest() -> None:
    with pytest.raises(InputError, match=r'"WARN".*did you mean "WARNING"'):
        set_logging("WARN")
