"""The server that tests start: what it keeps when it is stopped or killed."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from postgres_server import UNSAFE, NoPostgres, PostgresServer, program


def test_each_database_is_new(database: str) -> None:
    with psycopg.connect(database) as connection:
        connection.execute("CREATE TABLE mine (n int)")
        assert connection.execute("SELECT count(*) FROM pg_tables WHERE schemaname='public'").fetchone() == (1,)


def test_it_comes_back_on_the_same_port_with_its_data() -> None:
    try:
        program("initdb")
    except NoPostgres as reason:
        pytest.skip(str(reason))
    server = PostgresServer(UNSAFE)
    server.start()
    try:
        url = server.create_database("kept")
        server.kill()
        assert server.pid == 0
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(url)
        server.start()
        psycopg.connect(url).close()
        server.stop()
        server.start()
        psycopg.connect(server.url("kept")).close()
        with pytest.raises(psycopg.OperationalError, match="password"):
            psycopg.connect(server.url("kept", password="wrong"))
    finally:
        folder = server.folder
        server.stop(remove=True)
    assert folder is not None
    assert not Path(folder).exists()
