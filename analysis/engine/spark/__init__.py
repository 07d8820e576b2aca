"""Spark: sessions on a master, and DuckDB's statements as Spark runs them. Needs the extra `spark`."""
