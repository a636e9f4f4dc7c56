"use strict";
// Axes: round ticks, and from values to pixels.

/** About `count` round numbers from low to high. */
function ticks(low, high, count) {
  const rough = (high - low) / Math.max(count, 1);
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(n => n * power).find(n => n >= rough * 0.999) || power;
  const found = [];
  for (let n = Math.ceil(low / step - 1e-9); n * step <= high + step * 1e-9; n++)
    found.push(Number((n * step).toPrecision(12)));
  return found;
}

/** Powers of ten between, and where there are few also 2 and 5 of each. */
function logTicks(low, high) {
  const found = [];
  const few = Math.log10(high / low) < 2.5;
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    for (const n of few ? [1, 2, 5] : [1]) found.push(n * 10 ** power);
  return found.filter(tick => tick >= low * 0.999 && tick <= high * 1.001);
}

/** The least and the greatest value that is drawn between two places, with some room. */
function reach(panel, from, to) {
  const values = [];
  for (const one of panel.series)
    for (let at = 0; at < one.x.length; at++) {
      if (one.x[at] < from || one.x[at] > to) continue;
      values.push(one.y[at]);
      if (one.low) values.push(one.low[at], one.high[at]);
    }
  const shown = panel.log ? values.filter(value => value > 0) : values;
  if (!shown.length) return panel.log ? [0.1, 1] : [0, 1];
  let low = shown.reduce((a, b) => Math.min(a, b)),
    high = shown.reduce((a, b) => Math.max(a, b));
  if (panel.log) return low < high ? [low / 1.15, high * 1.15] : [low / 2, high * 2];
  if (low >= 0 && low < 0.4 * high) low = 0; // a share, a length: nought is worth seeing
  const room = 0.06 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low === 0 ? 0 : low - room, high + room];
}

/** value -> pixel, from [low, high] to [start, end]. */
function scale(low, high, start, end, log) {
  const of = log ? Math.log : value => value;
  const from = of(low),
    width = of(high) - from || 1;
  return value => start + ((of(value) - from) / width) * (end - start);
}
