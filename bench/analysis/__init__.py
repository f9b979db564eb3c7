"""Claims put to the test: the ledger, the statistics behind the verdicts, diagnostics and the advisor."""

from bench.analysis.evaluate import evaluate
from bench.analysis.verdict import Verdict

__all__ = ["Verdict", "evaluate"]
