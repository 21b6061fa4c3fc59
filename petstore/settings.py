"""What can be set from outside: `Settings`, made from PETSTORE_* variables and the standard WEB_CONCURRENCY.

The only module that uses the environment; everything else is handed a Settings. It must not import anything of ours but the
rules, nor touch a file at import. A value is either right or refused in one line: a setting misread is worse than a server
not started.
"""

import difflib
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from petstore.setting_rules import (
    PROJECT_ROOT,
    SECRET_LENGTH,
    Rule,
    number,
    one_of,
    parse_bind,
    parse_database_url,
    parse_directory,
    parse_http_url,
    parse_key,
    parse_name,
    parse_origins,
    parse_secret,
    show_without_password,
)

_SHOWN_LENGTH = 80  # characters of a wrong value: enough to know it again, and still one line
_ON, _OFF = ("1", "TRUE", "YES", "ON"), ("0", "FALSE", "NO", "OFF")
_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class SettingsError(ValueError):
    """A setting has a wrong value, or there is no such setting; its text is one line fit for a terminal."""

    def __init__(self, setting: str, shown: str, allowed: str) -> None:
        super().__init__(setting, shown, allowed)
        self.setting = setting
        self.shown = shown
        self.allowed = allowed

    def __str__(self) -> str:
        return f"{self.setting} {self.shown}: {self.allowed}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that can be set. Each field's variable is PETSTORE_ and its name, unless its text says otherwise."""

    bind: str = "127.0.0.1:8000"
    """Where gunicorn listens: host:port, [v6]:port or unix:path. Port 0 lets the system choose a free one."""

    database_url: str = f"sqlite:///{PROJECT_ROOT}/var/petstore.db"
    """The shop and the event log: a file, since the workers share it. A relative path starts at the project root."""

    heartbeat_s: float = 15
    """Seconds of silence before a comment shows that a stream is alive, 1 to 300. Some clients give up after 5 s."""

    retention_h: float = 24
    """Hours that events are kept for clients that come back, up to 8760 (a year): the log must not grow for ever."""

    max_streams: int = 10_000
    """Streams that one worker serves, 1 to 100000; more are asked to come back later, so that memory stays bounded."""

    max_streams_per_client: int = 1000
    """How many of those one address or one customer may have, 1 to 100000: nobody takes every place."""

    proxies: int = 0
    """Proxies in front of us that add to X-Forwarded-For, 0 to 9. With too many, clients could choose their address."""

    fulfilment_step_s: float = 2
    """Seconds between two steps of an order that is being paid and shipped, 0 to 3600. Short, so that a demo moves."""

    demo: bool = False
    """Whether simulated shoppers and a stock clerk are at work. Off by default: they place orders and change stock."""

    secret_key: str = field(repr=False)
    """Signs tokens; at least 16 characters, since who guesses it can sign. In the demo it is made once and kept in
    `secret_key` under `var_directory`; outside it there is no default. Never shown, not even in an error."""

    log_level: str = "INFO"
    """The least serious log line that is written: DEBUG, INFO, WARNING or ERROR."""

    log_format: str = "text"
    """How it is written: text, or json with one object a line."""

    cors_origins: tuple[str, ...] = ()
    """Origins whose pages may call us, separated by commas, or * for all. None by default: no CORS headers are sent."""

    retry_ms: int = 2000
    """Milliseconds after which a cut client comes back, 100 to 60000: what `retry:` says. Less invites a storm."""

    drain_spread_s: float = 5
    """Over how many seconds the clients of a draining worker are told to come back, 0 to 300: not all at once."""

    stuck_s: float = 60
    """Seconds for which a client may take nothing that we have for it, 1 to 3600. Then it's cut off; it loses nothing."""

    rate_limit: int = 600_000
    """Requests a minute of one address, and of one user, 0 to 10000000; 0 sets no limit. An open stream is one request."""

    sign_in_limit: int = 60
    """Passwords a minute from one address, and for one username, 0 to 100000; 0 sets no limit. Who guesses needs many."""

    run_lease_s: float = 60
    """Seconds for which a run waits for a client to come back, 0.5 to 3600. Longer makes more that nobody sees."""

    llm_model: str | None = None
    """The language model that chats and recommends, behind OpenAI's API. None by default: the embedded engines do it."""

    llm_base_url: str | None = None
    """Where that API is, from OPENAI_BASE_URL. None is OpenAI itself."""

    llm_api_key: str | None = field(default=None, repr=False)
    """What that API asks for, from OPENAI_API_KEY. Never shown."""

    llm_silence_s: float = 10
    """Seconds for which the model may say nothing, 0.1 to 300. Then the embedded engine goes on without it."""

    workers: int = 2
    """Worker processes, 1 to 64, from WEB_CONCURRENCY. Each takes a core when busy; more than cores gains nothing."""

    var_directory: Path = PROJECT_ROOT / "var"
    """Where the server keeps its files, from PETSTORE_VAR. A relative path starts at the project root."""

    @property
    def database_path(self) -> Path:
        """The file behind `database_url`."""
        return Path(self.database_url.removeprefix("sqlite:///"))

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> Self:
        """Read and check every setting. The secret of a demo that has none is made here, which writes a file.

        Raises: SettingsError, for the first setting that is wrong.
        """
        _refuse_unknown(environ)
        given: dict[str, Any] = {
            name: _read(variable, environ[variable], rule) for name, (variable, rule) in _SETTINGS.items() if variable in environ
        }
        directory: Path = given.setdefault("var_directory", PROJECT_ROOT / "var")
        given.setdefault("database_url", f"sqlite:///{directory}/petstore.db")
        if "secret_key" not in given:
            if not given.get("demo"):
                raise SettingsError("PETSTORE_SECRET_KEY", "is not set", f"must be {_SECRET.allowed}")
            given["secret_key"] = _kept_secret(directory / "secret_key")
        return cls(**given)


def load() -> Settings:
    """The settings of this process's environment."""
    return Settings.from_environment(os.environ)


def share_counts(directory: Path) -> None:
    """Tell prometheus-client, which knows no other way, that processes share their counts in this directory."""
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = str(directory)


_SECRET = Rule(
    f"at least {SECRET_LENGTH} characters, unless PETSTORE_DEMO=1, which makes and keeps one of its own",
    parse_secret,
    lambda text: f"(not shown, {len(text)} characters)",
)

_SETTINGS: dict[str, tuple[str, Rule]] = {
    "bind": ("PETSTORE_BIND", Rule("host:port, [v6]:port or unix:path", parse_bind)),
    "database_url": ("PETSTORE_DATABASE_URL", Rule("sqlite:///path of a file", parse_database_url, show_without_password)),
    "heartbeat_s": ("PETSTORE_HEARTBEAT_S", number(float, 1, 300, "seconds")),
    "retention_h": ("PETSTORE_RETENTION_H", number(float, 0, 8760, "hours", above=True)),
    "max_streams": ("PETSTORE_MAX_STREAMS", number(int, 1, 100_000, "streams")),
    "max_streams_per_client": ("PETSTORE_MAX_STREAMS_PER_CLIENT", number(int, 1, 100_000, "streams")),
    "proxies": ("PETSTORE_PROXIES", number(int, 0, 9, "proxies")),
    "fulfilment_step_s": ("PETSTORE_FULFILMENT_STEP_S", number(float, 0, 3600, "seconds")),
    "demo": ("PETSTORE_DEMO", one_of(dict.fromkeys(_ON, True) | dict.fromkeys(_OFF, False))),
    "secret_key": ("PETSTORE_SECRET_KEY", _SECRET),
    "log_level": ("PETSTORE_LOG_LEVEL", one_of({level: level for level in _LOG_LEVELS})),
    "log_format": ("PETSTORE_LOG_FORMAT", one_of({"TEXT": "text", "JSON": "json"})),
    "cors_origins": (
        "PETSTORE_CORS_ORIGINS",
        Rule("* or origins such as https://shop.example, without a path, separated by commas", parse_origins),
    ),
    "retry_ms": ("PETSTORE_RETRY_MS", number(int, 100, 60_000, "milliseconds")),
    "drain_spread_s": ("PETSTORE_DRAIN_SPREAD_S", number(float, 0, 300, "seconds")),
    "stuck_s": ("PETSTORE_STUCK_S", number(float, 1, 3600, "seconds")),
    "rate_limit": ("PETSTORE_RATE_LIMIT", number(int, 0, 10_000_000, "requests")),
    "sign_in_limit": ("PETSTORE_SIGN_IN_LIMIT", number(int, 0, 100_000, "passwords")),
    "run_lease_s": ("PETSTORE_RUN_LEASE_S", number(float, 0.5, 3600, "seconds")),
    "llm_model": ("PETSTORE_LLM_MODEL", Rule("the name of a model", parse_name)),
    "llm_base_url": ("OPENAI_BASE_URL", Rule("an http or https URL", parse_http_url, show_without_password)),
    "llm_api_key": (
        "OPENAI_API_KEY",
        Rule("a word without spaces", parse_key, lambda text: f"(not shown, {len(text)} characters)"),
    ),
    "llm_silence_s": ("PETSTORE_LLM_SILENCE_S", number(float, 0.1, 300, "seconds")),
    "workers": ("WEB_CONCURRENCY", number(int, 1, 64, "worker processes")),
    "var_directory": ("PETSTORE_VAR", Rule("the path of a directory", parse_directory)),
}


def _read(variable: str, text: str, rule: Rule) -> Any:
    text = text.strip()
    try:
        return rule.parse(text)
    except ValueError:
        shown = rule.show(text)
        if len(shown) > _SHOWN_LENGTH:
            shown = shown[:_SHOWN_LENGTH] + "..."
        # "from None": the parser's own error would show a secret to whoever prints the chain.
        raise SettingsError(variable, f"is {shown}", f"must be {rule.allowed}") from None


def _refuse_unknown(environ: Mapping[str, str]) -> None:
    """Refuse a misspelt variable, which would otherwise leave a default in force in silence. Its value isn't shown."""
    known = [variable for variable, _ in _SETTINGS.values()]
    for variable in sorted(environ):
        if variable.startswith("PETSTORE_") and variable not in known:
            # Fields are compared, not variables: "PETSTORE_" would make every two alike.
            close = difflib.get_close_matches(variable.removeprefix("PETSTORE_").lower(), _SETTINGS, n=1)
            advice = f"did you mean {_SETTINGS[close[0]][0]}?" if close else f"there are {', '.join(known)}"
            raise SettingsError(ascii(variable)[1:-1], "is not a setting", advice)


def _kept_secret(path: Path) -> str:
    """The secret kept in the file, which is made if it isn't there: once, however many processes start together."""
    try:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            _create_whole(path, secrets.token_urlsafe(32))
        return parse_secret(path.read_text("ascii").strip())
    except OSError as error:
        raise SettingsError("PETSTORE_VAR", f"is {str(path.parent)!r}", f"must be writable: {error.strerror}") from error
    except ValueError:
        advice = f"{str(path)!r} does not hold {_SECRET.allowed}: delete it"
        raise SettingsError("PETSTORE_SECRET_KEY", "is not set", advice) from None


def _create_whole(path: Path, text: str) -> None:
    """Create the file with its text, readable by its owner alone; where another process was first, its file stays.

    Linking a finished file under the name, unlike opening the name, never shows a reader a half-written one.
    """
    descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        os.unlink(draft)


if __name__ == "__main__":
    # `make run` asks this first: gunicorn reads WEB_CONCURRENCY by itself, and meets a wrong one with a traceback.
    try:
        load()
    except SettingsError as error:
        sys.exit(str(error))
