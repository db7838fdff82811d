// Waveforms that one can zoom: wheel, drag, pinch, buttons and keys. The picture in the page is replaced by one drawn
// here for the width at hand; without this script it stays as it is.
"use strict";

for (const figure of document.querySelectorAll(".trace")) {
  const frame = figure.querySelector(".trace-frame");
  const numbers = (name) => (frame.dataset[name] || "").split(" ").filter(Boolean).map(Number);
  const samples = numbers("samples"), unit = Number(frame.dataset.unit), step = Number(frame.dataset.step);
  const marks = { found: numbers("found").map((t) => t / 100), true: numbers("true").map((t) => t / 100) };
  const end = (samples.length - 1) * step, shortest = 12 * step;
  const margin = { left: 46, right: 10, top: 16, bottom: 34 };
  let low = 0, high = end;

  function draw() {
    const width = Math.max(frame.clientWidth, 240), height = Math.round(Math.min(300, 150 + width / 5));
    const right = width - margin.right, floor = height - margin.bottom;
    const first = Math.max(0, Math.floor(low / step)), last = Math.min(samples.length - 1, Math.ceil(high / step));
    let bottom = Infinity, top = -Infinity;
    for (let i = first; i <= last; i++) { bottom = Math.min(bottom, samples[i]); top = Math.max(top, samples[i]); }
    const reach = Math.max((top - bottom) * unit, 1e-6);
    const lowest = bottom * unit - 0.2 * reach, highest = top * unit + 0.15 * reach;
    const x = (t) => margin.left + (t - low) / (high - low) * (right - margin.left);
    const y = (v) => floor - (v - lowest) / (highest - lowest) * (floor - margin.top);
    const svg = element("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": frame.dataset.name });
    const inside = (t) => t >= low && t <= high;

    for (const t of ticks(low, high, width / 90)) {
      svg.append(element("path", { class: "axis", d: `M${x(t)} ${floor}v4` }), label(x(t), floor + 17, t, "middle"));
    }
    for (const v of ticks(lowest, highest, 4)) {
      svg.append(element("path", { class: "axis", d: `M${margin.left} ${y(v)}h-4` }), label(margin.left - 7, y(v) + 4, v, "end"));
    }
    svg.append(label((margin.left + right) / 2, height - 3, "time [ns]", "middle"), label(4, 11, "mV", "start"));
    svg.append(element("path", { class: "axis", d: `M${margin.left} ${margin.top}V${floor}H${right}` }));
    for (const t of marks.true.filter(inside)) {
      svg.append(element("path", { class: "true", d: `M${x(t)} ${floor - 1}v-${0.09 * (floor - margin.top)}` }));
    }
    const points = [];
    for (let i = first; i <= last; i++) {
      const place = Math.min(Math.max(i * step, low), high), value = samples[i] + (place - i * step) / step *
        ((samples[i + (place > i * step ? 1 : -1)] ?? samples[i]) - samples[i]) * (place > i * step ? 1 : -1);
      points.push(`${x(place).toFixed(1)},${y(value * unit).toFixed(1)}`);
    }
    svg.append(element("polyline", { class: "wave", points: points.join(" ") }));
    for (const t of marks.found.filter(inside)) {
      const i = Math.min(Math.max(Math.round(t / step), 0), samples.length - 1);
      const peak = y(samples[i] * unit) - 5;
      svg.append(element("path", { class: "found", d: `M${x(t)} ${peak}l-4 -7h8z` }));
    }
    frame.replaceChildren(svg);
    frame.dataset.view = `${low.toFixed(2)} ${high.toFixed(2)}`;
  }

  function view(from, to) {
    const length = Math.min(Math.max(to - from, shortest), end), middle = (from + to) / 2;
    low = Math.min(Math.max(middle - length / 2, 0), end - length);
    high = low + length;
    draw();
  }
  const zoom = (factor, at = (low + high) / 2) => view(at - (at - low) * factor, at + (high - at) * factor);
  const pan = (share) => view(low + share * (high - low), high + share * (high - low));
  const timeAt = (event) => {
    const box = frame.getBoundingClientRect(), inner = box.width - margin.left - margin.right;
    return low + (high - low) * Math.min(Math.max((event.clientX - box.left - margin.left) / inner, 0), 1);
  };

  frame.addEventListener("wheel", (event) => {
    // A page must scroll under the wheel until the reader has chosen the waveform.
    if (document.activeElement !== frame && !event.ctrlKey) return;
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.8 : 1.25, timeAt(event));
  }, { passive: false });

  const fingers = new Map();
  frame.addEventListener("pointerdown", (event) => {
    fingers.set(event.pointerId, event.clientX);
    frame.setPointerCapture(event.pointerId);
  });
  frame.addEventListener("pointermove", (event) => {
    if (!fingers.has(event.pointerId)) return;
    const before = [...fingers.values()], scale = (high - low) / (frame.clientWidth - margin.left - margin.right);
    const middle = timeAt(event);
    fingers.set(event.pointerId, event.clientX);
    const after = [...fingers.values()];
    if (after.length === 1) return view(low - (after[0] - before[0]) * scale, high - (after[0] - before[0]) * scale);
    const spread = (x) => Math.max(Math.abs(x[0] - x[1]), 10);
    zoom(spread(before) / spread(after), middle);
  });
  for (const ending of ["pointerup", "pointercancel"]) {
    frame.addEventListener(ending, (event) => fingers.delete(event.pointerId));
  }
  frame.addEventListener("dblclick", (event) => zoom(0.4, timeAt(event)));

  const drift = numbers("drift"), whole = () => view(0, end);
  const actions = {
    in: () => zoom(0.5), out: () => zoom(2), left: () => pan(-0.3), right: () => pan(0.3), whole,
    drift: () => drift.length === 2 ? view(drift[0], drift[1]) : whole(),
  };
  const keys = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", Home: "whole", "0": "whole" };
  frame.addEventListener("keydown", (event) => {
    if (!(event.key in keys) || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    actions[keys[event.key]]();
  });
  for (const button of figure.querySelectorAll("button")) {
    button.addEventListener("click", () => actions[button.dataset.action]());
  }
  new ResizeObserver(draw).observe(frame);
  figure.classList.add("zooming");
  actions.drift();
}

function element(name, attributes) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}

function label(x, y, text, anchor) {
  const made = element("text", { class: "label", x, y, "text-anchor": anchor });
  made.textContent = typeof text === "number" ? String(Number(text.toFixed(6))) : text;
  return made;
}

function ticks(low, high, most) {
  const rough = (high - low) / Math.max(most, 2), power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough), found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) found.push(i * step);
  return found;
}
