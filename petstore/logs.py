"""How this server logs: one line for each record, as text or as JSON, on standard error.

Must not decide what is logged, but for this: no line holds a token or a password, whoever wrote it. A record's facts are in its
`extra`, under `facts`, so that both forms show them.
"""

import json
import logging
import re
import sys
import time
from functools import lru_cache
from typing import Any

from gunicorn.glogging import Logger

from petstore.settings import Settings, load

_SECRETS = re.compile(
    r"""(?ix)
    \b( (?:token|password) ["']? \s* (?:[=:]|%3D) \s* ["']? | (?:bearer|basic) (?:\s|%20|\+)+ ) [^\s\\&"',;}]+
    | (?<![\w.-]) eyJ[\w-]+ \. [\w-]+ \. [\w-]*   # a JWT, wherever it stands
    """
)

_HINTS = ("token", "password", "bearer", "basic", "eyj")
"""One of these is in each text that has a secret. To look for them takes a tenth of the time."""


def discreet(text: str) -> str:
    """Return `text` without the tokens and passwords that may be in it."""
    folded = text.casefold()
    if not any(hint in folded for hint in _HINTS):
        return text
    return _SECRETS.sub(lambda found: f"{found[1] or ''}***", text)


class TextFormatter(logging.Formatter):
    """Time, level, name, message, and the facts as `name=value`."""

    def format(self, record: logging.LogRecord) -> str:
        return discreet(super().format(record))

    def formatMessage(self, record: logging.LogRecord) -> str:
        line = f"{_moment(record)} {record.levelname} {record.name}: {record.message}"
        for name, value in getattr(record, "facts", {}).items():
            line += f" {name}={value}"
        return line


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _moment(record),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "facts", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        said = {name: discreet(value) if isinstance(value, str) else value for name, value in line.items()}
        return discreet(json.dumps(said, ensure_ascii=False, default=str))


def _moment(record: logging.LogRecord) -> str:
    return f"{_second(int(record.created))}.{int(record.msecs):03d}Z"


@lru_cache(maxsize=8)
def _second(seconds: int) -> str:
    # When thousands of streams end at once, each has its line.
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))


class ServerLogger(Logger):  # type: ignore[misc]  # gunicorn ships no types
    """gunicorn's logger, with its lines in our form."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in self.error_log.handlers:
            handler.setFormatter(formatter(load().log_format))

    def atoms(self, resp: Any, req: Any, environ: Any, request_time: Any) -> Any:
        """Return what a line of the access log may show, which is off unless gunicorn is told otherwise: all but the secrets."""
        atoms = super().atoms(resp, req, environ, request_time)
        return {name: _shown(name, value) for name, value in atoms.items()}


def _shown(name: str, value: Any) -> Any:
    if name.lower() in ("{authorization}i", "{cookie}i", "{http_authorization}e", "{http_cookie}e", "{x-api-key}i"):
        return "***"
    return discreet(value) if isinstance(value, str) else value


def formatter(log_format: str) -> logging.Formatter:
    """Return the formatter that the setting names."""
    return JsonFormatter() if log_format == "json" else TextFormatter()


class Discretion(logging.Filter):
    """Takes out of gunicorn's lines what it quotes of a request that it could not read or serve: there may be a token in it."""

    _QUOTING = re.compile(r"(Invalid request from ip=\S*: [^:]*).*", re.DOTALL)

    def filter(self, record: logging.LogRecord) -> bool:
        text = str(record.msg)
        if text.startswith("Invalid request from"):
            # Without args, a message is not a format: what is left of it goes out as it stands.
            record.msg, record.args = self._QUOTING.sub(r"\1", record.getMessage()), ()
        elif text.startswith("Error handling request") and isinstance(record.args, tuple):
            record.args = tuple(str(target).partition("?")[0] for target in record.args)
        return True


class Hiding(logging.Filter):
    """Takes the secrets out of every line: of the development server, which logs each request with its query."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = discreet(record.getMessage()), ()
        return True


DISCRETION, HIDING = Discretion(), Hiding()


def configure_logging(settings: Settings) -> None:
    """Give our logger the form and the level of the settings, and discretion to those of gunicorn and the development server."""
    logging.getLogger("gunicorn.error").addFilter(DISCRETION)
    logging.getLogger("werkzeug").addFilter(HIDING)
    logger = logging.getLogger("petstore")
    if not logger.handlers:
        logger.addHandler(logging.StreamHandler(sys.stderr))
    for handler in logger.handlers:
        handler.setFormatter(formatter(settings.log_format))
    logger.setLevel(settings.log_level)
    logger.propagate = False
