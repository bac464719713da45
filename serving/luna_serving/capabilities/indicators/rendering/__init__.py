"""Answers of indicators: JSON, CSV, an Arrow stream or Parquet. Imports no store and no edge: replicas render, too."""
