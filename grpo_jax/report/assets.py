"""How the page looks and what it does: CSS and JavaScript of our own."""

STYLE = """
:root { color-scheme: light dark; --ground: #ffffff; --ink: #1f2933; --muted: #52606d;
  --line: #dfe3e8; --panel: #f5f7fa; --accent: #1f66ad; }
@media (prefers-color-scheme: dark) { :root { --ground: #14181d; --ink: #e4e7eb; --muted: #9aa5b1;
  --line: #323b45; --panel: #1d232a; --accent: #7ab8f5; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem 1rem 3rem; max-width: 1320px; background: var(--ground);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0; overflow-wrap: anywhere; }
h2 { font-size: 1.1rem; margin: 2.2rem 0 .4rem; }
p { margin: .3rem 0 .7rem; color: var(--muted); max-width: 75ch; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem .9rem .3rem 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; vertical-align: top; }
th { color: var(--muted); font-weight: 600; }
td.long { white-space: normal; min-width: 16rem; max-width: 60rem; overflow-wrap: anywhere; }
.figure { width: 100%; height: 420px; }
.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr));
  gap: 1rem; }
.grid .figure { height: 280px; }
.command { display: flex; gap: .6rem; align-items: flex-start; background: var(--panel);
  border: 1px solid var(--line); border-radius: 6px; padding: .7rem; }
.command pre { margin: 0; flex: 1; min-width: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font-size: .85rem; }
button { font: inherit; font-size: .85rem; padding: .2rem .8rem; border-radius: 5px;
  cursor: pointer; color: var(--accent); background: var(--ground);
  border: 1px solid var(--accent); }
summary { cursor: pointer; color: var(--accent); margin: .6rem 0; }
"""

# Figures are drawn anew where the scheme changes: plotly does not read CSS.
SCRIPT = """
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
function draw() {
  for (const box of document.querySelectorAll(".figure"))
    Plotly.react(box, ...themed(specs[box.id]), {responsive: true, displaylogo: false,
      displayModeBar: false});
}
draw();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
function copied(button) {
  button.textContent = "Copied";
  setTimeout(() => { button.textContent = "Copy"; }, 1500);
}
function copyOld(button, text) {  // where the page has no clipboard
  const area = document.createElement("textarea");
  area.value = text;
  document.body.append(area);
  area.select();
  if (document.execCommand("copy")) copied(button);
  area.remove();
}
for (const button of document.querySelectorAll("button"))
  button.addEventListener("click", () => {
    const text = button.parentElement.querySelector("pre").textContent;
    if (navigator.clipboard)
      navigator.clipboard.writeText(text).then(() => copied(button), () => copyOld(button, text));
    else copyOld(button, text);
  });
"""
