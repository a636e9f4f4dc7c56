"""The page of one run: what it was, its curves and warnings, and its samples."""

import operator
import os
from collections.abc import Sequence

from grpo_jax.report import assets, html
from grpo_jax.report.changed import algorithms, changed, flat, typed
from grpo_jax.report.chosen import Chosen, choose
from grpo_jax.report.found import best
from grpo_jax.report.lines import is_number
from grpo_jax.report.panels import Panel, panels
from grpo_jax.report.run_folder import Run

_SHOWN = 12  # changed fields that are not folded away
_SECTIONS = (
  ("warnings", "Warnings"),
  ("curves", "Curves"),
  ("viewer", "Samples"),
  ("config", "Config"),
)
_SCRIPTS = ("make.js", "copy.js", "text.js", "axis.js", "chart.js", "curves.js")
_VIEWER = ("tokens.js", "answer.js", "samples.js", "prompts.js", "viewer.js")


def page(run: Run) -> str:
  """The whole file."""
  chosen = choose(os.path.join(run.folder, "samples.jsonl"), _wanted(run))
  drawn, zeros = panels(run.lines, run.figure)
  parts = ["<header>", *_head(run), "</header>", "<main>", *_warnings(run), *_curves(zeros)]
  parts += [*_samples(chosen), *_asked(run), "</main>"]
  parts += [html.data("run", _data(run, drawn)), html.data("records", chosen.records)]
  parts.append(f"<script>{assets.static(*_SCRIPTS, *_VIEWER)}</script>")
  return html.document(run.name, assets.static("page.css", "run.css", "viewer.css"), parts)


def _data(run: Run, drawn: list[Panel]) -> dict:
  """What the curves are drawn from."""
  end = max((line["x"] for line in run.lines), default=0)
  starts = [start for _, start in run.stages]
  stages = [
    {"name": name, "start": start, "end": stop}
    for (name, start), stop in zip(run.stages, [*starts[1:], end], strict=True)
  ]
  warnings = [{"stage": one.stage, "step": one.step, "x": one.x} for one in run.warnings]
  return {"stages": stages, "warnings": warnings, "panels": drawn}


def _wanted(run: Run) -> dict[str, list[int]]:
  """Steps whose samples are wanted: the best by either score, and those with warnings."""
  wanted: dict[str, list[int]] = {}
  for name, _ in run.stages:
    own = [line for line in run.lines if line["stage"] == name]
    for figure in (run.figure, "reward/mean"):
      known = [line for line in own if is_number(line.get(figure))]
      top = best(known, operator.itemgetter(figure), figure)
      wanted.setdefault(name, []).extend([top["step"]] if top else [])
    wanted[name] += [one.step for one in run.warnings if one.stage == name]
  return wanted


def _head(run: Run) -> list[str]:
  """Title, how far it came and how it ended, and on what it ran."""
  parts = [f"<h1>{html.escape(run.name)}</h1>", f'<p class="ends">{html.escape(ends(run))}</p>']
  rows = [(name, text) for name, text in _facts(run) if text]
  facts = "".join(
    f"<div><dt>{html.escape(name)}</dt><dd>{html.escape(text)}</dd></div>" for name, text in rows
  )
  parts.append(f'<dl class="facts">{facts}</dl>')
  links = "".join(f'<a href="#{place}">{name}</a>' for place, name in _SECTIONS)
  parts += [html.command(run.command)] if run.command else []
  return [*parts, f'<nav aria-label="Sections">{links}</nav>']


def ends(run: Run) -> str:
  """One line: held-out scores before, after and at best, and what is left to do."""
  judged, top, said = run.judged(), run.best(), []
  if judged and top is not None:
    first, last = judged[0][run.figure], judged[-1][run.figure]
    name = "held-out accuracy" if run.figure == "eval/accuracy" else run.figure
    said.append(f"{name} {first:.3f} → {last:.3f}")
    said.append(f"best {top[run.figure]:.3f} at {top['stage']} step {top['step']}")
  return "; ".join([*said, *_left(run)])


def _left(run: Run) -> list[str]:
  """Stages that ended before their steps were done, and those that have not ended."""
  short = [(name, f"{done} of {asked}") for name, done, asked in run.done() if asked != done]
  said = [
    f"{name} ended at {steps}" + (" by its stop rule" if run.rule(name) else "")
    for name, steps in short
    if run.over(name)
  ]
  left = [f"{name} {steps}" for name, steps in short if not run.over(name)]
  said += [f"not all steps are done: {', '.join(left)}"] if left else []
  return said or ["all steps are done"]


def _facts(run: Run) -> list[tuple[str, str]]:
  written = run.written
  versions = written.get("versions") or {}
  began = written.get("began") or {}
  stages = ", ".join(f"{name} {done} of {asked} steps" for name, done, asked in run.done())
  return [
    ("stages", stages),
    ("began", str(began.get("time", ""))),
    ("devices", ", ".join(map(str, written.get("devices") or []))),
    ("machine", str(written.get("machine") or "")),
    ("versions", ", ".join(f"{name} {version}" for name, version in versions.items())),
    ("flags", " ".join(f"{name}={value}" for name, value in (written.get("flags") or {}).items())),
    ("git commit", str(written.get("git_commit") or "")),
    ("folder", run.folder),
  ]


def _warnings(run: Run) -> list[str]:
  """A list whose links lead to the places on the axis."""
  parts = [
    '<section id="warnings" aria-labelledby="warnings-title">',
    '<h2 id="warnings-title">Warnings</h2>',
  ]
  if not run.warnings:
    return [*parts, html.says("Nothing that the figures show."), "</section>"]
  items = "".join(
    f'<li id="warning-{place}"><a href="#curves" data-warning="{place}">'
    f"{html.escape(one.stage)} step {one.step}</a> {html.escape(one.text)}</li>"
    for place, one in enumerate(run.warnings)
  )
  return [*parts, f'<ol class="warnings">{items}</ol>', "</section>"]


def _curves(zeros: list[str]) -> list[str]:
  note = (
    "Drag over a curve to look closer, double-click for all; a click shows the samples of that"
    " step. Faint lines are steps, strong ones the mean of ten, or of a fiftieth of all; bars are"
    " 95 % Wilson intervals. Figures are those of the step whose samples are shown."
  )
  return [
    '<section id="curves" aria-labelledby="curves-title">', '<h2 id="curves-title">Curves</h2>',
    html.says(note), *([html.says(f"0 throughout: {', '.join(zeros)}.")] if zeros else []),
    '<div class="controls" id="zoom" role="group" aria-label="Stages"></div>',
    '<div id="large"></div><div id="small" class="grid"></div>', "</section>",
  ]  # fmt: skip


def _samples(chosen: Chosen) -> list[str]:
  parts = ['<section id="viewer" tabindex="-1" aria-labelledby="samples-title">']
  parts += [
    '<h2 id="samples-title">Samples</h2>',
    *([html.says(chosen.note)] if chosen.note else []),
  ]
  if chosen.records:
    parts.append(assets.static("viewer.html"))
  return [*parts, "</section>"]


def _asked(run: Run) -> list[str]:
  """The config: what differs, and all of it."""
  parts = [
    '<section id="config" aria-labelledby="config-title">',
    '<h2 id="config-title">Config</h2>',
  ]
  if run.config is None:
    text = "config.json is of another version, or is not there: its fields cannot be compared."
    return [*parts, html.says(text), "</section>"]
  rows, flags = changed(run.config), typed(run.command)
  about = "Fields that are not as their class has them by default"
  near = algorithms(run.config)
  if near:
    told = [
      f"{name} is {preset}" if not count else f"{name} is nearest to {preset}"
      for name, (preset, count) in near.items()
    ]
    about += f"; those of an algorithm are compared with its preset: {', '.join(told)}"
  head = ["field", "value", "default", *(["set by"] if flags else [])]
  table = [[*row, *(_source(row[0], flags) if flags else [])] for row in rows]
  parts += [html.says(f"{about}."), *html.folded([head, *table], _SHOWN, "more fields")]
  whole = html.table([["field", "value"], *([path, value] for path, value in flat(run.config))])
  fold = f"<details><summary>The whole config</summary>{whole}</details>"
  return [*parts, fold, "</section>"]


def _source(path: str, flags: Sequence[str] | set[str]) -> list[str]:
  return ["a flag" if path in flags else "the experiment file"]
