"""A Chromium that is there already, for tests of pages; without one they are skipped."""

import contextlib
import os
import shutil

import pytest

PATH = next(
  filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
needed = pytest.mark.skipif(
  PATH is None, reason="no chromium is installed (Debian: apt-get install chromium)"
)
_ARGS = [
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


@contextlib.contextmanager
def started():
  """A browser; it ends with the block."""
  sync_api = pytest.importorskip("playwright.sync_api", reason="pip install 'grpo_jax[dev]'")
  with sync_api.sync_playwright() as playwright:
    browser = playwright.chromium.launch(executable_path=PATH, args=_ARGS)
    yield browser
    browser.close()


@contextlib.contextmanager
def opened(browser, path, *, width=1600, height=1000, dark=False):
  """The page of a file, and what has gone wrong in it: errors, complaints, requests."""
  scheme = "dark" if dark else "light"
  page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=scheme)
  wrong: list[str] = []
  page.on("pageerror", lambda error: wrong.append(f"error {error}"))
  page.on("console", lambda said: wrong.append(f"{said.type} {said.text}"))
  page.on("dialog", lambda dialog: (wrong.append("dialog"), dialog.dismiss()))
  address = f"file://{os.path.abspath(path)}"

  def requested(request):
    if request.url.split("#")[0] != address and not request.url.startswith("data:"):
      wrong.append(f"request {request.url}")

  page.on("request", requested)
  page.goto(address)
  try:
    yield page, wrong
  finally:
    page.close()


# What a person would not see whole: [what, how far over the edge]. What scrolls by itself may.
OVER_THE_EDGE = """() => [...document.querySelectorAll("body *")]
  .filter(node => !node.closest(".wide, #prompts, svg, details:not([open]), [hidden], script"))
  .map(node => [node, node.getBoundingClientRect()])
  .filter(([, box]) => box.width && (box.right > innerWidth + 1 || box.left < -1))
  .map(([node, box]) => [node.tagName + "." + node.className, box.right - innerWidth])"""

# Texts of too little contrast by WCAG 2: [text, ratio].
PALE = """() => {
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [0.2126, 0.7152, 0.0722][at], 0);
  const ground = node => {
    for (let at = node; at; at = at.parentElement) {
      const found = parse(getComputedStyle(at).backgroundColor);
      if (found.length < 4 || found[3] === 1) return found;
    }
    return matchMedia("(prefers-color-scheme: dark)").matches ? [0, 0, 0] : [255, 255, 255];
  };
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement, text = walker.currentNode.data.trim();
    if (!text || !node.getClientRects().length ||
        node.closest("button:disabled, script, style")) continue;
    const css = getComputedStyle(node), ink = node.closest("svg") ? css.fill : css.color;
    const behind = ground(node.closest("svg") ? node.closest("div") : node);
    const [a, b] = [light(parse(ink)), light(behind)];
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) found.push([text.slice(0, 40), ratio]);
  }
  return found;
}"""
