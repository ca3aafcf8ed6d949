// Where things are: a point of the largest picture, in its pixels, is "a point"; `state.x, state.y`
// is the point in the middle of every pane. A pane is a rectangle of the stage in CSS pixels.

const GAP = 2; // CSS pixels between panes
const LOUPE_PX = 21; // points across, an odd number: the one pointed at is in the middle
const ZOOM_MOST = 64;
const ZOOM_STEP = 1.25;

const data = JSON.parse(document.getElementById("data").textContent);
const sources = [...document.querySelectorAll("#pictures img")];
const stage = element("stage");
const canvas = element("canvas");
const context = canvas.getContext("2d", { alpha: false });

const state = {
  left: 0,
  right: data.pictures.length - 1,
  view: "slider", // slider, side, difference
  split: 0.5, // share of the stage that is left of the border
  zoom: 1, // device pixels for each point
  fits: true, // until somebody zooms
  x: data.width / 2,
  y: data.height / 2,
  peeks: false, // Space is held: the other picture
  looks: false, // the loupe is on
  gain: 3, // the difference is shown 2 to this power times as strong
  heat: false,
};

const clamp = (value, least, most) => Math.min(Math.max(value, least), Math.max(least, most));
const ratio = () => window.devicePixelRatio || 1;
const scale = () => state.zoom / ratio(); // CSS pixels for each point

// Layout

function panes() {
  const { clientWidth: width, clientHeight: height } = stage;
  if (state.view !== "side") return [{ x: 0, y: 0, width, height, picture: state.left }];
  const count = data.pictures.length;
  let best = { columns: 1, size: 0 };
  for (let columns = 1; columns <= count; columns += 1) {
    const rows = Math.ceil(count / columns);
    const size = Math.min(width / columns / data.width, height / rows / data.height);
    if (size > best.size) best = { columns, size };
  }
  const rows = Math.ceil(count / best.columns);
  const across = (width + GAP) / best.columns;
  const down = (height + GAP) / rows;
  return data.pictures.map((_, picture) => ({
    x: (picture % best.columns) * across,
    y: Math.floor(picture / best.columns) * down,
    width: across - GAP,
    height: down - GAP,
    picture,
  }));
}

function paneAt(x, y) {
  const inside = (pane) =>
    x >= pane.x && x < pane.x + pane.width && y >= pane.y && y < pane.y + pane.height;
  return panes().find(inside) || panes()[0];
}

function pointAt(x, y) {
  const pane = paneAt(x, y);
  return {
    x: state.x + (x - pane.x - pane.width / 2) / scale(),
    y: state.y + (y - pane.y - pane.height / 2) / scale(),
  };
}

function zoomThatFits() {
  const [pane] = panes();
  return Math.min(pane.width / data.width, pane.height / data.height) * ratio();
}

// Drawing

function draw() {
  const [width, height] = [stage.clientWidth, stage.clientHeight].map((side) =>
    Math.round(side * ratio()),
  );
  if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
  if (state.fits) Object.assign(state, { zoom: zoomThatFits(), x: data.width / 2, y: data.height / 2 });
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = getComputedStyle(stage).backgroundColor;
  context.fillRect(0, 0, width, height);
  for (const pane of panes()) drawPane(pane);
  showControls();
}

function drawPane(pane) {
  if (state.view === "difference" && !state.peeks) {
    drawPicture(difference(), pane, pane.x, pane.width);
  } else if (state.view === "slider") {
    const [first, second] = state.peeks ? [state.right, state.left] : [state.left, state.right];
    const border = pane.width * state.split;
    drawPicture(sources[first], pane, 0, border);
    drawPicture(sources[second], pane, border, pane.width - border);
  } else {
    drawPicture(sources[peeked(pane.picture)], pane, pane.x, pane.width);
  }
}

function peeked(picture) {
  if (!state.peeks) return picture;
  return picture === state.left ? state.right : state.left;
}

function drawPicture(image, pane, x, width) {
  context.save();
  context.setTransform(ratio(), 0, 0, ratio(), 0, 0);
  context.beginPath();
  context.rect(x, pane.y, width, pane.height);
  context.clip();
  context.imageSmoothingEnabled = state.zoom * data.width < image.width; // pixels stay squares
  context.imageSmoothingQuality = "high";
  context.drawImage(
    image,
    pane.x + pane.width / 2 - state.x * scale(),
    pane.y + pane.height / 2 - state.y * scale(),
    data.width * scale(),
    data.height * scale(),
  );
  context.restore();
}

let drawing = 0;
function redraw() {
  drawing ||= requestAnimationFrame(() => {
    drawing = 0;
    draw();
  });
}

// Difference

const kept = { key: "", canvas: null, pair: "", levels: null };

function pixelsOf(image) {
  const copy = new OffscreenCanvas(data.width, data.height).getContext("2d");
  copy.imageSmoothingEnabled = false;
  copy.drawImage(image, 0, 0, data.width, data.height);
  return copy.getImageData(0, 0, data.width, data.height);
}

function difference() {
  const pair = `${state.left} ${state.right}`;
  const key = `${pair} ${state.gain} ${state.heat}`;
  if (kept.pair !== pair) {
    const [first, second] = [state.left, state.right].map((place) => pixelsOf(sources[place]).data);
    kept.levels = first.map((level, place) => Math.abs(level - second[place]));
    kept.pair = pair;
  }
  if (kept.key !== key) {
    kept.canvas ||= new OffscreenCanvas(data.width, data.height);
    kept.canvas.getContext("2d").putImageData(amplified(kept.levels), 0, 0);
    kept.key = key;
  }
  return kept.canvas;
}

function amplified(levels) {
  const image = new ImageData(data.width, data.height);
  const gain = 2 ** state.gain;
  for (let place = 0; place < levels.length; place += 4) {
    const channels = [levels[place], levels[place + 1], levels[place + 2]];
    const shown = state.heat ? heatOf(gain * Math.max(...channels)) : channels.map((d) => d * gain);
    image.data.set(shown, place); // clamps by itself
    image.data[place + 3] = 255;
  }
  return image;
}

// Black, violet, red, yellow, white: brighter all the way, so that it reads in gray too.
const HEAT = [[0, 0, 0], [70, 10, 110], [190, 40, 70], [250, 160, 30], [255, 255, 220]];

function heatOf(level) {
  const place = (Math.min(level, 255) / 255) * (HEAT.length - 1);
  const below = Math.min(Math.floor(place), HEAT.length - 2);
  return HEAT[below].map((c, i) => c + (HEAT[below + 1][i] - c) * (place - below));
}

// What stands around the pictures

function showControls() {
  for (const button of document.querySelectorAll("[data-view]")) {
    button.setAttribute("aria-pressed", String(button.dataset.view === state.view));
  }
  const percent = state.zoom * 100;
  element("zoom").textContent = `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`;
  element("fit").setAttribute("aria-pressed", String(state.fits));
  element("loupe-button").setAttribute("aria-pressed", String(state.looks));
  element("heat").setAttribute("aria-pressed", String(state.heat));
  stage.classList.toggle("looking", state.looks);
  [element("left").value, element("right").value] = [state.left, state.right];
  element("amplifier").hidden = state.view !== "difference";
  element("gain").value = state.gain;
  element("gain-value").textContent = `× ${2 ** state.gain}`;
  const divider = element("divider");
  divider.hidden = state.view !== "slider";
  divider.style.left = `${state.split * stage.clientWidth}px`;
  divider.setAttribute("aria-valuenow", Math.round(state.split * 100));
  showLabels();
  showFigures();
}

function showLabels() {
  const label = (text, style) => {
    const span = document.createElement("span");
    span.textContent = text;
    Object.assign(span.style, style);
    return span;
  };
  const name = (picture) => data.pictures[picture].label;
  const [left, right] = state.peeks ? [state.right, state.left] : [state.left, state.right];
  let labels;
  if (state.view === "slider") {
    labels = [
      label(name(left), { left: "12px", top: "12px" }),
      label(name(right), { right: "12px", top: "12px" }),
    ];
  } else if (state.view === "difference") {
    const text = state.peeks ? name(right) : `${name(left)} − ${name(right)}`;
    labels = [label(text, { left: "12px", top: "12px" })];
  } else {
    labels = panes().map((pane) =>
      label(name(peeked(pane.picture)), { left: `${pane.x + 12}px`, top: `${pane.y + 12}px` }),
    );
  }
  element("labels").replaceChildren(...labels);
}

function showFigures() {
  const [first, second] = [state.left, state.right].sort((a, b) => a - b);
  const pair = data.pairs.find((each) => each.first === first && each.second === second);
  const entries = pair
    ? [
        ["PSNR", pair.psnr === null ? "equal" : `${pair.psnr.toFixed(2)} dB`],
        ["mean difference", pair.mean.toFixed(3)],
        ["largest", `${pair.largest} of 255`],
        ["pixels that differ", `${(pair.changed * 100).toFixed(pair.changed < 0.001 ? 4 : 1)} %`],
      ]
    : [];
  const shown = entries.map(([term, figure]) => {
    const group = document.createElement("div");
    const [dt, dd] = [document.createElement("dt"), document.createElement("dd")];
    [dt.textContent, dd.textContent] = [term, figure];
    group.append(dt, dd);
    return group;
  });
  element("figures").replaceChildren(...shown);
}

// Moving

function moveBy(across, down) {
  state.fits = false;
  state.x = clamp(state.x - across / scale(), 0, data.width);
  state.y = clamp(state.y - down / scale(), 0, data.height);
  redraw();
}

function zoomTo(zoom, x, y) {
  const pane = paneAt(x ?? stage.clientWidth / 2, y ?? stage.clientHeight / 2);
  const [atX, atY] = [x ?? pane.x + pane.width / 2, y ?? pane.y + pane.height / 2];
  const before = pointAt(atX, atY);
  state.fits = false;
  state.zoom = clamp(zoom, Math.min(zoomThatFits() / 2, 1), ZOOM_MOST);
  const after = pointAt(atX, atY);
  state.x = clamp(state.x + before.x - after.x, 0, data.width);
  state.y = clamp(state.y + before.y - after.y, 0, data.height);
  redraw();
}

function splitTo(share) {
  state.split = clamp(share, 0, 1);
  redraw();
}

function change(values) {
  Object.assign(state, values);
  redraw();
}

function swap() {
  change({ left: state.right, right: state.left });
}

// Pointers: one moves, two pinch

const pointers = new Map();

function inStage(event) {
  const box = stage.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

function spread() {
  const [one, two] = [...pointers.values()];
  return {
    x: (one.x + two.x) / 2,
    y: (one.y + two.y) / 2,
    distance: Math.hypot(one.x - two.x, one.y - two.y) || 1,
  };
}

stage.addEventListener("pointerdown", (event) => {
  const target = event.target.closest("#divider") ? "divider" : "picture";
  stage.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, { ...inStage(event), target });
  stage.classList.toggle("moving", target === "picture" && !state.looks);
  if (state.looks && event.pointerType === "touch") look(inStage(event));
});

stage.addEventListener("pointermove", (event) => {
  const now = inStage(event);
  if (state.looks) look(now);
  const before = pointers.get(event.pointerId);
  if (!before) return;
  if (pointers.size === 2) {
    const old = spread();
    pointers.set(event.pointerId, { ...now, target: before.target });
    const pinch = spread();
    moveBy(pinch.x - old.x, pinch.y - old.y);
    zoomTo((state.zoom * pinch.distance) / old.distance, pinch.x, pinch.y);
    return;
  }
  pointers.set(event.pointerId, { ...now, target: before.target });
  if (before.target === "divider") splitTo(now.x / stage.clientWidth);
  else if (!(state.looks && event.pointerType === "touch")) moveBy(now.x - before.x, now.y - before.y);
});

for (const end of ["pointerup", "pointercancel"]) {
  stage.addEventListener(end, (event) => {
    pointers.delete(event.pointerId);
    stage.classList.remove("moving");
  });
}

stage.addEventListener("pointerleave", () => {
  element("loupe").hidden = true;
});

stage.addEventListener(
  "wheel",
  (event) => {
    event.preventDefault();
    const { x, y } = inStage(event);
    const lines = event.deltaY * (event.deltaMode === 1 ? 16 : 1);
    zoomTo(state.zoom * Math.exp(-lines / 400), x, y);
  },
  { passive: false },
);

stage.addEventListener("dblclick", (event) => {
  if (event.target.closest("#divider")) return splitTo(0.5);
  const { x, y } = inStage(event);
  return state.fits ? zoomTo(Math.max(1, state.zoom * 2), x, y) : change({ fits: true });
});

// Loupe: the pixels around the pointer, of every picture in view, with their values

function look(at) {
  const point = pointAt(at.x, at.y);
  const [x, y] = [Math.floor(point.x), Math.floor(point.y)];
  const loupe = element("loupe");
  loupe.hidden = x < 0 || y < 0 || x >= data.width || y >= data.height;
  if (loupe.hidden) return;
  const shown = state.view === "side" ? data.pictures.keys() : [state.left, state.right];
  loupe.replaceChildren(...[...shown].map((picture) => magnified(picture, x, y)));
  const gap = 24;
  const { offsetWidth: width, offsetHeight: height } = loupe;
  const left = at.x + gap + width < stage.clientWidth ? at.x + gap : at.x - gap - width;
  const top = at.y + gap + height < stage.clientHeight ? at.y + gap : at.y - gap - height;
  loupe.style.left = `${clamp(left, 4, stage.clientWidth - width - 4)}px`;
  loupe.style.top = `${clamp(top, 4, stage.clientHeight - height - 4)}px`;
}

function magnified(picture, x, y) {
  const figure = document.createElement("figure");
  const glass = document.createElement("canvas");
  glass.width = glass.height = LOUPE_PX * 16;
  const paint = glass.getContext("2d", { willReadFrequently: true });
  paint.imageSmoothingEnabled = false;
  const image = sources[picture];
  const [across, down] = [image.width / data.width, image.height / data.height];
  const reach = (LOUPE_PX - 1) / 2;
  paint.drawImage(
    image,
    (x - reach) * across,
    (y - reach) * down,
    LOUPE_PX * across,
    LOUPE_PX * down,
    0,
    0,
    glass.width,
    glass.height,
  );
  const middle = reach * 16;
  const values = [...paint.getImageData(middle + 8, middle + 8, 1, 1).data].slice(0, 3);
  paint.lineWidth = 2;
  for (const [colour, outset] of [["#000", 3], ["#fff", 1]]) {
    paint.strokeStyle = colour;
    paint.strokeRect(middle - outset, middle - outset, 16 + 2 * outset, 16 + 2 * outset);
  }
  const caption = document.createElement("figcaption");
  const name = document.createElement("b");
  name.textContent = data.pictures[picture].label;
  caption.append(name, `${x + data.left}, ${y + data.top}: ${values.join(" ")}`);
  figure.append(glass, caption);
  return figure;
}

// Keys

function toggleLoupe() {
  element("loupe").hidden = true;
  change({ looks: !state.looks });
}

function follow(name) {
  document.querySelector(`nav a[rel="${name}"]`)?.click();
}

function arrow(event, across, down) {
  if (event.altKey || down || state.view !== "slider") return moveBy(-80 * across, -80 * down);
  return splitTo(state.split + across * (event.shiftKey ? 0.1 : 0.01));
}

const KEYS = {
  s: () => change({ view: "slider" }),
  c: () => change({ view: "side" }),
  d: () => change({ view: state.view === "difference" ? "slider" : "difference" }),
  l: toggleLoupe,
  x: swap,
  h: () => change({ heat: !state.heat }),
  t: toggleTheme,
  p: () => follow("prev"),
  n: () => follow("next"),
  0: () => change({ fits: true }),
  1: () => zoomTo(1),
  2: () => zoomTo(2),
  4: () => zoomTo(4),
  "+": () => zoomTo(state.zoom * ZOOM_STEP),
  "=": () => zoomTo(state.zoom * ZOOM_STEP),
  "-": () => zoomTo(state.zoom / ZOOM_STEP),
  "[": () => change({ gain: clamp(state.gain - 1, 0, 6) }),
  "]": () => change({ gain: clamp(state.gain + 1, 0, 6) }),
  " ": () => change({ peeks: true }),
  "?": () => element("help").showModal(),
  ArrowLeft: (event) => arrow(event, -1, 0),
  ArrowRight: (event) => arrow(event, 1, 0),
  ArrowUp: (event) => arrow(event, 0, -1),
  ArrowDown: (event) => arrow(event, 0, 1),
};

listen(KEYS);

document.addEventListener("keyup", (event) => {
  if (event.key === " ") change({ peeks: false });
});
window.addEventListener("blur", () => change({ peeks: false }));

// Buttons

for (const button of document.querySelectorAll("[data-view]")) {
  button.addEventListener("click", () => change({ view: button.dataset.view }));
}
element("swap").addEventListener("click", swap);
element("in").addEventListener("click", () => zoomTo(state.zoom * ZOOM_STEP));
element("out").addEventListener("click", () => zoomTo(state.zoom / ZOOM_STEP));
element("zoom").addEventListener("click", () => zoomTo(1));
element("fit").addEventListener("click", () => change({ fits: true }));
element("loupe-button").addEventListener("click", toggleLoupe);
element("heat").addEventListener("click", () => change({ heat: !state.heat }));
element("gain").addEventListener("input", (event) => change({ gain: Number(event.target.value) }));
for (const side of ["left", "right"]) {
  const options = data.pictures.map((picture, place) => new Option(picture.label, place));
  element(side).append(...options);
  element(side).addEventListener("change", (event) => change({ [side]: Number(event.target.value) }));
}
element("choice").classList.toggle("pair", data.pictures.length === 2);

new ResizeObserver(redraw).observe(stage);
document.addEventListener("themechange", redraw);
Promise.all(sources.map((image) => image.decode())).then(() => {
  draw();
  document.body.dataset.ready = "yes";
});
