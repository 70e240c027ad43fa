"""Commands an operator of the platform runs: on the time series, roll-ups, deliveries, quarantine and reports."""
