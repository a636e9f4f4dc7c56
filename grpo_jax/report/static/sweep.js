"use strict";
// Figures are drawn anew where the scheme changes: plotly does not read CSS.

const specs = JSON.parse(document.getElementById("figures").textContent);

function themed(spec) {
  const css = getComputedStyle(document.documentElement);
  const colour = name => css.getPropertyValue("--" + name).trim();
  const line = colour("line");
  const axis = {gridcolor: line, zerolinecolor: line, linecolor: line};
  const layout = Object.assign({}, spec.layout, {
    autosize: true,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: {color: colour("ink"), size: 12},
  });
  layout.xaxis = Object.assign({}, axis, spec.layout.xaxis);
  layout.yaxis = Object.assign({}, axis, spec.layout.yaxis);
  const font = {
    labelfont: {color: colour("ink")},
    tickfont: {color: colour("ink")},
    rangefont: {color: "rgba(0,0,0,0)"},
  };
  const data = spec.data.map(t => (t.type === "parcoords" ? Object.assign({}, t, font) : t));
  return [data, layout];
}

/** One figure after the other, so that the page can be read while they come. */
function drawAll() {
  const boxes = [...document.querySelectorAll(".figure")];
  const next = () => {
    const box = boxes.shift();
    if (!box) return;
    Plotly.react(box, ...themed(specs[box.id]), {
      responsive: true,
      displaylogo: false,
      displayModeBar: false,
    });
    setTimeout(next);
  };
  next();
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
