"""The store: immutable Parquet files, and the commit records that alone make them count."""
