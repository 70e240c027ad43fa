"""The cloud: ingest, time series, incidents, dispatch, notification and the console."""
