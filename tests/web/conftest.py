"""The application on a database of its own, without background jobs: pages need nothing else."""

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from petstore.settings import Settings


@pytest.fixture
def client(empty_path: Path) -> FlaskClient:
    app: Flask = create_app(
        Settings(secret_key="correct horse battery", database_url=f"sqlite:///{empty_path}", var_directory=empty_path.parent)
    )
    app.extensions["petstore.background"].started = True
    return app.test_client()
