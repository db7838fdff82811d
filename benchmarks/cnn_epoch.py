"""Seconds of one CNN epoch: townsend's compiled epoch against Keras `fit` on TensorFlow and on JAX.

Run: python benchmarks/cnn_epoch.py [--tensorflow-python PATH]
"""

from __future__ import annotations

from epoch_contest import contest
from measure import parser

CONDITIONS = """\
{examples:,} lists of 1,024 x 1 with a 1 at each of about 15 times, batch {batch}, RMSprop, mean squared error, ReLU
and SELU, dropout 0.1, no monitoring set. Median (smallest to largest) of {repeats} turns; all contestants of a size
live side by side and take turns. "Of townsend" is the ratio of the same turns: above 1, townsend is faster. "Cores
used" is CPU over wall time. Compiling is townsend's own clock (training and monitoring programs), and in Keras what the
first epoch takes longer than the median of the later ones; neither is in the epoch. townsend computes a convolution as
slices and one matrix product: XLA's own takes about 60 times as long inside a compiled loop."""


def main() -> None:
    options = parser("Seconds of one CNN epoch.", repeats=7)
    options.add_argument("--examples", type=int, default=1500, help="training lists of 1,024 (default %(default)s)")
    options.add_argument("--batch", type=int, default=150, help="lists a step (default %(default)s)")
    options.add_argument("--filters", nargs="+", default=["16 32", "32 64"], help="of the two convolutions")
    options.add_argument(
        "--tensorflow-python", help="interpreter with Keras and TensorFlow; default: this one, if it has it"
    )
    given = options.parse_args()
    contest("cnn_epoch", "cnn", given.filters, "filters (parameters)", CONDITIONS, given)


if __name__ == "__main__":
    main()
