"""Checksums of files that came from elsewhere: MD5 as W&B's manifests write it, in base64, and sha256."""

import base64
import binascii
import hashlib
from pathlib import Path

from secondguess.analysis.opening import open_regular


def md5_hex(text: str) -> str | None:
    """An MD5 in hexadecimal digits, from base64; None for what is none."""
    try:
        digest = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 16 else None


def md5(data: bytes) -> str:
    """The MD5 of bytes, in hexadecimal digits."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def md5_of(path: Path) -> str:
    """The MD5 of a regular file of any size, in hexadecimal digits; raises as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()


def object_file(cache: Path, md5: str) -> Path:
    """Where the SDK's cache keeps the file of an MD5 in hexadecimal digits."""
    return cache / "artifacts" / "obj" / "md5" / md5[:2] / md5[2:]


def is_sha256(data: bytes, told: str) -> bool:
    """Whether bytes have the sha256 that a table or a log tells, in hexadecimal digits of any case."""
    return hashlib.sha256(data).hexdigest() == told.lower()


def is_sha256_of(path: Path, told: str) -> bool:
    """Whether a regular file of any size has it; raises as `open_regular`."""
    with open_regular(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == told.lower()
