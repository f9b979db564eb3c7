"""The ledger in plain words: `python -m bench.analysis.claims_page > docs/claims.md`."""

from collections.abc import Sequence

from bench.analysis.claim import Claim, LedgerNote, read_ledger, read_note
from bench.words import SIZES

HEAD = """# The claims and how they are judged

Made by `python -m bench.analysis.claims_page > docs/claims.md` from `bench/analysis/ledger`, one file a claim.
`medssl analyze` judges them on any set of results.

## Version {note.version} of the ledger, written {note.written}

{known}

Claims that are no longer asked:

{retired}

## The verdict

An effect is measured with a 95 % interval and a two-sided p value (one-sided for a spread, which cannot be negative).

- **Supported**: the interval on the claimed side of zero, and p below 0.05 after correction.
- **Contradicted**: the interval leaves no room for an effect of the claim's smallest size that matters.
- **Inconclusive**: measured, and neither of the two.
- **Not measured**: no stratum of network and size holds both sides of the comparison, or there is less evidence than
  the claim's minimum, or the protocol or diagnostic it needs was not run. What is missing is said.

H1 says two things, and each is measured with its own effect and interval; the claim holds when both do (its p is the
larger of the two one-sided ones), and fails when one does. The confirmatory claims are corrected together (Holm); one
that is not measured counts there as p = 1. The exploratory ones are not corrected: read them as questions for the
next study.

## How effects are measured

Scores are in points: 100 x (metric - chance) / (1 - chance). Claims on lesion strata use recall (size) and Dice
(contrast) times 100, the hardest stratum a task has against its easiest. Modalities count alike within a kind of
task, data sets alike within a modality, as on the boards.

**Within strata.** Encoders are compared with encoders of the same network (transformer, CNN) and size class
({sizes} parameters), those of a controlled track with those of the same
track. A stratum that holds one side only says nothing and is not counted. No verdict rests on a difference between
networks or tracks. Where strata differ in sign, the verdict says so.{succeeded}

**Encoders and data sets are both samples.** A claim about a paradigm speaks of other encoders and other data sets. So
an effect is set against the spread of encoders about their group plus the spread of the effect from data set to data
set, less the residual that both hold: crossed random effects, the quasi-F ratio of Clark (1973) with the degrees of
freedom of Satterthwaite (1946). One t interval of this kind serves every difference; a spread (H2b, H4, H9) has its F
counterpart, with the interval from the noncentral F distribution. How often such tests reject a true null when
paradigms lead by different amounts on different data sets, and how often the intervals hold the truth: [the power
study](power.md).

**A missing result** counts as the encoder's mean over its others, and takes no degree of freedom it does not have;
encoders with less than half of the results of a side, and data sets that half of the encoders lack, are left out.

**Beside it**: the mixed model of the same contrast, the share of variance of encoder, task and encoder x task with
what paradigm explains of it, agreement of rankings, label efficiency, the advisor's regret. They carry no verdict.

**Sensitivity.** Each claim is measured again with DINO-like encoders counted as contrastive, with DINOv2-like ones as
predictive, by pooling, with and without contaminated cells, on the controlled track alone and without it, on the
public sets of encoders that differ in the objective alone, by network, with nearest neighbours instead of linear
probes, and at a tenth of the labels, wherever that changes something. Clinical and phantom results are never mixed.

What downloaded checkpoints can show is association: within a stratum, paradigm still goes with data and year. Only
the controlled track and sets of one laboratory (same network, images and compute) isolate the objective."""


def page(claims: Sequence[Claim], note: LedgerNote) -> str:
    """The whole page as Markdown."""
    retired = "\n".join(f"- {name}: {why}" for name, why in note.retired.items())
    limits = ", ".join(f"{name} under {most / 1e6:.0f} million" for name, most in SIZES.items() if most < 1e12)
    tracks = (f" Where {new} has results, {old} is left out." for old, new in note.succeeded.items())
    parts = [HEAD.format(note=note, known=note.known.strip(), retired=retired, sizes=limits, succeeded="".join(tracks))]
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
        f"- minimum evidence: {evidence}",
        f"- contradicted by: {_flat(claim.contradicted_by)}",
        f"- from: {'; '.join(claim.citation)}",
    ]
    return "\n".join(lines) + "\n"


def _flat(text: str) -> str:
    return " ".join(text.split())


if __name__ == "__main__":
    print(page(read_ledger(), read_note()), end="")
