"use strict";
// Figures are drawn anew where the scheme changes: plotly does not read CSS.

const specs = JSON.parse(document.getElementById("figures").textContent);

function themed(spec) {
  const css = getComputedStyle(document.documentElement);
  const colour = name => css.getPropertyValue("--" + name).trim();
  const line = colour("line");
  const axis = {gridcolor: line, zerolinecolor: line, linecolor: line};
  const layout = Object.assign({}, spec.layout, {autosize: true, paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)", font: {color: colour("ink"), size: 12}});
  layout.xaxis = Object.assign({}, axis, spec.layout.xaxis);
  layout.yaxis = Object.assign({}, axis, spec.layout.yaxis);
  const font = {labelfont: {color: colour("ink")}, tickfont: {color: colour("ink")},
    rangefont: {color: "rgba(0,0,0,0)"}};
  const data = spec.data.map(t => t.type === "parcoords" ? Object.assign({}, t, font) : t);
  return [data, layout];
}

function drawAll() {
  for (const box of document.querySelectorAll(".figure"))
    Plotly.react(box, ...themed(specs[box.id]), {responsive: true, displaylogo: false,
      displayModeBar: false});
}

drawAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
