"""Logs: canonical event names and fields, to stderr; systemd keeps them.

One line on a change of state, never one per failure. No personal data: values whose field name
says they hold any are dropped, as a second fence behind the rule.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, cast

import structlog

Logger = structlog.stdlib.BoundLogger

_PERSONAL_FIELDS = frozenset(
    {"name", "id_number", "number", "address", "birth", "card", "applicant", "photo", "phone"}
)


def _drop_personal(
    _logger: object, _method: str, fields: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    for field in _PERSONAL_FIELDS & fields.keys():
        fields[field] = "[dropped]"
    return fields


def configure_logging(level: str, *, process: str) -> None:
    """Set up once, in a process's main function. JSON lines, or readable text on a terminal."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer()
        if sys.stderr.isatty()
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _drop_personal,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level.upper()),
        # One write a line: processes share a log file, and `print` writes the newline by itself.
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(name)s %(message)s")


def get_logger() -> Logger:
    """A logger. `event` is a dotted name: `device.lost`; everything else is a field."""
    return cast("Logger", structlog.get_logger())
