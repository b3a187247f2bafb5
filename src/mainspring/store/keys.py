"""The key that a home signs its audit with: made on first use, readable by its owner only.

Ed25519 (RFC 8032). Both files are PEM, so that any tool can check a signature: ``keys/audit.key`` (PKCS #8, mode
0600) and ``keys/audit.pub`` (SubjectPublicKeyInfo). Public keys of other homes that this one believes lie in
``keys/known/*.pub``.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mainspring.errors import StoreError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

#: A key file is some hundred bytes; what is longer is none.
_LONGEST = 10_000


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key that signatures are checked with. `id` is ``ed25519:`` and 32 hex digits of its SHA-256."""

    id: str
    pem: str
    _key: Ed25519PublicKey

    def verifies(self, signature: str, data: bytes) -> bool:
        """True when `signature` (hex) is this key's over `data`."""
        from cryptography.exceptions import InvalidSignature

        try:
            self._key.verify(bytes.fromhex(signature), data)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """The home's own key."""

    public: PublicKey
    _key: Ed25519PrivateKey

    def sign(self, data: bytes) -> str:
        """The signature over `data`, as hex."""
        return self._key.sign(data).hex()


_signers: dict[Path, tuple[tuple[int, int, int], Signer]] = {}


def signer(home: Path) -> Signer:
    """The key of a home, made when there is none yet.

    Raises:
        StoreError: somebody else can read it, it is no key, or it is gone while its public half is still there.
    """
    path = home / "keys" / "audit.key"
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        _make(path)
        found = os.lstat(path)
    except OSError as error:
        raise StoreError(f"the signing key {path} cannot be used: {error}") from None
    _private(path, found)
    _private(path.parent, os.lstat(path.parent))
    mark = (found.st_ino, found.st_mtime_ns, found.st_size)
    known = _signers.get(path)
    if known is not None and known[0] == mark:
        return known[1]
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(_read(path).encode(), None)
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} is no Ed25519 key ({error}); restore it from a backup") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise StoreError(f"{path} is a key of another kind; restore the Ed25519 key from a backup")
    made = Signer(_public(key.public_key()), key)
    public = path.with_suffix(".pub")
    if not public.exists():  # the process that made the key died in between
        _write(public, made.public.pem, 0o644)
    elif read_public(public).id != made.public.id:
        raise StoreError(
            f"{path} and {public.name} are not of one pair: the key was replaced; restore the old one, or move both "
            "away to begin with a new key (`mainspring audit trust` the old public key first)"
        )
    _signers[path] = (mark, made)
    return made


def own_public(home: Path) -> PublicKey | None:
    """The public half of a home's key, or None when it has signed nothing yet; raises StoreError."""
    path = home / "keys" / "audit.pub"
    return read_public(path) if path.exists() else None


def known_keys(home: Path) -> Mapping[str, PublicKey]:
    """The public keys that a home believes, its own first, by id. Raises StoreError for a file that holds none."""
    own = own_public(home)
    found = {own.id: own} if own is not None else {}
    for path in sorted((home / "keys" / "known").glob("*.pub")):
        key = read_public(path)
        found.setdefault(key.id, key)
    return found


def trust(home: Path, source: Path) -> PublicKey:
    """Believe the public key in `source` from now on; raises StoreError."""
    key = read_public(source)
    folder = home / "keys" / "known"
    _folder(home / "keys")
    _folder(folder)
    _write(folder / f"{key.id.partition(':')[2]}.pub", key.pem, 0o644)
    return key


def read_public(path: Path) -> PublicKey:
    """A public key from its PEM file; raises StoreError."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        key = load_pem_public_key(_read(path).encode())
    except (ValueError, TypeError) as error:
        raise StoreError(f"{path} holds no public key in PEM ({error})") from None
    if not isinstance(key, Ed25519PublicKey):
        raise StoreError(f"{path} holds a key of another kind than Ed25519")
    return _public(key)


def _public(key: Ed25519PublicKey) -> PublicKey:
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    digest = hashlib.sha256(key.public_bytes(Encoding.Raw, PublicFormat.Raw)).hexdigest()
    return PublicKey("ed25519:" + digest[:32], pem, key)


def _make(path: Path) -> None:
    public = path.with_suffix(".pub")
    if public.exists():
        raise StoreError(
            f"the signing key {path} is gone, but its public half is there: restore it from a backup, or move "
            f"{public} away to begin with a new key (`mainspring audit trust` the old public key first)"
        )
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    _folder(path.parent)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    _write(path, pem, 0o600, replace=False)


def _folder(path: Path) -> None:
    try:
        path.mkdir(parents=True, mode=0o700, exist_ok=True)
    except OSError as error:
        raise StoreError(f"the folder {path} for keys cannot be made: {error}") from None


def _private(path: Path, found: os.stat_result) -> None:
    if stat.S_ISLNK(found.st_mode):
        raise StoreError(f"{path} is a link; keep the signing key itself there")
    if found.st_mode & 0o077:
        raise StoreError(
            f"{path} is open to others (mode {stat.S_IMODE(found.st_mode):o}), so anybody may have signed with it: "
            f"chmod go= {path}"
        )
    if found.st_uid != os.geteuid():
        raise StoreError(f"{path} belongs to user {found.st_uid}, not to you; nothing is signed with it")


def _read(path: Path) -> str:
    try:
        with open(path, encoding="ascii") as file:
            return file.read(_LONGEST)
    except (OSError, UnicodeDecodeError) as error:
        raise StoreError(f"the key {path} cannot be read: {error}") from None


def _write(path: Path, text: str, mode: int, *, replace: bool = True) -> None:
    """Whole or not at all, and with `replace=False` only when nobody was faster."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    try:
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        with open(fd, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(fd)
        if replace:
            os.replace(temporary, path)
        else:
            with contextlib.suppress(FileExistsError):
                os.link(temporary, path)
    except OSError as error:
        raise StoreError(f"the key {path} cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
