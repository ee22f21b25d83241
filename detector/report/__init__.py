"""Results to hand over: PDF, JSON, CSV, Parquet, archives."""
