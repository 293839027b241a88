"""Recall and precision of `lastcall scan` on the labelled libraries, as a table.

    python tests/labels/measure.py SITE_PACKAGES [--explain]

SITE_PACKAGES holds the libraries at the versions of `requirements.txt`. How the labels were made is told in
docs/discovery.md: `LIBRARY.json` by at_run_time.py, `read.json` by reading what candidates.py drew,
`drawn.json` by reading findings that were drawn from the scanner's own,
`adjudicated.json` by reading every finding of high confidence that the run-time labels neither confirm nor
can (code that needs a missing dependency, whole modules, private hooks).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import defaultdict
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "agent"))

from lastcall.scanning.survey import survey  # noqa: E402 - the path has to be set first

HELD_OUT = ("sklearn", "scipy", "astropy")
DEVELOPMENT = (
    "networkx",
    "sqlalchemy",
    "pydantic",
    "django",
    "werkzeug",
    "transformers",
    "celery",
    "matplotlib",
    "pandas",
    "homeassistant",
)
SECOND = (
    "PIL",
    "aiohttp",
    "ansible",
    "bokeh",
    "click",
    "dask",
    "distributed",
    "flask",
    "jinja2",
    "marshmallow",
    "nltk",
    "numpy",
    "pyramid",
    "skimage",
    "sphinx",
    "statsmodels",
    "tornado",
    "traitlets",
    "twisted",
    "xarray",
)
"""Held out when they were first measured (docs/discovery.md has those figures), developed on since."""
THIRD = (
    "IPython",
    "SCons",
    "airflow",
    "buildbot",
    "certbot",
    "ckan",
    "docker",
    "gensim",
    "hgext",
    "jupyterhub",
    "luigi",
    "mercurial",
    "mitmproxy",
    "mlflow",
    "mne",
    "nova",
    "octoprint",
    "prefect",
    "pylint",
    "pymatgen",
    "qiskit",
    "rdflib",
    "scrapy",
    "setuptools",
    "spacy",
    "superset",
    "synapse",
    "telegram",
    "trac",
    "trytond",
    "wagtail",
)
FOURTH = (
    "Bio",
    "Products",
    "botocore",
    "cherrypy",
    "dagster",
    "discord",
    "geopandas",
    "holoviews",
    "keras",
    "langchain_core",
    "litestar",
    "nautobot",
    "neutron",
    "nilearn",
    "oscar",
    "pymongo",
    "streamlit",
    "sunpy",
    "supervisor",
)
FIFTH = (
    "MDAnalysis",
    "ase",
    "beets",
    "fabric",
    "great_expectations",
    "indico",
    "kivy",
    "llama_index",
    "mkdocs",
    "moto",
    "netmiko",
    "nikola",
    "obspy",
    "oslo_messaging",
    "pandera",
    "paramiko",
    "patroni",
    "pyvista",
    "robot",
    "sanic",
    "snakemake",
    "stevedore",
    "tortoise",
)
SIXTH = (
    "apache_beam",
    "autobahn",
    "chainlit",
    "channels",
    "diffusers",
    "elasticsearch",
    "errbot",
    "fastapi",
    "gradio",
    "hypothesis",
    "jax",
    "jupyter_server",
    "keystone",
    "label_studio",
    "litellm",
    "open_webui",
    "opentelemetry",
    "optuna",
    "plotly",
    "pymc",
    "pytorch_lightning",
    "rasa",
    "ray",
    "redis",
    "seaborn",
    "sentry_sdk",
    "slixmpp",
    "starlette",
    "telethon",
    "urllib3",
    "weblate",
)
SEVENTH = (
    "aiogram",
    "cinder",
    "google",
    "gymnasium",
    "kubernetes",
    "music21",
    "napari",
    "panel",
    "torchmetrics",
    "vertexai",
    "zarr",
)
"""Applications and libraries that nobody had looked at when they were first measured, each set after the faults of
the one before it were mended."""
MET_BLIND = (*SECOND, *THIRD, *FOURTH, *FIFTH, *SIXTH, *SEVENTH)
ARGUMENT = "argument, high and medium"
CONSTRUCTORS = ("__init__", "__new__", "__post_init__", "__init_subclass__")


def load(name):
    return json.loads((HERE / name).read_text())


class Library:
    """One library's findings and labels."""

    def __init__(self, name, site):
        self.name = name
        self.findings = survey(site / name).findings
        self.by_owner = defaultdict(list)
        self.by_place = defaultdict(list)
        """The same by file and qualified name: what a module is called may change, where it lies does not."""
        for finding in self.findings:
            owner = finding.ref.split("(")[0]
            self.by_owner[owner].append(finding)
            qualname = owner.partition(":")[2]
            self.by_place[f"{name}/{finding.file}", qualname].append(finding)
        adjudicated = load("adjudicated.json")
        self.not_deprecated = adjudicated["not deprecated"]
        self.also = adjudicated["deprecated"]
        path = HERE / f"{name}.json"
        self.run_time = load(path.name)["labels"] if path.exists() else []

    def evidence_for(self, ref, kind):
        """The confidences of one kind of evidence at a definition, its constructor's counted as its class's."""
        owner, _, last = ref.rpartition(".")
        refs = [ref, owner] if last in CONSTRUCTORS else [ref]
        return {
            item.confidence
            for one in refs
            for finding in self.by_owner.get(one, ())
            for item in finding.evidence
            if item.kind == kind
        }

    def labelled(self):
        """(kind of evidence, ref, what) of each definition that the library showed to be deprecated."""
        for label in self.run_time:
            ref = f"{label['module']}:{label['qualname']}"
            if ref in self.not_deprecated:
                continue
            kind = "decorator" if label["how"] in ("decorator", "__deprecated__") else "warning"
            what = (
                "argument"
                if label["what"] == "parameter"
                else "sometimes"
                if label["how"] == "sometimes"
                else "callable"
            )
            yield kind, ref, what

    def true_refs(self):
        found = set(self.also)
        for _, ref, what in self.labelled():
            if what == "callable":
                owner, _, last = ref.rpartition(".")
                found.add(owner if last in CONSTRUCTORS else ref)
                found.add(ref)
        return found


def recall_at_run_time(library, explain):
    counts = defaultdict(lambda: [0, 0])
    for kind, ref, what in library.labelled():
        row = counts[kind if what == "callable" else f"{kind}, {what}"]
        row[1] += 1
        if library.evidence_for(ref, kind):
            row[0] += 1
        elif explain:
            print(f"missed: {kind} {what} {ref}")
    return counts


def precision_at_run_time(library, explain):
    """Of the findings that a decorator or warning makes sure of: how many are deprecated as a whole."""
    if not library.run_time:
        return {}
    true = library.true_refs()
    counts = defaultdict(lambda: [0, 0])
    for finding in library.findings:
        for kind in ("decorator", "warning"):
            sure = any(item.kind == kind and item.confidence == "high" for item in finding.evidence)
            if finding.kind == "parameter" or not sure:
                continue
            row = counts[kind]
            row[1] += 1
            row[0] += finding.ref in true
            if explain and finding.ref not in true:
                print(f"wrong: {kind} {finding.ref} {finding.file}:{finding.line} {finding.message[:80]}")
    return counts


def on_what_was_read(library, explain):
    recall, precision = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for label in load("read.json"):
        if label["library"] != library.name:
            continue
        kind = label["kind"]
        owner, _, last = label["qualname"].rpartition(".")
        names = [label["qualname"], owner] if last in CONSTRUCTORS else [label["qualname"]]
        whole = {
            item.confidence
            for name in names
            for finding in library.by_place.get((label["file"], name), ())
            if finding.kind != "parameter"
            for item in finding.evidence
            if item.kind == kind
        }
        if label["deprecated"]:
            recall[kind][1] += 1
            recall[kind][0] += bool(whole & {"high", "medium"})
            if explain and not whole & {"high", "medium"}:
                print(f"missed: {kind} {label['file']} {label['qualname']} {whole}")
        if "high" in whole:
            precision[kind][1] += 1
            precision[kind][0] += label["deprecated"]
            if explain and not label["deprecated"]:
                print(f"wrong: {kind} {label['file']} {label['qualname']}")
    return recall, precision


def precision_of_what_was_drawn(library, explain):
    """Of findings that were drawn and read, those that still are as sure: how many are deprecated."""
    counts = defaultdict(lambda: [0, 0])
    read = {(label["kind"], label["file"], label["qualname"]) for label in load("read.json")}
    for label in load("drawn.json"):
        if label["library"] != library.name or (label["kind"], label["file"], label["qualname"]) in read:
            continue  # it counts once
        found = library.by_place.get((label["file"], label["qualname"].split("(")[0]), ())
        found = [item for item in found if item.ref.endswith(f":{label['qualname']}") or not label["qualname"]]
        if label["kind"] == "argument":
            shown = [item for item in found if item.confidence != "low"]
            kind = ARGUMENT
        else:
            kind = label["kind"]
            shown = [
                item for item in found if any(one.kind == kind and one.confidence == "high" for one in item.evidence)
            ]
        if shown:
            counts[kind][1] += 1
            counts[kind][0] += label["deprecated"]
            if explain and not label["deprecated"]:
                print(f"wrong: {kind} {label['file']} {label['qualname']}: {label['why']}")
    return counts


def precision_of_arguments(library, explain):
    """Of the deprecated arguments that are shown (high and medium) and were read: how many are deprecated."""
    shown = {item.ref for item in library.findings if item.kind == "parameter" and item.confidence != "low"}
    counts = [0, 0]
    for label in load("arguments.json"):
        if label["library"] == library.name and label["ref"] in shown:
            counts[1] += 1
            counts[0] += label["deprecated"]
            if explain and not label["deprecated"]:
                print(f"wrong: argument {label['ref']}: {label['why']}")
    return {ARGUMENT: counts} if counts[1] else {}


def add(total, counts):
    for kind, (good, every) in counts.items():
        total[kind][0] += good
        total[kind][1] += every


def measure(site, names, explain=False):
    """{kind: [found, labelled]} and {kind: [right, sure]} over some libraries."""
    recall, precision = defaultdict(lambda: [0, 0]), defaultdict(lambda: [0, 0])
    for name in names:
        if not (site / name).is_dir():
            print(f"{name} is not installed in {site}", file=sys.stderr)
            continue
        library = Library(name, site)
        add(recall, recall_at_run_time(library, explain))
        add(precision, precision_at_run_time(library, explain))
        add(precision, precision_of_arguments(library, explain))
        add(precision, precision_of_what_was_drawn(library, explain))
        read_recall, read_precision = on_what_was_read(library, explain)
        add(recall, read_recall)
        add(precision, read_precision)
    return recall, precision


def table(site, explain=False):
    lines = [
        "| what is labelled | set | found | recall | sure and right | precision at high |",
        "|---|---|---|---|---|---|",
    ]
    sets = {
        "developed on": measure(site, DEVELOPMENT, explain),
        "met blind": measure(site, MET_BLIND, explain),
        "held out": measure(site, HELD_OUT, explain),
    }
    for kind in sorted({kind for both in sets.values() for counts in both for kind in counts}):
        for name, (recall, precision) in sets.items():
            found, sure = recall.get(kind, [0, 0]), precision.get(kind, [0, 0])
            lines.append(f"| {kind} | {name} | {ratio(found)} | {ratio(sure)} |")
    return "\n".join(lines)


SETS = {"second": SECOND, "third": THIRD, "fourth": FOURTH, "fifth": FIFTH, "sixth": SIXTH, "seventh": SEVENTH, "held-out": HELD_OUT}


def one_set(site, names, explain=False):
    recall, precision = measure(site, names, explain)
    lines = ["| what is labelled | found | recall | right | precision |", "|---|---|---|---|---|"]
    for kind in sorted({*recall, *precision}):
        lines.append(f"| {kind} | {ratio(recall.get(kind, [0, 0]))} | {ratio(precision.get(kind, [0, 0]))} |")
    return "\n".join(lines)


def ratio(pair):
    good, every = pair
    return f"{good} of {every} | {good / every:.3f}" if every else "- | -"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=Path)
    parser.add_argument("--set", choices=sorted(SETS), help="this set only, as one table of two columns")
    parser.add_argument("--explain", action="store_true", help="name each miss and each wrong one")
    options = parser.parse_args()
    if options.set:
        print(one_set(options.site, SETS[options.set], options.explain))
    else:
        print(table(options.site, options.explain))
