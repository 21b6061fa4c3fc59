"""How this server logs: one line for each record, as text or as JSON, on standard error.

Must not decide what is logged. A record's facts are in its `extra`, under `facts`, so that both forms show them.
"""

import json
import logging
import sys
import time

from petstore.settings import Settings


class TextFormatter(logging.Formatter):
    """Time, level, name, message, and the facts as `name=value`."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%S")
        self.converter = time.gmtime

    def formatMessage(self, record: logging.LogRecord) -> str:
        facts = getattr(record, "facts", {})
        return " ".join([super().formatMessage(record), *(f"{name}={value}" for name, value in facts.items())])


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        line = {
            "time": f"{moment}.{int(record.msecs):03d}Z",
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def configure_logging(settings: Settings) -> None:
    """Give our logger, and gunicorn's where it has one, the form and our logger the level of the settings."""
    formatter = JsonFormatter() if settings.log_format == "json" else TextFormatter()
    logger = logging.getLogger("petstore")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stderr))
    logger.setLevel(settings.log_level)
    logger.propagate = False
    for handler in [*logger.handlers, *logging.getLogger("gunicorn.error").handlers]:
        handler.setFormatter(formatter)
