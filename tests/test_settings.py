"""Settings: defaults, what is allowed, and that what isn't gets one line with the setting, the value and the remedy."""

import dataclasses
import os
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from petstore.setting_rules import PROJECT_ROOT
from petstore.settings import Settings, SettingsError, load

SECRET = "correct horse battery staple"


def read(**environ: str) -> Settings:
    return Settings.from_environment({"PETSTORE_SECRET_KEY": SECRET} | environ)


def refusal(**environ: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(**environ)
    return str(caught.value)


def test_every_setting_but_the_secret_has_a_default():
    assert dataclasses.asdict(read()) == {
        "bind": "127.0.0.1:8000",
        "database_url": f"sqlite:///{PROJECT_ROOT}/var/petstore.db",
        "heartbeat_s": 15,
        "retention_h": 24,
        "max_streams": 10_000,
        "fulfilment_step_s": 2,
        "demo": False,
        "secret_key": SECRET,
        "log_level": "INFO",
        "cors_origins": (),
        "retry_ms": 2000,
        "drain_spread_s": 5,
        "stuck_s": 60,
        "max_streams_per_client": 1000,
        "proxies": 0,
        "log_format": "text",
        "rate_limit": 600_000,
        "sign_in_limit": 60,
        "run_lease_s": 60,
        "llm_model": None,
        "llm_base_url": None,
        "llm_api_key": None,
        "llm_silence_s": 10,
        "workers": 2,
        "var_directory": PROJECT_ROOT / "var",
    }
    assert Settings(secret_key=SECRET) == read(), "the dataclass and the environment have the same defaults"


@pytest.mark.parametrize(
    ("variable", "text", "value"),
    [
        ("PETSTORE_BIND", "0.0.0.0:80", "0.0.0.0:80"),
        ("PETSTORE_BIND", "localhost:0", "localhost:0"),
        ("PETSTORE_BIND", "[::1]:8000", "[::1]:8000"),
        ("PETSTORE_BIND", "unix:/run/petstore.sock", "unix:/run/petstore.sock"),
        ("PETSTORE_DATABASE_URL", "sqlite:////data/shop.db", "sqlite:////data/shop.db"),
        ("PETSTORE_DATABASE_URL", "sqlite:///data/shop.db", f"sqlite:///{PROJECT_ROOT}/data/shop.db"),
        ("PETSTORE_HEARTBEAT_S", " 1 ", 1.0),
        ("PETSTORE_RETENTION_H", "0.0001", 0.0001),
        ("PETSTORE_MAX_STREAMS", "100000", 100_000),
        ("PETSTORE_FULFILMENT_STEP_S", "0", 0.0),
        ("PETSTORE_DEMO", "Yes", True),
        ("PETSTORE_DEMO", "off", False),
        ("PETSTORE_LOG_LEVEL", "debug", "DEBUG"),
        ("PETSTORE_CORS_ORIGINS", "", ()),
        ("PETSTORE_CORS_ORIGINS", "*", ("*",)),
        (
            "PETSTORE_CORS_ORIGINS",
            "https://a.example, http://localhost:3000",
            ("https://a.example", "http://localhost:3000"),
        ),
        ("PETSTORE_CORS_ORIGINS", "https://A.Example:443,http://b.example:80", ("https://a.example", "http://b.example")),
        ("PETSTORE_CORS_ORIGINS", "https://a.example:80,http://[::1]:443", ("https://a.example:80", "http://[::1]:443")),
        ("PETSTORE_RETRY_MS", "100", 100),
        ("PETSTORE_RUN_LEASE_S", "0.5", 0.5),
        ("PETSTORE_LLM_MODEL", "llama3.1:8b", "llama3.1:8b"),
        ("PETSTORE_LLM_MODEL", "", None),
        ("OPENAI_BASE_URL", "http://127.0.0.1:11434/v1", "http://127.0.0.1:11434/v1"),
        ("OPENAI_API_KEY", "", None),
        ("PETSTORE_LLM_SILENCE_S", "2.5", 2.5),
        ("PETSTORE_DRAIN_SPREAD_S", "300", 300.0),
        ("PETSTORE_RATE_LIMIT", "0", 0),
        ("PETSTORE_SIGN_IN_LIMIT", "5", 5),
        ("WEB_CONCURRENCY", "64", 64),
        ("PETSTORE_VAR", "elsewhere", PROJECT_ROOT / "elsewhere"),
    ],
)
def test_right_values_are_read(variable, text, value):
    others = {"WEB_CONCURRENCY": "workers", "PETSTORE_VAR": "var_directory"}
    name = others.get(variable, variable.removeprefix("PETSTORE_").lower().replace("openai_", "llm_"))
    assert getattr(read(**{variable: text}), name) == value


@pytest.mark.parametrize(
    ("variable", "wrong", "allowed"),
    [
        (
            "PETSTORE_BIND",
            ["8000", "localhost", "localhost:65536", "300.0.0.1:80", "[::g]:80", "unix:", ""],
            "host:port",
        ),
        (
            "PETSTORE_DATABASE_URL",
            ["sqlite://", "sqlite:///", "sqlite:///:memory:", "mysql://shop", "", "a.db"],
            "sqlite:///path",
        ),
        ("PETSTORE_HEARTBEAT_S", ["0.9", "301", "nan", "inf", "15s", ""], "from 1 to 300"),
        ("PETSTORE_RETENTION_H", ["0", "-1", "8761", "nan"], "above 0 and up to 8760"),
        ("PETSTORE_MAX_STREAMS", ["0", "100001", "1.5"], "a whole number of streams from 1 to 100000"),
        ("PETSTORE_FULFILMENT_STEP_S", ["-1", "3601"], "from 0 to 3600"),
        ("PETSTORE_DEMO", ["2", "maybe", ""], "1, TRUE, YES, ON, 0, FALSE, NO, OFF"),
        ("PETSTORE_LOG_LEVEL", ["loud", "10"], "DEBUG, INFO, WARNING, ERROR"),
        (
            "PETSTORE_CORS_ORIGINS",
            ["https://a.example/", "a.example", "*,https://a.example", "null", ","],
            "without a path",
        ),
        ("PETSTORE_RETRY_MS", ["99", "60001", "2e3"], "from 100 to 60000"),
        ("PETSTORE_DRAIN_SPREAD_S", ["-0.1", "301"], "from 0 to 300"),
        ("PETSTORE_RUN_LEASE_S", ["0.4", "3601"], "from 0.5 to 3600"),
        ("PETSTORE_LLM_MODEL", ["a\tb"], "name of a model"),
        ("PETSTORE_LLM_SILENCE_S", ["0", "301"], "from 0.1 to 300"),
        ("OPENAI_BASE_URL", ["127.0.0.1:11434", "ftp://x", "http://"], "http or https"),
        ("PETSTORE_RATE_LIMIT", ["-1", "1.5", "many"], "from 0 to 10000000"),
        ("PETSTORE_SIGN_IN_LIMIT", ["-1", ""], "from 0 to 100000"),
        ("WEB_CONCURRENCY", ["0", "65", "two"], "from 1 to 64"),
        ("PETSTORE_VAR", [""], "directory"),
    ],
)
def test_a_wrong_value_gets_one_line_with_setting_value_and_what_is_allowed(variable, wrong, allowed):
    for value in wrong:
        line = refusal(**{variable: value})
        assert line.startswith(f"{variable} is {value!r}: must be "), line
        assert allowed in line


def test_a_value_can_not_break_out_of_its_line_or_fill_the_screen():
    line = refusal(PETSTORE_LOG_LEVEL="loud\nPETSTORE is fine\u2028" + "x" * 5000)
    assert len(line.splitlines()) == 1
    assert len(line) < 250


@pytest.mark.parametrize(
    ("variable", "advice"),
    [
        ("PETSTORE_HEARTBEET_S", "did you mean PETSTORE_HEARTBEAT_S?"),
        ("PETSTORE_WORKERS", "did you mean WEB_CONCURRENCY?"),
        ("PETSTORE_ZZZ", "there are PETSTORE_BIND, "),
        ("PETSTORE_demo", "did you mean PETSTORE_DEMO?"),
    ],
)
def test_a_setting_that_does_not_exist_is_refused_with_advice_and_without_its_value(variable, advice):
    line = refusal(**{variable: "might be a secret"})
    assert line.startswith(f"{variable} is not a setting: ")
    assert advice in line
    assert "might be a secret" not in line


def test_other_programs_variables_are_none_of_our_business():
    assert read(PETSTOREX="1", HOME="", PATH="/bin") == read()


def test_a_password_in_a_database_url_is_not_shown():
    line = refusal(PETSTORE_DATABASE_URL="postgresql://shop:p@ss@db/shop")
    assert "is 'postgresql://***@db/shop': must be sqlite:///path" in line


class TestSecret:
    def test_is_required_outside_the_demo(self):
        with pytest.raises(SettingsError, match=r"^PETSTORE_SECRET_KEY is not set: must be at least 16 characters"):
            Settings.from_environment({})

    def test_that_is_short_is_refused_and_not_shown(self):
        line = refusal(PETSTORE_SECRET_KEY="hunter2")
        assert line.startswith("PETSTORE_SECRET_KEY is (not shown, 7 characters): must be at least 16 characters")
        assert "hunter2" not in line

    def test_that_is_short_is_not_shown_by_the_error_s_chain_either(self):
        with pytest.raises(SettingsError) as caught:
            read(PETSTORE_SECRET_KEY="hunter2")
        assert caught.value.__suppress_context__

    def test_is_not_in_the_repr(self):
        assert SECRET not in repr(read())

    def test_a_key_of_somebody_else_s_service_is_not_shown_either(self):
        line = refusal(OPENAI_API_KEY="sk-with a space")
        assert line.startswith("OPENAI_API_KEY is (not shown, 15 characters)")
        assert "sk-key" not in repr(read(OPENAI_API_KEY="sk-key"))

    def test_that_is_given_is_not_written_to_a_file(self, tmp_path):
        assert read(PETSTORE_DEMO="1", PETSTORE_VAR=str(tmp_path)).secret_key == SECRET
        assert list(tmp_path.iterdir()) == []

    def test_of_the_demo_is_made_once_and_kept_for_the_owner_alone(self, tmp_path):
        first, second = demo_secret(tmp_path / "var"), demo_secret(tmp_path / "var")
        assert first == second
        assert len(first) >= 32
        kept = tmp_path / "var" / "secret_key"
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert list(kept.parent.iterdir()) == [kept], "no draft is left behind"
        assert demo_secret(tmp_path / "other") != first

    def test_of_the_demo_is_one_however_many_start_together(self, tmp_path):
        for attempt in range(20):
            with ThreadPoolExecutor(8) as pool:
                secrets = set(pool.map(demo_secret, [tmp_path / str(attempt)] * 8))
            assert len(secrets) == 1

    def test_of_the_demo_is_named_when_its_file_is_spoilt(self, tmp_path):
        (tmp_path / "secret_key").write_text("")
        with pytest.raises(SettingsError, match=rf"^PETSTORE_SECRET_KEY is not set: '{tmp_path}/secret_key' does not"):
            demo_secret(tmp_path)

    def test_of_the_demo_is_named_when_it_can_not_be_kept(self, tmp_path):
        (tmp_path / "var").write_text("a file where a directory should be")
        with pytest.raises(SettingsError, match=r"^PETSTORE_VAR is '.*var': must be writable: "):
            demo_secret(tmp_path / "var")


def demo_secret(directory: Path) -> str:
    return Settings.from_environment({"PETSTORE_DEMO": "1", "PETSTORE_VAR": str(directory)}).secret_key


def test_the_database_of_the_demo_lies_with_its_other_files(tmp_path):
    assert read(PETSTORE_VAR=str(tmp_path)).database_url == f"sqlite:///{tmp_path}/petstore.db"


def test_load_reads_this_process_s_environment(monkeypatch):
    for variable in [name for name in os.environ if name.startswith("PETSTORE_")]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PETSTORE_SECRET_KEY", SECRET)
    monkeypatch.setenv("WEB_CONCURRENCY", "3")
    assert load().workers == 3


def test_run_as_a_program_it_stops_the_start_with_one_line():
    environ = {"PETSTORE_SECRET_KEY": SECRET, "WEB_CONCURRENCY": "many"}
    done = subprocess.run(
        [sys.executable, "-m", "petstore.settings"], cwd=PROJECT_ROOT, env=environ, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stderr == "WEB_CONCURRENCY is 'many': must be a whole number of worker processes from 1 to 64\n"
