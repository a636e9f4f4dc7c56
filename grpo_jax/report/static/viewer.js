"use strict";
// The viewer of samples: what is chosen, by mouse or by keys.

const state = {record: records.length && latest(), query: "", sort: "sampled", rising: false};

/** The prompts to choose from. */
const listed = () =>
  state.query ? matching(state.query).slice(0, MOST_SHOWN) : stepOf(state.record).records;

function choose(record) {
  state.record = record;
  render();
}

function render() {
  const {record, query} = state,
    stage = stageOf(record),
    step = stepOf(record),
    shown = listed();
  byId("stage").value = stage.name;
  byId("step").max = stage.steps.length - 1;
  byId("step").value = stage.steps.indexOf(step);
  byId("step").setAttribute("aria-valuetext", "step " + step.step);
  byId("step-now").textContent =
    `${step.step} (${stage.steps.indexOf(step) + 1} of ${stage.steps.length} here)`;
  byId("earlier").disabled = !moved(-1);
  byId("later").disabled = !moved(1);
  listPrompts(shown, record, query, choose);
  const some = query ? `${matching(query).length} of ${records.length} prompts match` : "";
  byId("found").textContent =
    some + (some && shown.length === MOST_SHOWN ? `, the first ${MOST_SHOWN} are listed` : "");
  const cards = ordered(record, state.sort, state.rising).map(g => answerCard(record, g, query));
  byId("answers").replaceChildren(
    promptCard(record, query),
    ...(record.tokens ? [legendOfTokens()] : []),
    ...cards,
  );
  tipOf(null);
  view.kept = (run.stages.find(one => one.name === stage.name) || {start: 0}).start + step.step;
  pointAt(view.kept);
}

/** The record a step further, of a search the next that matches elsewhere; undefined at the end. */
function moved(by) {
  const {record, query} = state;
  if (query) {
    const found = matching(query),
      at = atOf(record);
    const other = one => stepOf(one) !== stepOf(record);
    return by > 0
      ? found.find(one => atOf(one) > at && other(one))
      : found.filter(one => atOf(one) < at && other(one)).pop();
  }
  const steps = stageOf(record).steps,
    step = stepOf(record);
  const next = steps[steps.indexOf(step) + by];
  return next && next.records[Math.min(step.records.indexOf(record), next.records.length - 1)];
}

function moveStep(by) {
  const next = moved(by);
  if (next) choose(next);
}

function movePrompt(by) {
  const shown = listed(),
    next = shown[shown.indexOf(state.record) + by];
  if (next) choose(next);
}

function search(text) {
  state.query = text.toLowerCase();
  const shown = listed();
  if (shown.length && !shown.includes(state.record)) state.record = shown[0];
  render();
}

function sortBy(name, rising = state.rising) {
  Object.assign(state, {sort: name, rising});
  byId("sort").value = name;
  byId("rising").checked = rising;
  render();
}

function nextSort() {
  const names = Object.keys(SORTS);
  sortBy(names[(names.indexOf(state.sort) + 1) % names.length]);
}

/** Keys: not those typed into a field, nor up and down where the page is to be scrolled. */
function pressed(event) {
  const field = event.target.closest("input, select, textarea"),
    inside = byId("viewer").contains(event.target);
  if (event.key === "Escape" && event.target === byId("search")) {
    byId("viewer").focus();
    return;
  }
  if (field || event.ctrlKey || event.metaKey || event.altKey) return;
  const steps = {ArrowLeft: -1, ArrowRight: 1},
    prompts = inside ? {ArrowUp: -1, ArrowDown: 1} : {};
  if (event.key in steps) moveStep(steps[event.key]);
  else if (event.key in prompts) movePrompt(prompts[event.key]);
  else if (event.key === "/") {
    byId("search").focus();
    byId("search").select();
  } else if (event.key === "s") nextSort();
  else return;
  event.preventDefault();
}

function start() {
  byId("stage").append(...stages.map(stage => make("option", {value: stage.name}, stage.name)));
  byId("sort").append(
    ...Object.entries(SORTS).map(([name, [words]]) => make("option", {value: name}, words)),
  );
  byId("stage").addEventListener("change", event =>
    choose(stages[event.target.selectedIndex].steps[0].records[0]),
  );
  byId("step").addEventListener("input", event =>
    choose(stageOf(state.record).steps[Number(event.target.value)].records[0]),
  );
  byId("earlier").addEventListener("click", () => moveStep(-1));
  byId("later").addEventListener("click", () => moveStep(1));
  byId("search").addEventListener("input", event => search(event.target.value));
  byId("sort").addEventListener("change", event => sortBy(event.target.value));
  byId("rising").addEventListener("change", event => sortBy(state.sort, event.target.checked));
  document.addEventListener("keydown", pressed);
  for (const kind of ["pointerover", "focusin"])
    byId("answers").addEventListener(kind, event => tipOf(event.target));
  for (const kind of ["pointerleave", "focusout"])
    byId("answers").addEventListener(kind, () => tipOf(null));
  onPick = (name, step) => {
    const found = nearestStep(name, step);
    if (found) choose(found.records[0]);
  };
  render();
}

if (records.length) start();
