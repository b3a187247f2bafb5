"""A PostgreSQL server of one's own, for tests and benchmarks: started, stopped, killed and restarted at will.

It needs PostgreSQL's programs (Debian: ``apt install postgresql``), no running service and no rights: the server lies
in a temporary folder and listens on a free port. PostgreSQL refuses to run as root; root starts it as another user.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

#: Quick, and as safe as any against a killed server; only a power cut would lose what was written.
UNSAFE = {"fsync": "off", "full_page_writes": "off"}


class NoPostgres(Exception):
    """PostgreSQL cannot be started here; the message says why."""


class PostgresServer:
    """One server with a folder, a port and a password of its own.

    Args:
        settings: lines of postgresql.conf, such as ``{"fsync": "off"}``; the defaults flush every commit.
        listen: address to listen on. One beyond this machine lets in whoever knows the password.
    """

    def __init__(self, settings: Mapping[str, str] | None = None, listen: str = "127.0.0.1") -> None:
        self.settings = dict(settings or {})
        self.listen = listen
        self.port = 0
        self.password = secrets.token_hex(8)
        self.folder: Path | None = None
        self._own_folder = False
        self._process: subprocess.Popen[bytes] | None = None
        self._user = _server_user()

    def start(self, folder: Path | None = None) -> None:
        """Start it, on the same port and data as before if it ran before.

        Args:
            folder: where its data shall lie; must be new or empty, and its parents open to all (root starts the server
                as another user). None for a new folder that `stop(remove=True)` and the process's end remove.

        Raises:
            NoPostgres: its programs are missing, or it does not start.
        """
        if self._process is not None:
            raise RuntimeError("this server runs already")
        if self.folder is None:
            self._make(folder)
        assert self.folder is not None
        log = self.folder / "log"
        options = {
            "port": str(self.port),
            "listen_addresses": self.listen,
            "unix_socket_directories": "",
            "max_connections": "600",
            "logging_collector": "off",
        }
        arguments = [f"--{name}={value}" for name, value in (options | self.settings).items()]
        with open(log, "ab") as out:
            self._process = subprocess.Popen(
                [program("postgres"), "-D", str(self.folder / "data"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                cwd="/",
                start_new_session=True,
                **self._as_user(),  # type: ignore[call-overload]
            )
        deadline = time.monotonic() + 60
        while True:
            if self._process.poll() is not None:
                self._process = None
                raise NoPostgres(f"PostgreSQL does not start: {log.read_text(errors='replace')[-2000:]}")
            try:
                with self.connect():
                    return
            except OSError:
                if time.monotonic() > deadline:
                    self.kill()
                    raise NoPostgres(f"PostgreSQL does not answer; see {log}") from None
                time.sleep(0.05)

    def stop(self, *, remove: bool = False, quick: bool = True) -> None:
        """Shut it down in an orderly way, ending all connections (`quick`) or waiting for them to end."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGINT if quick else signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        if remove and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)
            self.folder = None

    def kill(self) -> None:
        """SIGKILL for the server and all processes of its connections, as a crash of the machine would."""
        process, self._process = self._process, None
        if process is None:
            return
        children = _children(process.pid)
        process.kill()
        for child in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child, signal.SIGKILL)
        process.wait()
        while any(Path(f"/proc/{child}").exists() for child in children):  # a restart needs their shared memory gone
            time.sleep(0.01)

    @property
    def pid(self) -> int:
        """The server's process id; 0 when it does not run."""
        return 0 if self._process is None else self._process.pid

    def url(self, database: str = "postgres", *, host: str = "127.0.0.1", password: str | None = None) -> str:
        """What `MAINSPRING_DATABASE_URL` is set to."""
        return f"postgresql://mainspring:{password or self.password}@{host}:{self.port}/{database}"

    def create_database(self, name: str | None = None) -> str:
        """A new empty database (`name`, or one that nobody has used); returns its URL."""
        name = name or f"t_{secrets.token_hex(6)}"
        self.execute(f'CREATE DATABASE "{name}"')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Remove a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """One statement as the superuser, outside a transaction; returns its rows."""
        import psycopg

        with psycopg.connect(self.url(database), autocommit=True) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def connect(self) -> contextlib.AbstractContextManager[object]:
        """A connection as the superuser, to see that it answers; raises ConnectionError."""
        import psycopg

        try:
            return psycopg.connect(self.url(), connect_timeout=5)
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from None

    def _make(self, folder: Path | None) -> None:
        initdb = program("initdb")
        self._own_folder = folder is None
        made = Path(tempfile.mkdtemp(prefix="mainspring-postgres-")) if folder is None else folder
        made.mkdir(parents=True, exist_ok=True)
        if self._user:
            os.chown(made, *self._user[1:])
        password = made / "password"
        password.write_text(self.password)
        password.chmod(0o600)
        if self._user:
            os.chown(password, *self._user[1:])
        command = [
            *(initdb, "-D", str(made / "data"), "-U", "mainspring", "--pwfile", str(password)),
            *("--auth=scram-sha-256", "-E", "UTF8", "--locale=C", "--no-sync"),
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd="/",
            **self._as_user(),  # type: ignore[call-overload]
        )
        if done.returncode:
            raise NoPostgres(f"initdb failed: {done.stderr.strip()}")
        if self.listen not in ("127.0.0.1", "localhost"):
            with open(made / "data" / "pg_hba.conf", "a") as file:
                file.write("host all all 0.0.0.0/0 scram-sha-256\n")
        self.port = _free_port()
        self.folder = made
        atexit.register(self._end)

    def _end(self) -> None:
        self.kill()
        if self._own_folder and self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _as_user(self) -> dict[str, object]:
        if self._user is None:
            return {}
        name, uid, gid = self._user
        environment = {**os.environ, "HOME": "/", "USER": name, "LC_ALL": "C"}
        return {"user": uid, "group": gid, "extra_groups": [], "env": environment}


def program(name: str) -> str:
    """The path of one of PostgreSQL's programs, of the newest version; raises NoPostgres."""
    found = shutil.which(name)
    if found is None:
        folders = [p for p in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if p.is_file()]
        folders.sort(key=lambda p: [int(n) for n in re.findall(r"\d+", p.parts[-3])])
        if not folders:
            raise NoPostgres(f"PostgreSQL's program {name} is not installed (Debian: apt install postgresql)")
        found = str(folders[-1])
    return found


_shared: list[PostgresServer] = []


def shared_server() -> PostgresServer:
    """The one quick server of this test run, started on first use, running (again) when this returns.

    Raises:
        NoPostgres: with why it cannot be had.
    """
    if not _shared:
        made = PostgresServer(UNSAFE)
        made.start()
        _shared.append(made)
    if not _shared[0].pid:
        _shared[0].start()
    return _shared[0]


def _server_user() -> tuple[str, int, int] | None:
    """Whom root starts the server as; None when we are not root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            found = pwd.getpwnam(name)
            return name, found.pw_uid, found.pw_gid
    raise NoPostgres("PostgreSQL does not run as root, and there is no user postgres or nobody")


def _children(pid: int) -> list[int]:
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            if int(path.read_text().rpartition(")")[2].split()[1]) == pid:
                found.append(int(path.parent.name))
    return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
