"""What to cite for a run, decided from what the run did.

What to use when
----------------
- `citations`: entries for a description of a run (`Used`); `bibtex`: their text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import metadata

__all__ = ["Entry", "Used", "bibtex", "citations"]


@dataclass(frozen=True)
class Used:
    """What a run used.

    Arguments:
        simulated: whether waveforms were simulated.
        networks: families that were trained; samplers: how configurations were proposed.
        optimizers, activations: all values that were trained; dropout: whether any was above zero.
        references: whether references of cluster counting were fitted.
        fitted: whether distributions were fitted.
        slides: whether the talk's figures are laid beside.
    """

    simulated: bool = False
    networks: frozenset[str] = frozenset()
    samplers: frozenset[str] = frozenset()
    optimizers: frozenset[str] = frozenset()
    activations: frozenset[str] = frozenset()
    dropout: bool = False
    references: bool = False
    fitted: bool = False
    slides: bool = True


@dataclass(frozen=True)
class Entry:
    """A BibTeX entry, and why it is cited."""

    key: str
    kind: str
    fields: Mapping[str, str]
    because: str


def citations(used: Used) -> tuple[Entry, ...]:
    """Return what to cite for a run, in the order of the work."""
    return (*(entry for rule, entry in _RULES if rule(used)), _townsend())


def bibtex(entries: Iterable[Entry]) -> str:
    """Return entries as BibTeX, a comment above each says what it was used for."""
    return "\n\n".join(_text(entry) for entry in entries) + "\n"


def _text(entry: Entry) -> str:
    lines = [f"  {name} = {{{value}}}," for name, value in entry.fields.items()]
    return "\n".join([f"% {entry.because}", f"@{entry.kind}{{{entry.key},", *lines, "}"])


def _townsend() -> Entry:
    """Return townsend itself, from the data of the installed package."""
    package = metadata("townsend")
    fields = {
        "author": "{the townsend developers}",
        "title": f"{{townsend}}: {package['Summary']}",
        "version": package["Version"],
        "note": f"{package['License-Expression'] or 'BSD-3-Clause'} licence",
    }
    return Entry("townsend", "software", fields, "all of it")


def _article(key: str, author: str, title: str, because: str, **fields: str) -> Entry:
    return Entry(key, "article", {"author": author, "title": title, **fields}, because)


def _has(group: str, name: str) -> Callable[[Used], bool]:
    return lambda used: name in getattr(used, group)


_RULES: tuple[tuple[Callable[[Used], bool], Entry], ...] = (
    (
        lambda used: used.simulated,
        _article(
            "Smirnov2005",
            "Smirnov, I. B.",
            "Modeling of ionization produced by fast charged particles in gases",
            "clusters and the electrons in them: tables of Heed",
            journal="Nucl. Instrum. Meth. A",
            volume="554",
            pages="474--493",
            year="2005",
            doi="10.1016/j.nima.2005.08.064",
        ),
    ),
    (
        lambda used: used.simulated,
        _article(
            "Biagi1999",
            "Biagi, S. F.",
            "Monte Carlo simulation of electron drift and diffusion in counting gases under the influence of electric "
            "and magnetic fields",
            "drift and diffusion: tables of Magboltz",
            journal="Nucl. Instrum. Meth. A",
            volume="421",
            pages="234--240",
            year="1999",
            doi="10.1016/S0168-9002(98)01233-9",
        ),
    ),
    (
        lambda used: used.simulated,
        _article(
            "Shockley1938",
            "Shockley, W.",
            "Currents to Conductors Induced by a Moving Point Charge",
            "current induced on the wire",
            journal="J. Appl. Phys.",
            volume="9",
            pages="635--636",
            year="1938",
            doi="10.1063/1.1710367",
        ),
    ),
    (
        lambda used: used.simulated,
        _article(
            "Ramo1939",
            "Ramo, S.",
            "Currents Induced by Electron Motion",
            "current induced on the wire",
            journal="Proc. IRE",
            volume="27",
            pages="584--585",
            year="1939",
            doi="10.1109/JRPROC.1939.228757",
        ),
    ),
    (
        _has("networks", "lstm"),
        _article(
            "Hochreiter1997",
            "Hochreiter, S. and Schmidhuber, J.",
            "Long Short-Term Memory",
            "network of the peak finder",
            journal="Neural Computation",
            volume="9",
            number="8",
            pages="1735--1780",
            year="1997",
            doi="10.1162/neco.1997.9.8.1735",
        ),
    ),
    (
        _has("networks", "cnn"),
        _article(
            "LeCun1998",
            "LeCun, Y. and Bottou, L. and Bengio, Y. and Haffner, P.",
            "Gradient-based learning applied to document recognition",
            "convolutional network of the clusteriser",
            journal="Proc. IEEE",
            volume="86",
            number="11",
            pages="2278--2324",
            year="1998",
            doi="10.1109/5.726791",
        ),
    ),
    (
        _has("optimizers", "adam"),
        Entry(
            "Kingma2015",
            "inproceedings",
            {
                "author": "Kingma, D. P. and Ba, J.",
                "title": "Adam: A Method for Stochastic Optimization",
                "booktitle": "3rd International Conference on Learning Representations",
                "year": "2015",
                "eprint": "1412.6980",
                "archiveprefix": "arXiv",
            },
            "an optimiser of the sweep",
        ),
    ),
    (
        _has("optimizers", "rmsprop"),
        Entry(
            "Tieleman2012",
            "misc",
            {
                "author": "Tieleman, T. and Hinton, G.",
                "title": "Lecture 6.5 -- RMSProp: Divide the gradient by a running average of its recent magnitude",
                "howpublished": "COURSERA: Neural Networks for Machine Learning",
                "year": "2012",
            },
            "an optimiser of the sweep",
        ),
    ),
    (
        _has("activations", "selu"),
        Entry(
            "Klambauer2017",
            "inproceedings",
            {
                "author": "Klambauer, G. and Unterthiner, T. and Mayr, A. and Hochreiter, S.",
                "title": "Self-Normalizing Neural Networks",
                "booktitle": "Advances in Neural Information Processing Systems 30",
                "year": "2017",
                "eprint": "1706.02515",
                "archiveprefix": "arXiv",
            },
            "SELU, an activation of the sweep",
        ),
    ),
    (
        lambda used: used.dropout,
        _article(
            "Srivastava2014",
            "Srivastava, N. and Hinton, G. and Krizhevsky, A. and Sutskever, I. and Salakhutdinov, R.",
            "Dropout: A Simple Way to Prevent Neural Networks from Overfitting",
            "dropout in the sweep",
            journal="J. Mach. Learn. Res.",
            volume="15",
            pages="1929--1958",
            year="2014",
        ),
    ),
    (
        lambda used: bool(used.networks),
        Entry(
            "Chollet2015",
            "software",
            {"author": "Chollet, F. and others", "title": "Keras", "year": "2015", "url": "https://keras.io"},
            "networks",
        ),
    ),
    (
        lambda used: bool(used.networks),
        Entry(
            "JAX2018",
            "software",
            {
                "author": "Bradbury, J. and Frostig, R. and Hawkins, P. and Johnson, M. J. and Leary, C. and "
                "Maclaurin, D. and Necula, G. and Paszke, A. and VanderPlas, J. and Wanderman-Milne, S. and Zhang, Q.",
                "title": "{JAX}: composable transformations of {Python+NumPy} programs",
                "year": "2018",
                "url": "https://github.com/jax-ml/jax",
            },
            "training",
        ),
    ),
    (
        lambda used: bool(used.samplers & {"random", "tpe", "walk"}),
        Entry(
            "Akiba2019",
            "inproceedings",
            {
                "author": "Akiba, T. and Sano, S. and Yanase, T. and Ohta, T. and Koyama, M.",
                "title": "Optuna: A Next-generation Hyperparameter Optimization Framework",
                "booktitle": "Proceedings of the 25th ACM SIGKDD International Conference on Knowledge Discovery and "
                "Data Mining",
                "pages": "2623--2631",
                "year": "2019",
                "doi": "10.1145/3292500.3330701",
            },
            "proposed configurations",
        ),
    ),
    (
        lambda used: used.references,
        _article(
            "Pedregosa2011",
            "Pedregosa, F. and others",
            "Scikit-learn: Machine Learning in {P}ython",
            "references beside the clusteriser",
            journal="J. Mach. Learn. Res.",
            volume="12",
            pages="2825--2830",
            year="2011",
        ),
    ),
    (
        lambda used: used.fitted,
        _article(
            "James1975",
            "James, F. and Roos, M.",
            "Minuit: A system for function minimization and analysis of the parameter errors and correlations",
            "Gaussian fits",
            journal="Comput. Phys. Commun.",
            volume="10",
            pages="343--367",
            year="1975",
            doi="10.1016/0010-4655(75)90039-9",
        ),
    ),
    (
        lambda used: used.fitted,
        Entry(
            "iminuit",
            "software",
            {
                "author": "Dembinski, H. and Ongmongkolkul, P. and others",
                "title": "scikit-hep/iminuit",
                "publisher": "Zenodo",
                "doi": "10.5281/zenodo.3949207",
            },
            "Gaussian fits",
        ),
    ),
    (
        lambda used: used.simulated,
        Entry(
            "uproot",
            "software",
            {
                "author": "Pivarski, J. and others",
                "title": "Uproot",
                "publisher": "Zenodo",
                "doi": "10.5281/zenodo.4340632",
            },
            "ROOT files",
        ),
    ),
    (
        lambda used: used.simulated,
        Entry(
            "awkward",
            "software",
            {
                "author": "Pivarski, J. and others",
                "title": "Awkward Array",
                "publisher": "Zenodo",
                "doi": "10.5281/zenodo.4341376",
            },
            "lists of peaks",
        ),
    ),
    (
        lambda used: used.slides,
        Entry(
            "Anwar2024",
            "misc",
            {
                "author": "Anwar, M. N.",
                "title": "Simulation based on Garfield++ and Hyperparameter Optimization for Deep Learning Model Using "
                "High Performance Computing",
                "howpublished": "Bari-Lecce meeting",
                "month": "July",
                "year": "2024",
            },
            "detector, grids and the figures laid beside",
        ),
    ),
)
