"""Seconds of one LSTM epoch: townsend's compiled epoch against Keras `fit` on TensorFlow and on JAX.

Run: python benchmarks/lstm_epoch.py [--tensorflow-python PATH]
"""

from __future__ import annotations

from epoch_contest import contest
from measure import parser

CONDITIONS = """\
{examples:,} windows of 15 x 1, batch {batch}, Adam, dropout 0.1, accuracy counted, no monitoring set. Median
(smallest to largest) of {repeats} turns; all contestants of a topology live side by side and take turns. "Of
townsend" is the ratio of the same turns: above 1, townsend is faster. "Cores used" is CPU over wall time. Compiling
is townsend's own clock (training and monitoring programs), and in Keras what the first epoch takes longer than the
median of the later ones; neither is in the epoch. townsend compiles once for all fits of one network, batch size and
optimizer in a process."""


def main() -> None:
    options = parser("Seconds of one LSTM epoch.", repeats=7)
    options.add_argument(
        "--examples", type=int, default=30_000, help="training windows of 15 samples (default %(default)s)"
    )
    options.add_argument("--batch", type=int, default=150, help="windows a step (default %(default)s)")
    options.add_argument(
        "--topologies", nargs="+", default=["8 16 1", "32 64 1", "96 128 1"], help="LSTM, hidden layer, output"
    )
    options.add_argument(
        "--tensorflow-python", help="interpreter with Keras and TensorFlow; default: this one, if it has it"
    )
    given = options.parse_args()
    contest("lstm_epoch", "lstm", given.topologies, "LSTM/hidden (parameters)", CONDITIONS, given)


if __name__ == "__main__":
    main()
