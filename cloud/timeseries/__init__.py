"""Time-series stores behind one interface: SQLite (embedded) and InfluxDB."""
