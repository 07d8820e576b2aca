"""How another DuckDB is set up to read a bucket: the statements that come before one that names its files."""

from collections.abc import Iterable
from pathlib import Path

from secondguess.analysis.objects.client import Access
from secondguess.analysis.objects.path import ObjectPath


def before(paths: Iterable[Path]) -> list[str]:
    """The two lines for each bucket in which a path lies, without a secret; none for paths of this machine."""
    buckets = {path.bucket.url: path.bucket for path in paths if isinstance(path, ObjectPath)}
    return list(dict.fromkeys(line for url in sorted(buckets) for line in _lines(url, buckets[url].access())))


def _lines(url: str, access: Access) -> list[str]:
    scheme = url.split("://")[0]
    if scheme == "az":
        return ["INSTALL azure; LOAD azure;", "CREATE SECRET (TYPE azure, PROVIDER credential_chain);"]
    if scheme == "gs":  # httpfs reads these with HMAC keys only, which nobody but their owner has
        return ["INSTALL httpfs; LOAD httpfs;", "CREATE SECRET (TYPE gcs, KEY_ID '…', SECRET '…');"]
    scheme, _, host = access.endpoint.partition("://")
    values = {"region": _quoted(access.region)} if access.region else {}
    if host:
        values |= {"endpoint": _quoted(host), "use_ssl": str(scheme == "https").lower(), "url_style": "'path'"}
    if access.by_environment:  # httpfs takes the keys from there, but no endpoint
        set_up = " ".join(f"SET s3_{name} = {value};" for name, value in values.items())
    else:
        given = "".join(f", {name.upper()} {value}" for name, value in values.items())
        set_up = f"CREATE SECRET (TYPE s3, PROVIDER credential_chain{given});"
    return ["INSTALL httpfs; LOAD httpfs;", *filter(None, [set_up])]


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
