"use strict";
// One panel as SVG. Lines are told apart by colour and by dashes.

const DASHES = ["", "7 4", "2 3", "9 3 2 3", "1 5", "12 4"];
const LEFT = 52,
  RIGHT = 14,
  TOP = 20,
  BOTTOM = 26,
  DOT = 4; // of the first and the last point as much as of the others

/** A panel's place in the page: its caption, legend and an empty drawing. */
function place(panel, data, large) {
  const legend = make("ul", {class: "legend"});
  const values = panel.series.map(one => {
    const value = make("span", {class: "value"});
    if (!one.faint) legend.append(make("li", {}, swatch(one), ...seen(one.name), " ", value));
    return value;
  });
  const unit = panel.unit ? make("small", {}, " " + panel.unit) : "";
  const box = make("div", {class: "drawing"});
  const figure = make(
    "figure",
    {class: large ? "chart large" : "chart"},
    make("figcaption", {}, panel.title, unit),
    legend,
    box,
  );
  return {panel, data, large, box, values, figure};
}

function swatch(one) {
  const line = draw("line", {x1: 0, x2: 22, y1: 5, y2: 5, ...look(one)});
  const parts = one.points
    ? [draw("circle", {cx: 11, cy: 5, r: 3, class: "dot c" + (one.colour % 6)})]
    : [];
  return draw("svg", {width: 22, height: 10, "aria-hidden": "true"}, line, ...parts);
}

const look = one => ({
  class: `line c${one.colour % 6}${one.faint ? " faint" : ""}`,
  "stroke-dasharray": one.faint ? null : DASHES[one.colour % DASHES.length],
});

/** Draws a chart anew, between the places of the view, as wide as there is room. */
function redraw(chart, view) {
  const {panel, data, large, box} = chart;
  const width = Math.max(box.clientWidth, 200),
    height = large ? 300 : 170;
  const [low, high] = reach(panel, view.from, view.to);
  const x = scale(view.from, view.to, LEFT, width - RIGHT, false);
  const y = scale(low, high, height - BOTTOM, TOP, panel.log);
  const svg = draw("svg", {
    viewBox: `0 0 ${width} ${height}`,
    width,
    height,
    role: "img",
    "aria-label": told(panel),
  });
  svg.append(...grid(panel, x, y, low, high, view, width, height));
  svg.append(...marks(data, x, view, width, height, large));
  const lines = draw("svg", {
    x: LEFT - DOT,
    y: 0,
    width: width - LEFT - RIGHT + 2 * DOT,
    height,
    viewBox: `${LEFT - DOT} 0 ${width - LEFT - RIGHT + 2 * DOT} ${height}`,
  });
  const order = [...panel.series].reverse(); // the first on top, single steps below all
  for (const one of [...order.filter(one => one.faint), ...order.filter(one => !one.faint)])
    lines.append(...curve(one, x, y, panel.log));
  const cursor = draw("line", {
    class: "cursor",
    y1: TOP,
    y2: height - BOTTOM,
    visibility: "hidden",
  });
  svg.append(lines, cursor);
  box.replaceChildren(svg);
  Object.assign(chart, {svg, x, cursor, width});
}

function grid(panel, x, y, low, high, view, width, height) {
  const nodes = [];
  for (const tick of panel.log ? logTicks(low, high) : ticks(low, high, height / 45)) {
    nodes.push(
      draw("line", {class: "grid-line", x1: LEFT, x2: width - RIGHT, y1: y(tick), y2: y(tick)}),
    );
    nodes.push(
      draw("text", {class: "tick", x: LEFT - 6, y: y(tick) + 4, "text-anchor": "end"}, short(tick)),
    );
  }
  for (const tick of ticks(view.from, view.to, width / 110))
    if (Number.isInteger(tick))
      nodes.push(
        draw(
          "text",
          {class: "tick", x: x(tick), y: height - 8, "text-anchor": "middle"},
          String(tick),
        ),
      );
  return nodes;
}

/** Where stages begin, and what was wrong. */
function marks(data, x, view, width, height, large) {
  const nodes = [],
    inside = at => at >= view.from && at <= view.to;
  const upright = (at, name) =>
    draw("line", {class: name, x1: x(at), x2: x(at), y1: TOP, y2: height - BOTTOM});
  for (const stage of data.stages.length > 1 ? data.stages : []) {
    if (inside(stage.start) && stage.start > view.from)
      nodes.push(upright(stage.start, "stage-line"));
    const from = Math.max(stage.start, view.from),
      to = Math.min(stage.end, view.to);
    if (large && to > from && x(to) - x(from) > 7 * stage.name.length)
      nodes.push(draw("text", {class: "stage-name", x: x(from) + 4, y: 13}, stage.name));
  }
  let before = -Infinity,
    row = 0;
  data.warnings.forEach((warning, at) => {
    if (!inside(warning.x)) return;
    row = x(warning.x) - before < 26 ? row + 1 : 0; // else one number would be on the other
    before = x(warning.x);
    nodes.push(upright(warning.x, "warning-line" + (data.chosen === at ? " chosen" : "")));
    if (large)
      nodes.push(
        draw(
          "text",
          {class: "warning-name", x: before, y: TOP + 11 + 13 * row, "text-anchor": "end", dx: -3},
          "▲" + (at + 1),
        ),
      );
  });
  return nodes;
}

function curve(one, x, y, log) {
  const points = one.x
    .map((value, n) => [x(value), y(one.y[n]), n])
    .filter(p => !log || one.y[p[2]] > 0);
  const path = points.map(p => `${p[0].toFixed(1)} ${p[1].toFixed(1)}`).join("L");
  const nodes = [draw("path", {d: path && "M" + path, ...look(one)})];
  if (!one.points && points.length > 1) return nodes;
  for (const [left, top, n] of points) {
    if (one.low)
      nodes.push(
        draw("line", {
          class: look(one).class,
          x1: left,
          x2: left,
          y1: y(one.low[n]),
          y2: y(one.high[n]),
        }),
      );
    nodes.push(draw("circle", {class: "dot c" + (one.colour % 6), cx: left, cy: top, r: 3}));
  }
  return nodes;
}

/** In words, for who does not see it. */
function told(panel) {
  const parts = panel.series
    .filter(one => one.y.length && !one.faint)
    .map(one => `${one.name} from ${short(one.y[0])} to ${short(one.y[one.y.length - 1])}`);
  return `${panel.title}: ${parts.join(", ") || "nothing"}`;
}
