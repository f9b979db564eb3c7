"""Bias and coverage of the calibration error, plain and corrected: `python benchmarks/calibration_error.py`.

Simulated binary answers: confidences sharp or flat, right as often as they say, or off by .05, or by a slope.
"""

from __future__ import annotations

import numpy as np

from bench.metrics import calibration
from bench.metrics.resample import percentile_interval

RUNS, REPLICATES, CASES = 300, 300, (200, 300, 500)
RNG = np.random.default_rng(1)
CONFIDENCES = {
    "sharp": lambda n: 0.5 + 0.5 * RNG.beta(3, 0.7, n),
    "flat": lambda n: 0.5 + 0.5 * RNG.random(n),
}
RIGHT = {"calibrated": lambda c: c, "off by .05": lambda c: c - 0.05, "slope": lambda c: c - 0.2 * (c - 0.5)}
ESTIMATES = {"plain": calibration.calibration_error, "corrected": calibration.corrected_calibration_error}


def main() -> None:
    """Print one line for each world and number of cases."""
    for sharpness, draw in CONFIDENCES.items():
        for world, right in RIGHT.items():
            many = draw(10**6)
            true = float(np.abs(many - right(many)).mean())
            for n in CASES:
                told = {name: ([], []) for name in ESTIMATES}
                for _ in range(RUNS):
                    c = np.clip(draw(n), 0.5, 1 - 1e-9)
                    labels, p = (RNG.random(n) >= right(c)).astype(int), np.stack([c, 1 - c], 1)
                    drawn = RNG.multinomial(n, np.full(n, 1 / n), REPLICATES)
                    weights = np.concatenate([np.ones((1, n)), drawn]).astype(np.uint8)
                    for name, estimate in ESTIMATES.items():
                        value, *replicates = estimate(labels, p, weights)
                        low, high = percentile_interval(np.array(replicates))
                        told[name][0].append(value - true)
                        told[name][1].append(low <= true <= high)
                parts = (f"{k} bias {np.mean(b):+.3f} covers {np.mean(c):.2f}" for k, (b, c) in told.items())
                print(f"{sharpness}, {world}, {n} cases, true {true:.3f}:", "; ".join(parts), flush=True)


if __name__ == "__main__":
    main()
