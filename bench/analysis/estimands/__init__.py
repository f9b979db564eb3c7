"""One module an estimand, found by its `ESTIMAND`."""
