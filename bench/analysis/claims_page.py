"""The ledger in plain words: `python -m bench.analysis.claims_page > docs/claims.md`."""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.claim import Claim, read_ledger

HEAD = """# The claims and how they are judged

Made by `python -m bench.analysis.claims_page` from `bench/analysis/ledger`, one file a claim. The claims were written
and committed before the results they are judged on. `medssl analyze` judges them on any set of results.

## The verdict

An effect is measured with a 95 % interval and a two-sided p value (one-sided for a spread, which cannot be negative).

- **Supported**: p below 0.05 after correction, the sign as claimed, and an interval on that side of zero.
- **Contradicted**: p below 0.05 after correction with the opposite sign; or an interval that leaves no room for an
  effect of the claim's smallest size that matters.
- **Inconclusive**: everything else. Below a claim's minimum evidence, always.

The confirmatory claims are corrected together (Holm). The exploratory ones are not: read them as questions for the next
study. A claim that cannot be measured on some results says what is missing; it counts as p = 1 in the correction.

## How effects are measured

Scores are in points: 100 x (metric - chance) / (1 - chance). Claims on lesion strata use recall (size) and Dice
(contrast) times 100, the hardest stratum a task has against its easiest.

**n is encoders.** A paradigm differs between encoders only, so an encoder counts once, however many tasks it was run
on. The permutation test shuffles paradigms over encoders, within strata of controlled track and architecture (10,000
shuffles).
Where a stratum lacks one of the two groups, its encoders say nothing about the contrast and are not counted.
Shuffling over all paradigms takes encoders as exchangeable when paradigm does not matter; how often that misleads
when another paradigm stands out is in [the power study](power.md).

**The interval** resamples encoders within each group, source data sets within each task kind, and label subsets,
2,000 times, and is widened for few encoders. It speaks of other encoders and other data sets, and so it is wider than
the permutation test needs; a claim is supported only where both agree. H2 compares pretrained with reference encoders:
there encoders, references and data sets are samples together, and one t interval with Satterthwaite's degrees of
freedom gives interval and p.

**A spread** (H2b, H4, H9) is the variance between paradigms beyond what the spread between encoders of one
paradigm makes.

**Beside it**: the mixed model of the same contrast, the share of variance of encoder, task and encoder x task with what
paradigm explains of it, agreement of rankings, label efficiency, the advisor's regret. They carry no verdict.

**Sensitivity.** Each claim is measured again with DINO-like encoders counted as contrastive, with DINOv2-like ones as
predictive, by pooling, with and without contaminated cells, on the controlled track alone and without it, by
architecture, with nearest neighbours instead of linear probes, and at a tenth of the labels, wherever that changes
something. Clinical and phantom results are never mixed.

What downloaded checkpoints can show is association: paradigm goes with data, size and year there. Only the controlled
track (same network, images and compute) isolates the objective.
"""


def page(claims: Sequence[Claim]) -> str:
    """The whole page as Markdown."""
    parts = [HEAD]
    for family in ("confirmatory", "exploratory"):
        parts.append(f"\n## {family.capitalize()} claims\n")
        parts += [_section(claim) for claim in claims if claim.family == family]
    return "".join(parts)


def _section(claim: Claim) -> str:
    least = claim.minimum
    sign = "above" if claim.direction == "positive" else "below"
    evidence = f"{least.encoders} encoders, {least.per_group} in each group, {least.tasks} source data sets"
    if least.modalities > 1:
        evidence += f", {least.modalities} modalities"
    lines = [
        f"\n### {claim.id}: {claim.title}\n",
        f"{_flat(claim.statement)}\n",
        f"- measured: {_flat(claim.estimand)}",
        f"- in {claim.measured_in}; as claimed when {sign} zero; smallest effect that matters {claim.margin:g}",
        f"- one observation: {claim.unit}",
        f"- minimum evidence: {evidence}",
        f"- contradicted by: {_flat(claim.contradicted_by)}",
        f"- from: {'; '.join(claim.citation)}",
    ]
    return "\n".join(lines) + "\n"


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    print(page(read_ledger()), end="")
