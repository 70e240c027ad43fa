"""InfluxDB 1.8 and 2.x as a time-series store: writes as ready lines, reads by InfluxQL, which all versions speak."""
