"""Files of a bucket for Spark, without Hadoop's S3 classes: one part a row group, of which the named columns are read.

Each worker asks the bucket itself, as `objects.bucket` does, and so needs this package, and credentials of its own.
"""

import json
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pyspark.sql.datasource import DataSource, DataSourceReader, InputPartition
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType

from secondguess.analysis.objects.bucket import bucket

PLACE = "file_row_number"
NAME = "secondguess_bucket"


class RowGroup(InputPartition):
    """A row group of a file, and which row of it is the first."""

    def __init__(self, url: str, number: int, first: int) -> None:
        self.url, self.number, self.first = url, number, first


class BucketSource(DataSource):
    """What `spark.read.format(NAME)` reads: the option files is a JSON list of URLs; the schema names the columns."""

    @classmethod
    def name(cls) -> str:
        """The format's name."""
        return NAME

    def reader(self, schema: StructType) -> "BucketReader":
        """What reads the files."""
        return BucketReader(json.loads(self.options["files"]), schema)


class BucketReader(DataSourceReader):
    """Reads row groups as Arrow batches of the schema; raises OSError for what the bucket does not give."""

    def __init__(self, files: list[str], schema: StructType) -> None:
        self._files = files
        self._schema = schema

    def partitions(self) -> Sequence[InputPartition]:
        """One a row group, found in the files' footers."""
        parts: list[InputPartition] = []
        for url in self._files:
            with _opened(url) as file:
                about, first = pq.ParquetFile(file).metadata, 0
                for number in range(about.num_row_groups):
                    parts.append(RowGroup(url, number, first))
                    first += about.row_group(number).num_rows
        return parts

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        """The rows of a part."""
        assert isinstance(partition, RowGroup)
        target = to_arrow_schema(self._schema)
        with _opened(partition.url) as file:
            own = pq.ParquetFile(file)
            folded = {name.lower(): name for name in own.schema_arrow.names}
            names = [folded[name.lower()] for name in target.names if name.lower() in folded]
            rows = own.read_row_group(partition.number, columns=names)
        columns = []
        for field in target:
            if field.name == PLACE and field.name not in folded:
                place = pa.array(range(partition.first, partition.first + rows.num_rows), pa.int64())
                columns.append(pa.chunked_array([place]))
            elif field.name.lower() in folded:
                columns.append(rows.column(folded[field.name.lower()]).cast(field.type))
            else:
                columns.append(pa.chunked_array([pa.nulls(rows.num_rows, field.type)]))
        yield from pa.table(columns, schema=target).to_batches()


def _opened(url: str) -> Any:
    return bucket(url).filesystem().open(url)
