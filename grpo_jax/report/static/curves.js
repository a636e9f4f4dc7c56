"use strict";
// All panels: one view and one cursor, which the viewer of samples moves too.

const run = given("run");
const last = Math.max(1, ...run.stages.map(stage => stage.end));
const view = {from: 0, to: last};
const charts = run.panels.map((panel, at) => place(panel, run, at === 0));
let onPick = () => {}; // (stage, step): the viewer's

const redrawAll = () => {
  charts.forEach(chart => redraw(chart, view));
  pointAt(view.at);
};

/** Shows the values at a place; undefined shows the last ones. */
function pointAt(at) {
  view.at = at;
  for (const chart of charts) {
    const shown = at !== undefined && at >= view.from && at <= view.to;
    chart.cursor.setAttribute("visibility", shown ? "visible" : "hidden");
    if (shown) for (const end of ["x1", "x2"]) chart.cursor.setAttribute(end, chart.x(at));
    chart.panel.series.forEach((one, n) => {
      const before = chart.panel.series[n - 1],
        raw = before && before.faint ? before : one; // no mean
      const value = raw.y[nearest(raw.x, at === undefined ? Infinity : at)];
      chart.values[n].textContent = value === undefined ? "" : short(value);
    });
  }
}

/** The last place in a rising list that is not after `at`; the first where all are. */
function nearest(places, at) {
  let low = 0,
    high = places.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (places[middle] <= at) low = middle + 1;
    else high = middle;
  }
  return Math.max(low - 1, 0);
}

const stageAt = at => run.stages.filter(stage => stage.start <= at).pop() || run.stages[0];

function show(from, to) {
  Object.assign(view, {from, to});
  for (const button of byId("zoom").children)
    button.setAttribute(
      "aria-pressed",
      Number(button.dataset.from) === from && Number(button.dataset.to) === to,
    );
  redrawAll();
}

/** A drag looks closer, a click picks a step, a pointer that passes shows values. */
function listen(chart) {
  let start = null,
    band = null;
  const at = event => {
    const left = event.clientX - chart.box.getBoundingClientRect().left;
    const share = (left - LEFT) / (chart.width - LEFT - RIGHT);
    return view.from + Math.min(Math.max(share, 0), 1) * (view.to - view.from);
  };
  chart.box.addEventListener("pointerdown", event => {
    if (event.button === 0) start = at(event);
  });
  chart.box.addEventListener("pointermove", event => {
    pointAt(at(event));
    if (start === null || event.pointerType === "touch") return;
    const [from, to] = [start, at(event)].sort((a, b) => a - b).map(chart.x);
    band = band || chart.svg.appendChild(draw("rect", {class: "band", y: TOP}));
    for (const [key, value] of Object.entries({
      x: from,
      width: to - from,
      height: chart.svg.height.baseVal.value - TOP - BOTTOM,
    }))
      band.setAttribute(key, value);
  });
  chart.box.addEventListener("pointerup", event => {
    if (start === null) return;
    const [from, to] = [start, at(event)].sort((a, b) => a - b);
    const dragged = Math.abs(chart.x(to) - chart.x(from)) > 5 && event.pointerType !== "touch";
    [start, band] = [null, band && band.remove()];
    if (dragged) show(Math.floor(from), Math.max(Math.ceil(to), Math.floor(from) + 1));
    else if (run.stages.length) pick(Math.round(to));
  });
  for (const kind of ["pointerleave", "pointercancel"])
    chart.box.addEventListener(kind, () => {
      band && band.remove();
      start = band = null;
      pointAt(view.kept);
    });
  chart.box.addEventListener("dblclick", () => show(0, last));
}

/** The samples of the step at a place. */
function pick(at) {
  const stage = stageAt(at);
  onPick(stage.name, at - stage.start);
}

function build() {
  byId("large").append(charts[0].figure);
  byId("small").append(...charts.slice(1).map(chart => chart.figure));
  charts.forEach(listen);
  const spans = [{name: "all", start: 0, end: last}, ...(run.stages.length > 1 ? run.stages : [])];
  for (const span of spans.filter(one => one.end > one.start)) {
    const button = make(
      "button",
      {type: "button", "data-from": span.start, "data-to": span.end},
      span.name,
    );
    button.addEventListener("click", () => show(span.start, span.end));
    byId("zoom").append(button);
  }
  for (const link of document.querySelectorAll("[data-warning]"))
    link.addEventListener("click", () => {
      run.chosen = Number(link.dataset.warning);
      view.kept = run.warnings[run.chosen].x;
      show(0, last);
      pick(view.kept);
    });
  show(0, last);
  let width = byId("large").clientWidth;
  new ResizeObserver(() => {
    if (byId("large").clientWidth === width) return;
    width = byId("large").clientWidth;
    redrawAll();
  }).observe(byId("large"));
}

build();
