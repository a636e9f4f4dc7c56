"""The page in a real browser: nothing is fetched, nothing fails, and it fits narrow and wide."""

import json
import os
import re
import shutil
import subprocess

import pytest

from grpo_jax.report import figures, study
from grpo_jax.report.report import report
from grpo_jax.report.scaling import scalings
from tests.report import sweeps

_BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("chrome")
_needs_browser = pytest.mark.skipif(
  _BROWSER is None, reason="no chromium is installed (Debian: apt-get install chromium)"
)
_FLAGS = "headless no-sandbox disable-gpu no-first-run disable-background-networking"
_FLAGS += " disable-component-update disable-sync enable-logging=stderr virtual-time-budget=8000"
# Parallel coordinates are drawn by WebGL, here without a GPU.
_FLAGS += " enable-unsafe-swiftshader"
# What the page is once it has drawn, as text that --dump-dom shows.
_PROBE = """
<script>
const errors = [];
addEventListener("error", event => errors.push(event.message));
addEventListener("securitypolicyviolation", event => errors.push(event.blockedURI));
addEventListener("load", () => setTimeout(() => {
  const boxes = [...document.querySelectorAll(".figure")];
  const fetched = performance.getEntriesByType("resource").map(entry => entry.name);
  const copied = new Promise(resolve => {
    document.addEventListener("copy", () => resolve(String(getSelection())));
    Object.defineProperty(navigator, "clipboard", {value: {writeText: text => {
      resolve(text); return Promise.resolve(); }}});
  });
  document.querySelector("button")?.click();
  copied.then(text => {
    const told = {errors, fetched, copied: text, title: document.title,
      wide: document.documentElement.scrollWidth, room: innerWidth,
      ground: getComputedStyle(document.body).backgroundColor,
      inks: [...new Set([...document.querySelectorAll(".xtick text")].map(t => t.style.fill))],
      drawn: boxes.map(box => [box.id, box.querySelectorAll("svg.main-svg").length])};
    (window.parent === window ? window : window.parent).postMessage(JSON.stringify(told), "*");
  });
}, 1500));
</script>
"""
_TOLD = """<script>addEventListener("message", event => {
  const box = document.createElement("pre");
  box.id = "told";
  box.textContent = event.data;
  document.body.append(box);
});</script>"""


@pytest.fixture(scope="module")
def page(tmp_path_factory):
  folder = sweeps.small(tmp_path_factory.mktemp("sweep"))
  report([folder])
  return os.path.join(folder, "report.html")


def _open(page, width, *, dark=False, probe=_PROBE):
  """What the page tells of itself in a frame of this width, and the browser's own log."""
  folder = os.path.dirname(page)
  with open(page, encoding="utf-8") as file:
    text = file.read()
  with open(os.path.join(folder, "probed.html"), "w", encoding="utf-8") as file:
    file.write(text.replace("<head>", f"<head>{probe}", 1))
  frame = f'<iframe src="probed.html" style="width:{width}px;height:900px;border:0"></iframe>'
  with open(os.path.join(folder, "frame.html"), "w", encoding="utf-8") as file:
    file.write(f"<!doctype html><body>{_TOLD}{frame}</body>")
  flags = [f"--{flag}" for flag in _FLAGS.split()]
  flags += [f"--user-data-dir={folder}/profile", "--window-size=1700,1000"]
  flags += [f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--dump-dom"]
  done = subprocess.run(
    [_BROWSER, *flags, f"file://{folder}/frame.html"], capture_output=True, text=True, timeout=120
  )
  shutil.rmtree(f"{folder}/profile", ignore_errors=True)
  told = re.search(r'<pre id="told">(.*?)</pre>', done.stdout, re.DOTALL)
  assert told, f"the page has told nothing: {done.stderr[-2000:]}"
  unescaped = told[1].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
  console = [line for line in done.stderr.splitlines() if ":CONSOLE" in line]
  console = [line for line in console if "GL Driver Message" not in line]  # how slow it is
  return json.loads(unescaped), console


@pytest.mark.fault(35)
@_needs_browser
@pytest.mark.parametrize(("width", "dark"), [(400, True), (1600, False)])
def test_the_page_draws_without_errors_or_fetching(page, width, dark):
  told, console = _open(page, width, dark=dark)
  assert told["errors"] == []
  assert console == []
  assert [name for name in told["fetched"] if not name.startswith("data:")] == []
  assert told["title"] == "sums"  # a reason's script was text
  assert told["room"] == width
  assert told["wide"] <= width
  names = ["curves", "fits", "importances", "parallel", "slice0", "slice1"]
  assert [name for name, _ in told["drawn"]] == names
  assert all(count for _, count in told["drawn"])
  assert told["ground"] == ("rgb(20, 24, 29)" if dark else "rgb(255, 255, 255)")
  assert told["inks"] == ["rgb(228, 231, 235)" if dark else "rgb(31, 41, 51)"]

  # The button's.
  assert told["copied"] == f"python -m experiments.train --workdir='again 6' # {sweeps.NASTY}"


@_needs_browser
def test_an_error_of_the_page_would_be_seen(page):
  told, console = _open(page, 800, probe=_PROBE + "<script>nowhere();</script>")
  assert "nowhere is not defined" in told["errors"][0]
  assert console


def test_plotly_is_inlined_once_and_nothing_is_linked(page):
  with open(page, encoding="utf-8") as file:
    text = file.read()
  assert len(re.findall(r"plotly\.js v\d", text)) == 1
  own = re.sub(r"<script>.*?</script>", "", text, flags=re.DOTALL)
  assert re.findall(r"(?:src|href)=\"(?!data:)", own) == []
  assert "document.title = 'taken'</script>" not in own
  assert 3e6 < len(text) < 8e6


def test_figures_are_what_plotly_takes(tmp_path):
  import plotly.graph_objects as go

  found = study.read(sweeps.small(tmp_path), "", "", "steps")
  rows = scalings(found)
  drawn = [figures.curves(found), figures.fits(found, rows), figures.importances(found)]
  drawn += [figures.parallel(found), *figures.slices(found)]
  for figure in drawn:
    go.Figure(figure)  # raises on what it does not know
  legend = [trace["name"] for trace in drawn[0]["data"] if trace["showlegend"]]
  assert legend[:2] == ["others", "trial 6"]
  assert len(legend) == 1 + len(figures.COLOURS)
  kinds = {
    figure["layout"]["xaxis"]["title"]["text"]: figure["layout"]["xaxis"]["type"]
    for figure in figures.slices(found)
  }
  assert kinds == {"objective": "category", "lr": "log"}
