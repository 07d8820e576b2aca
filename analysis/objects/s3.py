"""The requests of a bucket that speaks S3, through boto3: its faults in one line each, without a secret."""

import random
import re
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import boto3.session
import botocore.exceptions as faults
from botocore.config import Config

from secondguess.analysis.objects.client import Access, Entry, StaleObject

ATTEMPTS = 5
TIMEOUT = 30.0  # seconds without a byte
_PART = 16 << 20  # bytes
_PARTS_AT_ONCE = 4
_MOST_PARTS = 10_000  # of an object, so parts are larger from 160 GB on
_TOKEN = "upload"
_DELETED_AT_ONCE = 1000

_ABSENT = {"NoSuchKey", "404"}
_TAKEN = {"PreconditionFailed", "412"}
# Another conditional request for the same key was under way: neither won yet.
_CONFLICT = {"ConditionalRequestConflict", "OperationAborted", "409"}
_UNSENT = (faults.EndpointConnectionError, faults.ConnectTimeoutError, faults.NoCredentialsError)
# Of a body; boto3 asks again by itself where no answer came at all.
_CUT = (faults.ResponseStreamingError, faults.IncompleteReadError)
T = TypeVar("T")
_SETTINGS = "AWS_PROFILE, AWS_ENDPOINT_URL, AWS_MAX_ATTEMPTS and ~/.aws/config"
_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE"


class S3:
    """A bucket on AWS, or where AWS_ENDPOINT_URL or the profile says."""

    def __init__(self, name: str, timeout: float = TIMEOUT) -> None:
        self._name = name
        self._timeout = timeout
        try:
            session = boto3.session.Session()
            attempts = session._session.get_config_variable("max_attempts")
            self._attempts = int(attempts or ATTEMPTS)
            self._s3 = session.client("s3", config=self._config())
            self._credentials = session.get_credentials
        except (faults.BotoCoreError, ValueError) as error:
            raise OSError(f"s3://{name} cannot be opened: {_plain(error)}; look at {_SETTINGS}") from None

    def _config(self) -> Config:
        return Config(
            connect_timeout=min(10.0, self._timeout),
            read_timeout=self._timeout,
            retries={"mode": "standard", "total_max_attempts": self._attempts},
            max_pool_connections=32,
            user_agent_extra="secondguess",
        )

    def entries(self, prefix: str) -> list[Entry]:
        """All objects whose key starts with the prefix, a thousand a request."""
        pages = self._s3.get_paginator("list_objects_v2")

        def listed() -> list[Entry]:
            return [
                Entry(row["Key"], row["Size"], row["ETag"], row["LastModified"].astimezone(UTC))
                for page in pages.paginate(Bucket=self._name, Prefix=prefix)
                for row in page.get("Contents", ())
            ]

        return self._asked(f"s3://{self._name}/{prefix} cannot be listed", listed)

    def entry(self, key: str) -> Entry:
        """One object, unread; raises FileNotFoundError."""
        about = self._asked(
            f"s3://{self._name}/{key} cannot be read", lambda: self._s3.head_object(Bucket=self._name, Key=key)
        )
        return Entry(key, about["ContentLength"], about["ETag"], about["LastModified"].astimezone(UTC))

    def read(self, key: str, span: tuple[int, int] | None = None, etag: str = "") -> tuple[bytes, str]:
        """The content, or a range of it, asked for again where the connection was cut within it."""
        wanted = {"Bucket": self._name, "Key": key}
        if span is not None:
            wanted["Range"] = f"bytes={span[0]}-{span[1] - 1}"
        if etag:
            wanted["IfMatch"] = etag

        def fetched() -> tuple[bytes, str]:
            answer = self._s3.get_object(**wanted)
            data = answer["Body"].read()
            if span is not None and len(data) != span[1] - span[0]:
                raise faults.IncompleteReadError(actual_bytes=len(data), expected_bytes=span[1] - span[0])
            return data, answer["ETag"]

        return self._asked(f"s3://{self._name}/{key} cannot be read", fetched)

    def put(self, key: str, data: bytes | Path, *, absent: bool) -> str:
        """Write the object; a file larger than a part goes up in parts, and is there once the last one is."""
        what = f"s3://{self._name}/{key} cannot be written"
        if isinstance(data, Path):
            if data.stat().st_size > _PART:
                return self._put_in_parts(key, data, absent, what)
            data = data.read_bytes()
        if absent:
            return self._created(key, data, what)
        return str(self._asked(what, lambda: self._s3.put_object(Bucket=self._name, Key=key, Body=data))["ETag"])

    def _put_in_parts(self, key: str, file: Path, absent: bool, what: str) -> str:
        """Send a file's parts beside each other, then make an object of them; if that fails they are removed."""
        token = uuid.uuid4().hex  # tells our object from another one where the last answer was lost
        size = file.stat().st_size
        length = max(_PART, -(-size // _MOST_PARTS))
        begun = partial(self._s3.create_multipart_upload, Bucket=self._name, Key=key, Metadata={_TOKEN: token})
        upload = {"Bucket": self._name, "Key": key, "UploadId": self._asked(what, begun)["UploadId"]}

        def sent(number: int) -> dict[str, Any]:
            with file.open("rb") as opened:
                opened.seek((number - 1) * length)
                part = opened.read(length)
            answer = self._asked(what, partial(self._s3.upload_part, **upload, PartNumber=number, Body=part))
            return {"PartNumber": number, "ETag": answer["ETag"]}

        try:
            with ThreadPoolExecutor(_PARTS_AT_ONCE) as pool:
                parts = list(pool.map(sent, range(1, -(-size // length) + 1)))
            return self._completed(upload, parts, absent, token, what)
        except BaseException:
            with suppress(faults.ClientError, faults.BotoCoreError):
                self._s3.abort_multipart_upload(**upload)
            raise

    def _completed(
        self, upload: dict[str, str], parts: list[dict[str, Any]], absent: bool, token: str, what: str
    ) -> str:
        """Make an object of its parts; gives its ETag."""
        condition = {"IfNoneMatch": "*"} if absent else {}
        try:
            answer = self._s3.complete_multipart_upload(**upload, **condition, MultipartUpload={"Parts": parts})
            return str(answer["ETag"])
        except (faults.ClientError, faults.BotoCoreError) as error:
            key = upload["Key"]
            with suppress(faults.ClientError, faults.BotoCoreError):
                about = self._s3.head_object(Bucket=self._name, Key=key)
                if about["Metadata"].get(_TOKEN) == token:
                    return str(about["ETag"])
            if isinstance(error, faults.ClientError) and _code(error) in _TAKEN:
                raise FileExistsError(f"s3://{self._name}/{key} is there already") from None
            raise self._fault(what, error) from None

    def _created(self, key: str, data: bytes, what: str) -> str:
        """Put if absent, in one request; asks again while another one for the key is under way."""
        for attempt in range(1, self._attempts + 1):
            try:
                answer = self._s3.put_object(Bucket=self._name, Key=key, Body=data, IfNoneMatch="*")
                return str(answer["ETag"])
            except faults.ClientError as error:
                code = _code(error)
                if code in _CONFLICT and attempt < self._attempts:
                    _pause(attempt)
                    continue
                retried = attempt > 1 or error.response.get("ResponseMetadata", {}).get("RetryAttempts", 0) > 0
                unsure = (code in _TAKEN and retried) or _status(error) >= 500
                if unsure and (etag := self._ours(key, data)):
                    return etag
                if code in _TAKEN:
                    raise FileExistsError(f"s3://{self._name}/{key} is there already") from None
                raise self._fault(what, error) from None
            except faults.BotoCoreError as error:
                if not isinstance(error, _UNSENT) and (etag := self._ours(key, data)):
                    return etag
                raise self._fault(what, error) from None
        raise AssertionError  # the last attempt returns or raises

    def _ours(self, key: str, data: bytes) -> str:
        """The ETag of what lies there if it is these bytes: a put whose answer was lost. Else nothing."""
        try:
            there, etag = self.read(key)
        except OSError:
            return ""
        return etag if there == data else ""

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects, a thousand a request."""
        names = list(keys)
        for start in range(0, len(names), _DELETED_AT_ONCE):
            part = [{"Key": key} for key in names[start : start + _DELETED_AT_ONCE]]
            what = f"s3://{self._name}/{part[0]['Key']} and {len(part) - 1} more cannot be removed"
            removal = {"Objects": part, "Quiet": True}
            answer = self._asked(what, partial(self._s3.delete_objects, Bucket=self._name, Delete=removal))
            for error in answer.get("Errors", ()):
                if error.get("Code") not in _ABSENT:
                    raise OSError(f"s3://{self._name}/{error.get('Key')} cannot be removed: {error.get('Code')}")

    def access(self) -> Access:
        """The endpoint where it is not AWS's own, the region, and whether the environment holds the keys."""
        endpoint, region = _host(self._s3.meta.endpoint_url), str(self._s3.meta.region_name or "")
        own = (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))
        try:
            credentials = self._credentials()
        except faults.BotoCoreError:
            credentials = None
        by_environment = credentials is not None and credentials.method == "env"
        return Access("" if own else endpoint, "" if region == "aws-global" else region, by_environment)

    def _asked(self, what: str, ask: Callable[[], T]) -> T:
        """What `ask` returns, asked again where a body was cut; raises an OSError that says `what`."""
        for attempt in range(1, self._attempts + 1):
            try:
                return ask()
            except _CUT as error:
                if attempt == self._attempts:
                    raise self._fault(what, error) from None
                _pause(attempt)
            except (faults.ClientError, faults.BotoCoreError) as error:
                raise self._fault(what, error) from None
        raise AssertionError  # the last attempt returns or raises

    def _fault(self, what: str, error: Exception) -> OSError:
        """The OSError that says in one line what boto3's says in many."""
        if isinstance(error, faults.ClientError):
            return self._refusal(what, error)
        where = _host(self._s3.meta.endpoint_url)
        if isinstance(error, faults.NoCredentialsError | faults.PartialCredentialsError):
            return PermissionError(f"{what}: no credentials; set {_KEYS}")
        if isinstance(error, faults.ReadTimeoutError):
            return TimeoutError(f"{what}: {where} did not answer within {self._timeout:g} s; try again")
        if isinstance(error, faults.EndpointConnectionError | faults.ConnectTimeoutError):
            return ConnectionError(f"{what}: {where} cannot be reached; look at AWS_ENDPOINT_URL and the network")
        if isinstance(error, faults.HTTPClientError | faults.IncompleteReadError):
            return ConnectionError(f"{what}: the connection to {where} was lost {self._attempts} times; try again")
        return OSError(f"{what}: {_plain(error)}")

    def _refusal(self, what: str, error: faults.ClientError) -> OSError:
        """The OSError for an answer of the server that is no success."""
        code, status, where = _code(error), _status(error), _host(self._s3.meta.endpoint_url)
        if code == "NoSuchBucket":
            return OSError(f"{what}: there is no bucket {self._name!r} at {where}; make it, or name another one")
        if code in _ABSENT:
            return FileNotFoundError(f"{what}: it is not there")
        if code in _TAKEN:
            return StaleObject(f"{what}: it was changed meanwhile; ask again")
        if code in {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}:
            return PermissionError(f"{what}: the credentials have expired; fetch new ones")
        if status in {401, 403}:
            return PermissionError(f"{what}: refused ({status} {code}); look at {_KEYS}, and at what these may do")
        if status in {301, 307, 400} and code in {"PermanentRedirect", "AuthorizationHeaderMalformed", "301"}:
            return OSError(f"{what}: the bucket is in another region; set AWS_REGION")
        if status >= 500 or code in {"SlowDown", "RequestTimeout"}:
            return ConnectionError(
                f"{what}: {where} answered {status} ({code}) {self._attempts} times; try again later"
            )
        return OSError(f"{what}: {where} answered {status} ({code})")


def _pause(attempt: int) -> None:
    time.sleep(random.uniform(0, min(0.1 * 2**attempt, 5.0)))


def _code(error: faults.ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _status(error: faults.ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _host(endpoint: str) -> str:
    """Scheme, host and port: a user and a password, which may stand before them, are left out."""
    parts = urlsplit(endpoint)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _plain(error: Exception) -> str:
    """What it says, in one line, without a user and a password in a URL."""
    return re.sub(r"[^/\s]*@", "", " ".join(str(error).split()))
