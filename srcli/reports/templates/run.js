// One run or several: curves over the steps, and the samples of a step.

const HEIGHT = 190; // CSS pixels, of a chart
const MARGIN = { top: 8, right: 10, bottom: 20, left: 52 };
const DOTS_MOST = 30; // points that still get a dot each
const PLAY_MS = 600;

const data = JSON.parse(element("data").textContent);
const sampled = [...new Set(data.runs.flatMap((run) => run.samples.map((each) => each.step)))].sort(
  (one, two) => one - two,
);
const charts = [];
const state = { place: sampled.length - 1, log: false, holds: false, playing: 0, cross: null };

const clamp = (value, least, most) => Math.min(Math.max(value, least), most);
const last = (list) => list[list.length - 1];

function make(tag, attributes = {}, ...children) {
  const isDrawn = ["svg", "g", "path", "line", "circle", "text"].includes(tag);
  const made = isDrawn
    ? document.createElementNS("http://www.w3.org/2000/svg", tag)
    : document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function shown(value) {
  if (value === null || value === undefined) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e6) return value.toExponential(2);
  return size >= 100 ? value.toFixed(1) : String(Number(value.toPrecision(4)));
}

const tick = (value) =>
  value !== 0 && (Math.abs(value) < 1e-3 || Math.abs(value) >= 1e5)
    ? value.toExponential().replace("e+", "e")
    : String(Number(value.toPrecision(6)));

// Scales: a value to a share of the height, and the values worth a line

function linear(least, most) {
  const room = (most - least || Math.abs(most) || 1) * 0.06;
  const [low, high] = [least - room, most + room];
  const size = 10 ** Math.floor(Math.log10((high - low) / 4));
  const step = [1, 2, 5, 10].map((each) => each * size).find((each) => (high - low) / each <= 5);
  const ticks = [];
  for (let each = Math.ceil(low / step); each * step <= high; each += 1) ticks.push(each * step);
  return { at: (value) => (value - low) / (high - low), ticks };
}

function logarithmic(least, most) {
  const [low, high] = [Math.log10(least) - 0.05, Math.log10(most) + 0.05];
  const multiples = high - low > 2 ? [1] : high - low > 0.7 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let power = Math.floor(low); power <= high; power += Math.ceil((high - low) / 5)) {
    for (const each of multiples) {
      const value = each * 10 ** power;
      if (Math.log10(value) >= low && Math.log10(value) <= high) ticks.push(value);
    }
  }
  return { at: (value) => (Math.log10(value) - low) / (high - low), ticks };
}

// Charts

function chart(title, series, levels = [], canLog = true) {
  const key = make("span", { class: "key" });
  const at = make("output", { class: "at" });
  const svg = make("svg", { height: HEIGHT, role: "img", tabindex: "0" });
  const caption = make("figcaption", {}, make("b", {}, title), at, key);
  const made = { title, series, levels, canLog, key, at, svg, figure: make("figure", { class: "chart" }, caption, svg) };
  svg.addEventListener("pointermove", (event) => cross(stepAt(made, event)));
  svg.addEventListener("pointerleave", () => cross(null));
  svg.addEventListener("click", (event) => nearest(stepAt(made, event)));
  charts.push(made);
  return made.figure;
}

function stepAt(made, event) {
  const { left } = made.svg.getBoundingClientRect();
  const share = clamp((event.clientX - left - MARGIN.left) / made.width, 0, 1);
  const wanted = made.first + share * (made.final - made.first);
  const steps = made.series.flatMap((each) => each.points.map((point) => point[0]));
  return steps.reduce((best, step) => (Math.abs(step - wanted) < Math.abs(best - wanted) ? step : best));
}

function draw(made) {
  const whole = made.svg.clientWidth;
  if (!whole) return;
  const points = made.series.flatMap((each) => each.points).filter((point) => point[1] !== null);
  const values = [...points.map((point) => point[1]), ...made.levels.map((level) => level.value)];
  made.width = whole - MARGIN.left - MARGIN.right;
  made.first = 0;
  made.final = Math.max(1, ...points.map((point) => point[0]));
  const isLog = state.log && made.canLog && values.every((value) => value > 0);
  const scale = (isLog ? logarithmic : linear)(Math.min(...values), Math.max(...values));
  const height = HEIGHT - MARGIN.top - MARGIN.bottom;
  made.x = (step) => MARGIN.left + ((step - made.first) / (made.final - made.first)) * made.width;
  made.y = (value) => MARGIN.top + (1 - scale.at(value)) * height;
  made.svg.setAttribute("viewBox", `0 0 ${whole} ${HEIGHT}`);
  made.svg.setAttribute("aria-label", `${made.title}: ${made.series.map(summary).join("; ")}`);
  made.cross = make("g");
  made.svg.replaceChildren(...grid(made, scale, whole), ...made.levels.map((level) => line(made, level, whole)), ...made.series.map((each) => curve(made, each)), made.cross);
  point(made);
}

const summary = (series) =>
  `${series.label} from ${shown(series.points[0]?.[1])} to ${shown(last(series.points)?.[1])}`;

function* grid(made, scale, whole) {
  for (const value of scale.ticks) {
    const y = made.y(value);
    yield make("line", { class: "grid", x1: MARGIN.left, x2: whole - MARGIN.right, y1: y, y2: y });
    yield make("text", { x: MARGIN.left - 6, y: y + 4, "text-anchor": "end" }, tick(value));
  }
  const steps = linear(made.first, made.final).ticks.filter((step) => step >= made.first && step <= made.final);
  for (const step of steps) {
    yield make("text", { x: made.x(step), y: HEIGHT - 5, "text-anchor": "middle" }, tick(step));
  }
}

function line(made, level, whole) {
  const y = made.y(level.value);
  return make("line", { class: `level ${level.colour}`, x1: MARGIN.left, x2: whole - MARGIN.right, y1: y, y2: y });
}

function curve(made, series) {
  let pen = "M";
  let path = "";
  for (const [step, value] of series.points) {
    if (value === null) pen = "M";
    else {
      path += `${pen}${made.x(step).toFixed(1)} ${made.y(value).toFixed(1)}`;
      pen = "L";
    }
  }
  const group = make("g", { class: series.colour }, make("path", { d: path }));
  if (series.points.length > DOTS_MOST) return group;
  for (const [step, value] of series.points) {
    if (value !== null) group.append(make("circle", { cx: made.x(step), cy: made.y(value), r: 2.5 }));
  }
  return group;
}

function point(made) {
  const step = state.cross;
  made.cross.replaceChildren();
  const found = made.series.map((series) => ({ series, point: pointAt(series, step) }));
  if (step !== null) {
    const x = made.x(clamp(step, made.first, made.final));
    made.cross.append(make("line", { class: "cross", x1: x, x2: x, y1: MARGIN.top, y2: HEIGHT - MARGIN.bottom }));
  }
  const labels = found.map(({ series, point: [, value] }) =>
    make("span", {}, make("i", { class: series.colour }), `${series.label} ${shown(value)}`),
  );
  for (const level of made.levels) {
    labels.push(make("span", {}, make("i", { class: `level ${level.colour}` }), `${level.label} ${shown(level.value)}`));
  }
  for (const { series, point: [at, value] } of found) {
    if (step === null || value === null) continue;
    made.cross.append(make("circle", { class: series.colour, cx: made.x(at), cy: made.y(value), r: 4 }));
  }
  made.key.replaceChildren(...labels);
  made.at.textContent = step === null ? "" : `step ${step}`;
}

function pointAt(series, step) {
  if (step === null) return last(series.points);
  return series.points.reduce((best, each) =>
    Math.abs(each[0] - step) < Math.abs(best[0] - step) ? each : best,
  );
}

function cross(step) {
  state.cross = step;
  charts.forEach((made) => made.cross && point(made));
}

function section(title, ...figures) {
  if (figures.length) element("charts").append(make("h2", {}, title), ...figures);
}

function curves(kind, name) {
  return data.runs
    .map((run, place) => ({
      label: data.runs.length > 1 ? run.name : "run",
      colour: `s${place % 6}`,
      points: run.curves[kind]?.[name] || [],
    }))
    .filter((series) => series.points.length);
}

const names = (kind) => [...new Set(data.runs.flatMap((run) => Object.keys(run.curves[kind] || {})))];

function validationChart(name) {
  const levels = data.runs.flatMap((run, place) => {
    const own = data.runs.length > 1 ? `${run.name}: ` : "";
    const before = { label: `${own}before`, value: run.start[name], colour: `s${place % 6}` };
    const bicubic = { label: "bicubic", value: run.bicubic[name], colour: "s6" };
    return place ? [before] : [before, bicubic];
  });
  const known = levels.filter((level) => typeof level.value === "number");
  const unit = name === "psnr" ? ", dB" : name === "lpips" ? ", lower is better" : "";
  return chart(`${name.toUpperCase()}${unit}`, curves("validation", name), known, false);
}

function weightedChart() {
  const [run] = data.runs;
  const terms = Object.entries(run.curves.weighted || {});
  if (data.runs.length > 1 || terms.length < 2) return [];
  const series = terms.map(([label, points], place) => ({ label, points, colour: `s${place % 6}` }));
  return [chart("What each term adds", series)];
}

section("Validation", ...names("validation").map(validationChart));
section("Losses", ...weightedChart(), ...names("loss").map((name) => chart(name, curves("loss", name))));
section("Discriminator", ...names("discriminator").map((name) => chart(name, curves("discriminator", name))));
section("Steps", ...names("step").map((name) => chart(name, curves("step", name))));

// Samples

const rows = [];

function buildRows() {
  const titles = [...new Set(data.runs.flatMap((run) => run.rows.map((row) => row.title)))];
  for (const title of titles) {
    const having = data.runs
      .map((run) => ({ run, place: run.rows.findIndex((row) => row.title === title) }))
      .filter(({ place }) => place >= 0);
    const [{ run, place }] = having;
    const row = run.rows[place];
    const nows = having.map((each) => ({ ...each, image: picture(`${title}, now`, row.target) }));
    const figure = make("figure", {}, cell("low", picture(`${title}, low`, null, row.low)), cell("before", picture(`${title}, before`, row.target, row.before)));
    for (const now of nows) figure.append(cell(data.runs.length > 1 ? now.run.name : "now", now.image));
    figure.append(cell("target", picture(`${title}, target`, null, row.target)));
    element("rows").append(make("h3", { title }, title), figure);
    rows.push({ nows });
  }
}

const cell = (label, image) => make("div", {}, image, make("span", {}, label));

function picture(alt, held, address) {
  const image = make("img", { alt, draggable: "false" });
  if (address) image.src = address;
  if (!held) return image;
  image.addEventListener("contextmenu", (event) => event.preventDefault());
  image.addEventListener("pointerdown", () => {
    const own = image.src;
    image.src = held;
    const back = () => {
      image.src = own;
      showSamples();
    };
    addEventListener("pointerup", back, { once: true });
    addEventListener("pointercancel", back, { once: true });
  });
  return image;
}

function showSamples() {
  const step = sampled[state.place];
  for (const { run, place, image } of rows.flatMap((row) => row.nows)) {
    const drawn = run.samples.filter((each) => each.step <= step);
    image.src = (last(drawn) || run.samples[0]).now[place];
  }
  element("step").value = state.place;
  element("step-value").textContent = `step ${step}`;
}

function goTo(place) {
  state.place = clamp(place, 0, sampled.length - 1);
  if (sampled.length) showSamples();
  remember();
}

function nearest(step) {
  goTo(sampled.reduce((best, each, place) => (Math.abs(each - step) < Math.abs(sampled[best] - step) ? place : best), 0));
}

function play() {
  clearInterval(state.playing);
  state.playing = state.playing
    ? 0
    : setInterval(() => goTo((state.place + 1) % sampled.length), PLAY_MS);
  element("play").setAttribute("aria-pressed", String(state.playing !== 0));
}

// What the page tells of the runs

function tell() {
  const states = data.runs.map((run) => run.state);
  element("state").textContent = [...new Set(states)].join(", ");
  element("state").className = states.find((each) => each !== "done") || "done";
  for (const run of data.runs) {
    const list = make("dl");
    for (const { name, value, detail } of run.figures) {
      const told = make("dd", {}, value, make("small", {}, detail));
      list.append(make("div", {}, make("dt", {}, name), told));
    }
    element("figures").append(list);
  }
  for (const run of data.runs) {
    for (const { step, text } of run.warnings) {
      const where = data.runs.length > 1 ? `${run.name}, step ${step}` : `step ${step}`;
      element("warnings").lastElementChild.append(make("li", {}, make("b", {}, where), ` ${text}`));
      element("warnings").hidden = false;
    }
  }
}

function news() {
  const seconds = Math.max(0, Date.now() / 1000 - data.written);
  const ago = seconds < 90 ? `${Math.round(seconds)} s` : `${Math.round(seconds / 60)} min`;
  const again = state.holds ? "held" : `looks again every ${data.refresh} s`;
  element("news").textContent = data.refresh
    ? `written ${ago} ago, ${again}`
    : `written ${new Date(data.written * 1000).toLocaleString()}`;
}

// A page that is looked at again keeps what was chosen, in the address behind the #.

function remember() {
  const kept = new URLSearchParams();
  if (state.place < sampled.length - 1) kept.set("step", sampled[state.place]);
  if (state.log) kept.set("log", "1");
  if (state.holds) kept.set("hold", "1");
  const theme = document.documentElement.dataset.theme;
  if (theme) kept.set("theme", theme);
  history.replaceState(null, "", `#${kept}`);
}

function recall() {
  const kept = new URLSearchParams(location.hash.slice(1));
  if (kept.has("theme")) document.documentElement.dataset.theme = kept.get("theme") === "dark" ? "dark" : "light";
  state.log = kept.has("log");
  state.holds = kept.has("hold");
  if (kept.has("step") && sampled.length) nearest(Number(kept.get("step")));
}

function lookAgain() {
  const isBusy = state.holds || state.playing || document.hidden || element("help").open;
  if (!isBusy && !document.querySelector("input:active")) location.reload();
}

function pressed() {
  element("log").setAttribute("aria-pressed", String(state.log));
  element("hold").setAttribute("aria-pressed", String(state.holds));
  remember();
}

function toggleLog() {
  state.log = !state.log;
  pressed();
  charts.forEach(draw);
}

function toggleHold() {
  state.holds = !state.holds;
  pressed();
  news();
}

listen({
  l: toggleLog,
  r: toggleHold,
  t: toggleTheme,
  "?": () => element("help").showModal(),
  " ": () => sampled.length && play(),
  ArrowLeft: () => goTo(state.place - 1),
  ArrowRight: () => goTo(state.place + 1),
  Home: () => goTo(0),
  End: () => goTo(sampled.length - 1),
});
element("log").addEventListener("click", toggleLog);
element("hold").addEventListener("click", toggleHold);
element("play").addEventListener("click", play);
element("step").addEventListener("input", (event) => goTo(Number(event.target.value)));
document.addEventListener("themechange", remember);

recall();
tell();
news();
pressed();
if (sampled.length) {
  element("samples").hidden = false;
  element("step").max = sampled.length - 1;
  buildRows();
  showSamples();
}
if (data.refresh) {
  element("hold").hidden = false;
  setInterval(news, 5000);
  setInterval(lookAgain, data.refresh * 1000);
}
new ResizeObserver(() => charts.forEach(draw)).observe(element("charts"));
charts.forEach(draw);
document.body.dataset.ready = "yes";
