"""The page of a run in a real browser: by mouse and by keys, narrow and wide, light and dark."""

import json
import shutil

import pytest

from grpo_jax.report.run_report import run_report
from grpo_jax.run import loop
from tests.faults import tiny
from tests.report import browser

pytestmark = browser.needed
NASTY = "</script><script>document.title='taken'</script><img src=x onerror=alert(1)>"
NASTY += "\u202edrow\u0000\ud800"
WORD = "a" * 3000


@pytest.fixture(scope="module")
def chromium():
  with browser.started() as found:
    yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """A real run, whose last step has one more prompt: of somebody who means no good."""
  place = tmp_path_factory.mktemp("run") / "tiny"
  own = tiny.get_config()
  own.checkpoint.every, own.evaluation.every = 100, 0  # quickly
  loop.run(own, str(place), say=lambda _: None)
  record = {"stage": "rl", "step": 4, "prompt": f"{NASTY} needle {WORD}", "answer": NASTY}
  record |= {"completions": [NASTY, "bé", "", "1"], "rewards": [None, 0.5, 1.0, 0.0]}
  record |= {"advantages": [0.0, -1.0, 2.0, 1.0], "lengths": [9, 3, 1, 2]}
  record |= {"finished": [True, False, True, True], "parts": {NASTY: [1, 2, 3, 4]}}
  record |= {"tokens": [[NASTY, ""], ["b", "é"], [""], ["1", ""]]}
  record |= {"logprobs": [[-0.01, -0.2], [-1.0, -2.0], [-0.5], [-4.0, -3.0]]}
  with open(place / "samples.jsonl", "a", encoding="utf-8") as file:
    file.write(json.dumps(record) + "\n")
  return place


@pytest.fixture(scope="module")
def page_path(folder):
  run_report(
    str(folder), lambda _: [("rl", 2, f"length explosion: {NASTY}"), ("rl", 3, "no signal")]
  )
  return folder / "report.html"


@pytest.fixture
def page(chromium, page_path):
  with browser.opened(chromium, page_path) as (page, wrong):
    yield page
    assert wrong == []


def _step(page):
  return page.locator("#step-now").inner_text().split()[0]


def _chosen(page):
  return page.locator("#prompts [aria-selected=true]")


def _order(page):
  return [text.strip("#") for text in page.locator(".answer .number").all_inner_texts()]


@pytest.mark.fault(35)
@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("width", [400, 1600])
def test_it_opens_without_errors_or_requests_and_can_be_read(chromium, page_path, width, dark):
  with browser.opened(chromium, page_path, width=width, dark=dark) as (page, wrong):
    assert page.title() == "tiny"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    for key in ("End", "/"):
      page.keyboard.press(key)
    page.locator("#search").fill("needle")  # the worst of all prompts is shown
    assert page.locator(".answer").count() == 4
    assert page.evaluate(browser.OVER_THE_EDGE) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(browser.PALE) == []
    assert page.title() == "tiny"
    assert wrong == []
    assert page.locator("#answers img, #prompts img, #warnings img").count() == 0


def test_hostile_text_is_text_and_hidden_signs_are_named(page):
  page.locator("#search").fill("needle")
  shown = page.locator(".asked .text").inner_text()
  assert shown.startswith("</script><script>document.title='taken'</script><img src=x")
  for name in ("U+202E", "U+0000", "U+D800"):
    assert name in shown
  assert "\u202e" not in page.locator("body").inner_text()
  assert page.title() == "tiny"
  assert NASTY[:40] in page.locator("#warnings").inner_text()


def test_the_keys(page):
  assert _step(page) == "4"  # the last one is shown first
  page.locator("#step").press("Home")
  page.locator("#samples-title").click()
  assert _step(page) == "1"
  page.keyboard.press("ArrowRight")
  page.keyboard.press("ArrowRight")
  assert _step(page) == "3"
  page.keyboard.press("ArrowLeft")
  assert _step(page) == "2"
  page.keyboard.press("ArrowDown")
  assert _chosen(page).get_attribute("id") == "prompt-1"
  assert page.locator("#prompts").get_attribute("aria-activedescendant") == "prompt-1"
  page.keyboard.press("ArrowRight")
  assert _chosen(page).get_attribute("id") == "prompt-1"  # the place is kept
  page.keyboard.press("ArrowUp")
  assert _chosen(page).get_attribute("id") == "prompt-0"
  page.keyboard.press("s")
  assert page.locator("#sort").input_value() == "reward"
  page.keyboard.press("/")
  page.keyboard.type("needle s")  # typed, not obeyed
  assert page.locator("#sort").input_value() == "reward"
  assert page.locator("#found").inner_text().startswith("0 of")
  page.keyboard.press("Backspace")
  page.keyboard.press("Backspace")
  assert page.locator("#found").inner_text().startswith("1 of")
  assert _step(page) == "4"
  page.keyboard.press("Escape")
  page.keyboard.press("s")
  assert page.locator("#sort").input_value() == "advantage"


def test_the_arrows_scroll_the_page_until_the_viewer_is_chosen(page):
  page.keyboard.press("ArrowDown")
  assert _chosen(page).get_attribute("id") == "prompt-0"


def test_the_mouse(page):
  page.locator("#step").press("Home")
  page.locator("#later").click()
  assert _step(page) == "2"
  page.locator("#earlier").click()
  assert page.locator("#earlier").is_disabled()
  page.locator("#prompt-2").click()
  assert (
    page.locator(".asked .text").inner_text() == page.locator("#prompt-2 .entry-text").inner_text()
  )
  page.locator("#step").press("End")
  assert _step(page) == "4"
  width = page.locator("#large .drawing").bounding_box()["width"]
  page.locator("#large .drawing").click(position={"x": width * 0.7, "y": 100})
  assert _step(page) in ("1", "2")


def test_answers_are_sorted_by_each_figure_and_what_has_none_is_last(page):
  page.locator("#search").fill("needle")
  orders = {"sampled": "1234", "reward": "3241", "advantage": "3412", "length": "1243"}
  orders["logprob"] = "1324"
  for name, order in orders.items():
    page.locator("#sort").select_option(name)
    assert "".join(_order(page)) == order, name
  page.locator("#sort").select_option("reward")
  page.locator("#rising").check()
  assert "".join(_order(page)) == "4231"


def test_tokens_have_their_figures_on_hover_and_in_focus(page):
  page.locator("#search").fill("needle")
  tokens = page.locator(".answer").nth(3).locator(".token")
  kinds = [page.locator(".answer .token").nth(at).get_attribute("class") for at in range(7)]
  assert kinds == [f"token p{at}" for at in (0, 1, 2, 3, 1, 4, 4)]
  tokens.nth(0).hover()
  assert (
    page.locator("#tip").inner_text() == "token 1 of 2, log-prob \u22124.000, probability 0.018"
  )
  tokens.nth(0).focus()
  page.keyboard.press("ArrowRight")
  assert "token 2 of 2" in page.locator("#tip").inner_text()
  assert _step(page) == "4"  # the arrow went to the next token, and no further
  # Not by colour alone.
  lines = {page.evaluate(
    "n => getComputedStyle(document.querySelector('.tokens-legend .p' + n)).textDecorationStyle", n
  ) for n in range(1, 5)}  # fmt: skip
  assert len(lines) == 4


def test_a_search_marks_what_it_finds(page):
  page.locator("#search").fill("NEEDLE")
  assert page.locator(".asked mark").inner_text() == "needle"
  page.locator("#search").fill("é")
  assert page.locator(".token.hit").inner_text() == "é"
  page.locator("#search").fill("")
  assert page.locator("mark, .hit").count() == 0


def test_a_warning_leads_to_its_place(page):
  assert page.locator(".warning-line").count() == 2 * page.locator(".chart").count()
  page.locator("#warnings a").nth(1).click()
  assert page.locator("#large .warning-line.chosen").count() == 1
  assert page.locator("#stage").input_value() == "rl"
  assert _step(page) == "3"
  assert page.evaluate("scrollY") > 0


def test_a_stage_is_looked_at_by_its_button_and_a_drag_looks_closer(page):
  page.get_by_role("button", name="rl", exact=True).click()
  assert page.get_by_role("button", name="rl", exact=True).get_attribute("aria-pressed") == "true"
  assert page.evaluate("[view.from, view.to]") == [3, 7]
  page.locator("#large .drawing").scroll_into_view_if_needed()
  box = page.locator("#large .drawing").bounding_box()
  page.mouse.move(box["x"] + 300, box["y"] + 100)
  page.mouse.down()
  page.mouse.move(box["x"] + 700, box["y"] + 100)
  page.mouse.up()
  closer = page.evaluate("[view.from, view.to]")
  assert 3 <= closer[0] < closer[1] <= 6
  page.get_by_role("button", name="all", exact=True).click()
  assert page.evaluate("[view.from, view.to]") == [0, 7]


def test_older_samples_show_what_they_have(chromium, folder, tmp_path):
  shutil.copytree(folder, tmp_path / "old", ignore=shutil.ignore_patterns("checkpoints"))
  names = ("stage", "step", "prompt", "answer", "completions", "rewards", "advantages")
  lines = (folder / "samples.jsonl").read_text().splitlines()
  kept = [{name: json.loads(line)[name] for name in names} for line in lines]
  (tmp_path / "old" / "samples.jsonl").write_text("".join(json.dumps(line) + "\n" for line in kept))
  run_report(str(tmp_path / "old"))
  with browser.opened(chromium, tmp_path / "old" / "report.html") as (page, wrong):
    assert page.locator(".answer").count() == 4
    assert page.locator(".token").count() == 0
    assert "reward" in page.locator(".answer").nth(0).inner_text()
    assert wrong == []


def test_a_run_without_answers_has_a_page(chromium, tmp_path):
  (tmp_path / "metrics.jsonl").write_text('{"stage": "sft", "step": 1, "loss/sft": 1.5}\n')
  run_report(str(tmp_path))
  with browser.opened(chromium, tmp_path / "report.html") as (page, wrong):
    assert "has recorded no answers" in page.locator("#viewer").inner_text()
    assert page.locator(".chart").count() >= 2
    assert wrong == []


def test_five_thousand_steps_are_drawn_at_once(chromium, tmp_path):
  lines = (
    {"stage": "grpo", "step": n, "reward/mean": (n * 7919 % 1000) / 1000, "policy/entropy": 1 / n}
    | {"length/mean": n % 50, "train/grad_norm": 1.0, "time/step_s": 2.0, "train/lr": 1e-4}
    for n in range(1, 5001)
  )
  (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
  run_report(str(tmp_path))
  with browser.opened(chromium, tmp_path / "report.html") as (page, wrong):
    took = page.evaluate("performance.getEntriesByType('navigation')[0].loadEventEnd")
    assert 0 < took < 5000
    assert (
      page.evaluate(
        "(() => { const at = performance.now(); redrawAll(); return performance.now() - at; })()"
      )
      < 1000
    )
    assert (tmp_path / "report.html").stat().st_size < 500_000
    assert wrong == []
