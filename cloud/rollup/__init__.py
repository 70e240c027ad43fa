"""Roll-ups: windows of 15 minutes and one day, computed by one job, again where late data has come."""
