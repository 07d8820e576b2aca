"""Spark for who outgrows a machine: the statement that DuckDB would run, on the same files, with the same answer."""

import atexit
import json
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from signal import SIGINT, getsignal, signal
from threading import current_thread, main_thread
from typing import TYPE_CHECKING, Any

import duckdb

from secondguess.analysis.engine import duck
from secondguess.analysis.engine.duck import Rows
from secondguess.analysis.engine.spark.quoting import quoted
from secondguess.analysis.engine.sqltext import identifier
from secondguess.analysis.engine.statement import Statement
from secondguess.analysis.errors import BadInput, Damaged, MissingExtra, OutOfMemory, Refused
from secondguess.analysis.objects.path import ObjectPath

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql import DataFrame, SparkSession

    from secondguess.analysis.engine.spark.translated import Source

LOCAL = "local[2]"
_JAVA = 17
_UNTYPED = '"NULL"'  # what DuckDB calls the type of NULL
_PORTS = {"spark": 7077, "sc": 15002}
_REACHED_S = 10
_WAIT_S = 60  # for a cluster's first worker
_FEW = 4  # pieces of what is exchanged on one machine, for each of its cores
# What makes its SQL mean what DuckDB's does.
_OF_SESSION = {
    "spark.sql.ansi.enabled": "true",
    "spark.sql.variable.substitute": "false",
    "spark.sql.caseSensitive": "false",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
    "spark.sql.parquet.inferTimestampNTZ.enabled": "true",
    # It makes a plan that Spark itself calls invalid of a column that is NULL in all branches of a UNION.
    "spark.sql.optimizer.excludedRules": "org.apache.spark.sql.catalyst.optimizer.RemoveRedundantAliases",
}
_SETTINGS = {"spark.ui.enabled": "false", "spark.log.level": "WARN", **_OF_SESSION}
_open: dict[str, "Spark"] = {}


@dataclass(frozen=True)
class Spark:
    """A session of Spark that is open, on a master; where its log goes, None for one that runs elsewhere."""

    session: "SparkSession"
    master: str
    log: Path | None

    def query(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> tuple["pa.Table", list[tuple[str, str]]]:
        """Run a statement; the answer, whose columns are c0, c1, …, and what DuckDB calls them, and their types.

        con is a connection that may read the statement's files: it says first what is wrong with the statement, as it
        would where DuckDB ran it. Raises duckdb.IOException where a file is gone, and SecondguessError.
        """
        if statement.only_duckdb:
            raise Refused(f"Spark cannot run {statement.only_duckdb}; ask DuckDB: --engine duckdb")
        duck.bind(con, statement)
        described = [(str(row[0]), str(row[1])) for row in con.execute(f"DESCRIBE {statement.text}").fetchall()]
        return self._run(con, statement, statement.text, len(described)), described

    def _run(self, con: duckdb.DuckDBPyConnection, statement: Statement, text: str, columns: int) -> "pa.Table":
        from secondguess.analysis.engine.spark.translated import translated

        zone = con.execute("SELECT current_setting('TimeZone')").fetchall()[0][0]
        ours = any(isinstance(path, ObjectPath) for path in statement.files) and not self._reads_s3()
        made = translated(con, text, statement.files, columns, pruned=ours)
        with explained(self.log):
            for name, value in {"spark.sql.session.timeZone": str(zone), **_OF_SESSION}.items():
                self.session.conf.set(name, value)
            for source in made.sources:
                self._view(source).createOrReplaceTempView(source.name)
            kept: list[DataFrame] = []
            try:
                for name, sql in made.steps:
                    kept.append(self.session.sql(sql).persist())
                    kept[-1].createOrReplaceTempView(name)
                return self.session.sql(made.sql).toArrow()
            finally:
                for step in kept:
                    step.unpersist()

    def _view(self, source: "Source") -> "DataFrame":
        """The rows of some files, with what DuckDB adds to them where the statement names it."""
        from pyspark.sql import functions

        place = "file_row_number" in source.options
        items = ["*", *(["_metadata.row_index AS file_row_number"] if place else [])]

        def read(files: Sequence[Path]) -> "DataFrame":
            if isinstance(files[0], ObjectPath) and not self._reads_s3():
                return self._of_bucket(source, files)
            return self.session.read.parquet(*map(_escaped, files)).selectExpr(*items)

        if "filename" not in source.options:
            return read(source.files)
        parts = [read([path]).withColumn("filename", functions.lit(str(path))) for path in source.files]
        whole = parts[0]
        for part in parts[1:]:
            whole = whole.unionByName(part, allowMissingColumns=True)
        return whole

    def _reads_s3(self) -> bool:
        """Whether Hadoop's classes for S3 are there, as by spark.jars.packages org.apache.hadoop:hadoop-aws:3.5.0."""
        jvm = None if self.log is None else self.session.sparkContext._jvm
        return jvm is not None and bool(
            jvm.org.apache.spark.util.Utils.classIsLoadable("org.apache.hadoop.fs.s3a.S3AFileSystem")
        )

    def _of_bucket(self, source: "Source", files: Sequence[Path]) -> "DataFrame":
        """The columns of files in a bucket that the statement needs, read as our own classes do."""
        from sqlglot import exp

        from secondguess.analysis.engine.spark.bucket import NAME, BucketSource
        from secondguess.analysis.engine.spark.types import spark_type

        self.session.dataSource.register(BucketSource)
        types = {name: exp.DataType.build(kind, dialect="duckdb") for name, kind in source.columns.items()}
        own = [f"{quoted(name)} {spark_type(kind)}" for name, kind in types.items() if name != "filename"]
        reading = self.session.read.format(NAME).schema(", ".join(own))
        return reading.option("files", json.dumps([str(path) for path in files])).load()

    def rows(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> Rows:
        """As `duck.rows`."""
        own, answer = _typed(*self.query(con, statement))
        return duck.rows(own, answer)

    def page(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> tuple[Rows, int | None]:
        """As `duck.page`."""
        result = self.rows(con, statement)
        asked = statement.page
        if asked is None or (asked.limit is None and not asked.offset):
            return result, None
        read = list(result.rows)
        if (asked.limit is None or len(read) < asked.limit) and (read or not asked.offset):
            return replace(result, rows=iter(read)), asked.offset + len(read)
        counted = self._run(con, statement, statement.total, 1)
        return replace(result, rows=iter(read)), int(counted.column(0)[0].as_py())

    def batches(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> "pa.RecordBatchReader":
        """As `duck.batches`."""
        own, answer = _typed(*self.query(con, statement))
        return duck.batches(own, answer)

    def relation(self, con: duckdb.DuckDBPyConnection, statement: Statement) -> duckdb.DuckDBPyRelation:
        """The answer, which is in memory, as a relation of the connection."""
        table, described = self.query(con, statement)
        return con.from_arrow(table).project(_items(described))


def _items(described: Sequence[tuple[str, str]]) -> str:
    """Spark's columns with DuckDB's names and types."""
    items = [
        (f"c{place}" if kind == _UNTYPED else f"CAST(c{place} AS {kind})", name)
        for place, (name, kind) in enumerate(described)
    ]
    return ", ".join(f"{sql} AS {identifier(name)}" for sql, name in items)


def _typed(table: "pa.Table", described: Sequence[tuple[str, str]]) -> tuple[duckdb.DuckDBPyConnection, Statement]:
    """A connection that has Spark's answer, and the statement that gives it as DuckDB would have."""
    own = duck.fresh()
    own.register("answer", table)
    return own, Statement("", f"SELECT {_items(described)} FROM answer")


def _escaped(path: Path) -> str:
    """A path as Spark's pattern that fits it alone."""
    text = re.sub(r"([\\*?\[\]{}])", r"\\\1", str(path))
    return text.replace("s3://", "s3a://", 1) if isinstance(path, ObjectPath) else text


def opened(master: str | None = None) -> Spark:
    """The session on a master, kept for the life of the process; one is open at a time.

    master is local[N], spark://HOST:PORT, or sc://HOST:PORT of Spark Connect. Raises MissingExtra without the extra,
    BadInput without Java where it is needed, and Refused where the master is not to be reached.
    """
    master = master or LOCAL
    if not re.fullmatch(r"local(\[(\d+|\*)\])?|(spark|sc)://\S+|yarn|k8s://\S+", master):
        raise BadInput(f"--master {master!r} is none; it is local[2], spark://HOST:7077 or sc://HOST:15002")
    for module in ("pyspark", "sqlglot"):
        if find_spec(module) is None:
            raise MissingExtra(f"{module}, which --engine spark needs,", "spark")
    if master.startswith("sc://") and find_spec("grpc") is None:
        raise BadInput(f"--master {master} needs the client of Spark Connect: pip install 'pyspark[connect]'")
    if master not in _open:
        if not master.startswith("sc://"):
            _check_java()
        _reach(master)
        ended()
        _open[master] = _started(master)
    return _open[master]


def _reach(master: str) -> None:
    """Raise Refused where nothing listens at a master's address, which Spark would try again for minutes."""
    scheme, _, rest = master.partition("://")
    places = re.findall(r"([^,:/;]+)(?::(\d+))?", re.split(r"[/;]", rest)[0]) if scheme in _PORTS else []
    said = ""
    for host, port in places:
        try:
            socket.create_connection((host, int(port or _PORTS[scheme])), _REACHED_S).close()
        except OSError as error:
            said = f"{host}:{port or _PORTS[scheme]}: {error.strerror or error}"
        else:
            return
    if said:
        raise Refused(f"Spark's master is not to be reached ({said}); see that it runs, and that --master names it")


def _check_java() -> None:
    """Raise BadInput where there is no Java that Spark runs on."""
    home = os.environ.get("JAVA_HOME")
    java = shutil.which("java", path=str(Path(home) / "bin")) if home else shutil.which("java")
    where = f"in JAVA_HOME ({home})" if home else "on the PATH"
    todo = f"install Java {_JAVA} or newer (apt-get install openjdk-17-jre-headless), or set JAVA_HOME to where it is"
    if java is None:
        raise BadInput(f"--engine spark needs Java, and there is none {where}; {todo}")
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        raise BadInput(f"--engine spark needs Java, and {java} does not start; {todo}") from None
    match = re.search(r'version "(?:1\.)?(\d+)', said.stderr + said.stdout)
    if match is None:
        raise BadInput(f"--engine spark needs Java, and {java} does not say its version; {todo}")
    if int(match[1]) < _JAVA:
        raise BadInput(f"--engine spark needs Java {_JAVA} or newer, and {java} is Java {match[1]}; {todo}")


def _started(master: str) -> Spark:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # pyspark's own, of versions of what it uses
        from pyspark.sql import SparkSession
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL + 1)  # each error as a page of JSON
    if master.startswith("sc://"):
        with explained(None):
            return Spark(SparkSession.builder.remote(master).getOrCreate(), master, None)
    folder = duck.spill_folder()
    log = folder / "log"
    atexit.register(_end, folder)
    handler = getsignal(SIGINT)
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # what reads a bucket needs this package
    try:
        with explained(log):
            return Spark(_session(master, folder, log), master, log)
    finally:
        if current_thread() is main_thread():
            signal(SIGINT, handler)  # Spark puts its own in its place


def _session(master: str, folder: Path, log: Path) -> "SparkSession":
    """A session of a driver of our own, which writes its log into a file and nothing to the terminal."""
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway
    from pyspark.sql import SparkSession

    settings = {**_SETTINGS, "spark.sql.warehouse.dir": str(folder / "warehouse"), "spark.master": master}
    if master.startswith("local"):
        here = {"spark.driver.host": "127.0.0.1", "spark.driver.bindAddress": "127.0.0.1"}
        settings |= {**here, "spark.local.dir": str(folder), "spark.sql.shuffle.partitions": str(_pieces(master))}
    conf = SparkConf(loadDefaults=False).setAppName("secondguess").setAll(list(settings.items()))
    gateway = None
    if SparkContext._gateway is None:
        with log.open("ab") as out:
            gateway = launch_gateway(conf, {"stdout": out, "stderr": out})  # type: ignore[no-untyped-call]
    context = SparkContext(gateway=gateway, conf=conf)
    if not master.startswith("local"):
        _await_worker(context, master)
    return SparkSession(context)


def _pieces(master: str) -> int:
    """Into how many pieces what is exchanged is divided on one machine."""
    cores = re.search(r"\d+", master)
    return _FEW * (int(cores.group()) if cores is not None else os.cpu_count() or 1 if "*" in master else 1)


def _await_worker(context: Any, master: str) -> None:
    """Raise Refused where a cluster gives no worker for a minute: Spark would wait for ever, and say so in a log."""
    until = time.monotonic() + _WAIT_S
    while context._jsc.sc().getExecutorMemoryStatus().size() < 2:  # one is the driver
        if time.monotonic() > until:
            context.stop()
            raise Refused(
                f"{master} gave no worker within {_WAIT_S} s; see on its page that it has workers with free memory"
            )
        time.sleep(0.1)


def ended() -> None:
    """End the session that is open, and its Java: what that was begun with holds for one master."""
    from pyspark import SparkContext

    _stop()
    gateway = SparkContext._gateway
    if gateway is not None and gateway.proc is not None:  # else spark-submit began it, and it is not ours to end
        gateway.shutdown()
        gateway.proc.stdin.close()  # at whose end it ends
        gateway.proc.wait()
        SparkContext._gateway = SparkContext._jvm = None


def _stop() -> None:
    for master in list(_open):
        _open.pop(master).session.stop()


def _end(folder: Path) -> None:
    _stop()  # its Java ends with the process
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def explained(log: Path | None) -> Iterator[None]:
    """What Spark says is wrong as one line, without its stack; a file that is gone as DuckDB says it."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module="pyspark")  # its own, of versions of what it uses
            yield
    except (PySparkException, Py4JError, ConnectionError) as error:
        raise _explained(str(error), log) from None
    except RuntimeError as error:  # the gateway's, where Java ends as it begins
        raise _explained(f"{error}", log) from None


def _explained(said: str, log: Path | None) -> Exception:
    message = _line(said)
    if re.search(r"FILE_NOT_EXIST|PATH_NOT_FOUND|FileNotFoundException", said):
        return duckdb.IOException(message)
    if "JAVA_GATEWAY_EXITED" in said:
        last = log.read_text(errors="replace").strip().splitlines()[-1:] if log is not None and log.exists() else []
        return Refused(f"Spark did not start: {_line(' '.join(last)) or 'its Java ended at once'}")
    if "OutOfMemoryError" in said or "maxResultSize" in said or "Cannot allocate memory" in said:
        return OutOfMemory(f"Spark: {message}; ask for fewer rows, or give it more memory in conf/spark-defaults.conf")
    if re.search(r"FAILED_READ_FILE|CANNOT_READ_FILE_FOOTER|ParquetDecodingException|is not a Parquet file", said):
        return Damaged(f"{message}; a file is damaged: restore it, or leave it out by name with --verify")
    if re.search(r"masters are unresponsive|Connection refused|UNAVAILABLE|Failed to connect", said):
        return Refused(f"Spark's master is not to be reached: {message}; see that it runs, and that --master names it")
    return Refused(f"Spark: {message}")


def _line(said: str) -> str:
    """The first sentence of an error of Spark's: without classes, stack and the SQL that we wrote."""
    causes = re.findall(r"(?:Caused by: )?[\w.$]+(?:Exception|Error): (.+)", said)
    conditions = [cause for cause in (said, *causes) if cause.startswith("[")]
    first = (conditions or causes or [said])[0].strip()
    first = re.split(r"\n|== SQL|\tat |SQLSTATE| Use `try_| If necessary set", first)[0]
    return " ".join(first.split()).rstrip(" ;.")
