"""Claims put to the test: the ledger, the statistics behind the verdicts, diagnostics and the advisor."""
