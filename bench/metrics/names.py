"""The name of a metric: on all cases, or on a stratum of them."""

from typing import NamedTuple, Self


class MetricName(NamedTuple):
    """A metric and the stratum it is taken on, which stands in brackets: a bin of lesion size "0.5-2%", a part of the
    cases "contrast=low" or "site=Jena", or the gap between such parts "site gap"; "" for all cases.

    >>> str(MetricName("dice", "contrast=low")), MetricName.read("auroc[site gap]"), MetricName.read("auroc")
    ('dice[contrast=low]', MetricName(metric='auroc', stratum='site gap'), MetricName(metric='auroc', stratum=''))
    """

    metric: str
    stratum: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        """Inverse of `str`."""
        metric, _, stratum = text.partition("[")
        return cls(metric, stratum.removesuffix("]"))

    def __str__(self) -> str:
        return f"{self.metric}[{self.stratum}]" if self.stratum else self.metric
