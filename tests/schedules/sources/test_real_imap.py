"""A real mail server, Dovecot, with TLS: what the lying one cannot show is that the truth is read rightly."""

from __future__ import annotations

import grp
import json
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from lying_imap import mail

from mainspring.errors import MainspringError
from mainspring.schedules.sources import Account, MailboxSource
from mainspring.schedules.sources.imap import connect

PASSWORD = "correct horse battery"
DOVECOT = shutil.which("dovecot") or "/usr/sbin/dovecot"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not os.path.exists(DOVECOT), reason="needs Dovecot (Debian: apt-get install dovecot-imapd)"),
    pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl for a certificate"),
    pytest.mark.skipif(os.getuid() != 0, reason="Dovecot drops its rights, which only root can let it do"),
]

CONFIG = """
base_dir = {base}/run
state_dir = {base}/state
log_path = {base}/log
protocols = imap
listen = 127.0.0.1
ssl = yes
ssl_cert = <{base}/cert.pem
ssl_key = <{base}/key.pem
disable_plaintext_auth = yes
mail_location = maildir:{base}/mail
mail_uid = {user}
mail_gid = {group}
first_valid_uid = 1
first_valid_gid = 1
default_internal_user = {user}
default_login_user = {user}
default_internal_group = {groupname}
passdb {{
  driver = static
  args = password={password}
}}
userdb {{
  driver = static
  args = uid={user} gid={group} home={base}/home
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {plain}
  }}
  inet_listener imaps {{
    port = {tls}
    ssl = yes
  }}
}}
service anvil {{
  chroot =
}}
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


@pytest.fixture(scope="module")
def account() -> Iterator[Account]:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o755)
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
                *("-addext", "subjectAltName=DNS:localhost"),
                *("-keyout", str(base / "key.pem"), "-out", str(base / "cert.pem")),
            ],
            check=True,
            capture_output=True,
        )
        nobody = pwd.getpwnam("nobody")
        for name in ("mail", "mail/new", "mail/cur", "mail/tmp", "home"):
            (base / name).mkdir()
            os.chown(base / name, nobody.pw_uid, nobody.pw_gid)
        plain, tls = free_port(), free_port()
        text = CONFIG.format(
            base=base, user="nobody", group=nobody.pw_gid, groupname=grp.getgrgid(nobody.pw_gid).gr_name,
            password=PASSWORD.replace(" ", "_"), plain=plain, tls=tls,
        )  # fmt: skip
        (base / "dovecot.conf").write_text(text)
        server = subprocess.Popen([DOVECOT, "-F", "-c", str(base / "dovecot.conf")], stderr=subprocess.PIPE)
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", tls), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            else:
                server.terminate()
                log = (base / "log").read_text() if (base / "log").exists() else ""
                pytest.fail(f"Dovecot did not start: {log} {server.communicate()[1]!r}")
            found = Account("localhost", "ann", "secret:mail", port=tls, ca_file=str(base / "cert.pem"), deadline_s=30)
            yield found
        finally:
            server.terminate()
            server.wait(20)
            assert server.stderr is not None
            server.stderr.close()


def deliver(account: Account, name: str, content: bytes) -> None:
    base = Path(account.ca_file).parent / "mail"
    (base / "tmp" / name).write_bytes(content)
    nobody = pwd.getpwnam("nobody")
    os.chown(base / "tmp" / name, nobody.pw_uid, nobody.pw_gid)
    os.rename(base / "tmp" / name, base / "new" / name)


def source(account: Account, **options: Any) -> MailboxSource:
    return MailboxSource(account, lambda reference: PASSWORD.replace(" ", "_"), **options)


def stored(state: Any) -> Any:
    return json.loads(json.dumps(state))


def test_mails_come_once_and_stay_unread(account: Account) -> None:
    deliver(account, "1.old", mail("old"))
    box = source(account)
    first = box.poll({}, time.time())
    deliver(account, "2.new", mail("new €"))
    deliver(account, "3.big", mail("big", "x" * 300_000))
    second = box.poll(stored(first.state), time.time())
    assert first.items == ()
    assert {i.payload["subject"] for i in second.items} == {"new €", "big"}
    assert box.poll(stored(second.state), time.time()).items == ()
    names = [p.name for p in (Path(account.ca_file).parent / "mail").glob("*/*")]
    assert not any(n.endswith("S") for n in names)  # Maildir's flag for seen


def test_marked_and_deleted_when_asked(account: Account) -> None:
    deliver(account, "4.x", mail("to be deleted"))
    box = source(account, after="delete", existing=True)
    first = box.poll({}, time.time())
    assert "to be deleted" in {i.payload["subject"] for i in first.items}
    second = box.poll(stored(first.state), time.time())
    assert second.items == ()
    with connect(account, PASSWORD.replace(" ", "_")) as open_box:
        left = open_box.uids("ALL")
    assert left == []


def test_idle_wakes(account: Account) -> None:
    box = source(account)
    timer = threading.Timer(1.0, deliver, (account, "5.y", mail("wake up")))
    timer.start()
    assert box.wait(20.0) is True
    timer.join()
    assert box.wait(0.3) is False


def test_a_certificate_that_nobody_vouches_for_and_a_wrong_password(account: Account) -> None:
    with pytest.raises(MainspringError, match="certificate"):
        source(replace(account, ca_file="")).poll({}, 1.0)
    wrong = MailboxSource(account, lambda reference: "not the password")
    with pytest.raises(MainspringError, match="refuses the login of ann; look at the secret secret:mail") as found:
        wrong.poll({}, 1.0)
    assert "not the password" not in str(found.value)
