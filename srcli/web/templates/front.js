"use strict";

// A picture goes to /upscale; it and what comes back go into the viewer, a frame of their own.

const element = (id) => document.getElementById(id);
const facts = JSON.parse(element("data").textContent);
const addresses = []; // of pictures in memory, to be given back
let request = null;

function show(...names) {
  for (const name of ["drop", "work", "problem", "viewer", "result"]) {
    element(name).hidden = !names.includes(name);
  }
}

function start() {
  request?.abort();
  request = null;
  element("file").value = "";
  element("viewer").removeAttribute("src");
  for (const address of addresses.splice(0)) URL.revokeObjectURL(address);
  show("drop");
  element("file").focus();
}

function addressOf(blob) {
  addresses.push(URL.createObjectURL(blob));
  return addresses.at(-1);
}

function tell(title, detail) {
  request = null;
  element("problem-title").textContent = title;
  element("problem-detail").textContent = detail;
  element("file").value = "";
  show("drop", "problem");
}

// Sending

function send(file) {
  if (request) return;
  if (file.size > facts.bytes) {
    tell("The file is too large.", `${facts.bytes / 2 ** 20} MiB are allowed.`);
    return;
  }
  const wishes = new URLSearchParams();
  for (const [name, value] of new FormData(element("wishes"))) if (value) wishes.set(name, value);
  const started = performance.now();
  request = new XMLHttpRequest();
  request.open("POST", `/upscale?${wishes}`);
  request.responseType = "blob";
  request.setRequestHeader("Content-Type", "application/octet-stream");
  if (facts.needsKey) request.setRequestHeader("Authorization", `Bearer ${element("key").value}`);
  const asked = request;
  request.upload.onprogress = (event) => progress("Sending", event);
  request.upload.onload = () => progress("Enlarging", {});
  request.onprogress = (event) => progress("Receiving", event);
  request.onerror = () => tell("The service does not answer.", "Is it still running?");
  request.onload = () => receive(asked, file, (performance.now() - started) / 1000);
  show("work");
  progress("Sending", {});
  request.send(file);
}

function progress(stage, event) {
  element("stage-name").textContent = `${stage} …`;
  const bar = element("progress");
  if (event.lengthComputable && event.total) bar.value = event.loaded / event.total;
  else bar.removeAttribute("value");
}

async function receive(asked, file, seconds) {
  if (asked !== request) return;
  if (asked.status !== 200) {
    const problem = await asked.response.text().then(JSON.parse).catch(() => ({}));
    tell(`${problem.title || `Status ${asked.status}`}.`, [problem.detail, problem.hint].filter(Boolean).join("; "));
    return;
  }
  const result = asked.response;
  const [, kind] = result.type.split("/");
  const stem = file.name.replace(/\.[^.]*$/, "") || "picture";
  const size = (asked.getResponseHeader("Srcli-Size") || "").replace("x", " × ");
  const save = element("download");
  save.href = addressOf(result);
  save.download = `${stem}_large.${kind === "jpeg" ? "jpg" : kind}`;
  element("facts").textContent =
    `${size}, ${(result.size / 1e6).toFixed(2)} MB, ${decodeURIComponent(asked.getResponseHeader("Srcli-Model"))}, ${seconds.toFixed(1)} s`;
  const pictures = await Promise.all([picture(file, file.name), picture(result, "enlarged")]);
  request = null;
  await compare(pictures.filter(Boolean));
}

// A picture that the browser can show, or null

async function picture(blob, label) {
  const image = new Image();
  image.src = addressOf(blob);
  try {
    await image.decode();
  } catch {
    return null;
  }
  return { label, address: image.src, width: image.naturalWidth, height: image.naturalHeight };
}

// Comparing

async function compare(pictures) {
  if (!pictures.length) {
    element("facts").textContent += " (this browser cannot show it)";
    show("result", "drop");
    return;
  }
  const page = new DOMParser().parseFromString(await (await fetch("/viewer")).text(), "text/html");
  const data = JSON.parse(page.getElementById("data").textContent);
  data.width = Math.max(...pictures.map((each) => each.width));
  data.height = Math.max(...pictures.map((each) => each.height));
  data.pictures = pictures.map((each) => ({ label: each.label }));
  page.getElementById("data").textContent = JSON.stringify(data).replaceAll("<", "\\u003c");
  const places = page.getElementById("pictures");
  places.replaceChildren(
    ...pictures.map((each) => {
      const image = page.createElement("img");
      [image.alt, image.src] = [each.label, each.address];
      return image;
    }),
  );
  const policy = page.querySelector("meta[http-equiv='Content-Security-Policy']");
  policy.content = policy.content.replace("img-src data:", "img-src data: blob:");
  if (document.documentElement.dataset.theme) {
    page.documentElement.dataset.theme = document.documentElement.dataset.theme;
  }
  const whole = `<!doctype html>${page.documentElement.outerHTML}`;
  element("viewer").src = addressOf(new Blob([whole], { type: "text/html;charset=utf-8" }));
  show("viewer", "result");
}

// What the visitor does

element("file").addEventListener("change", (event) => {
  const [file] = event.target.files;
  if (file) send(file);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.add("over");
  });
}
for (const kind of ["dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    element("drop").classList.remove("over");
    const [file] = event.dataTransfer?.files || [];
    if (kind === "drop" && file) send(file);
  });
}
document.addEventListener("paste", (event) => {
  const [file] = event.clipboardData?.files || [];
  if (file) send(file);
});
element("drop").addEventListener("keydown", (event) => {
  if (event.key === "Enter" || event.key === " ") element("file").click();
});
element("cancel").addEventListener("click", start);
element("again").addEventListener("click", start);
element("wishes").addEventListener("submit", (event) => event.preventDefault());
element("theme").addEventListener("click", () => {
  const isDark = getComputedStyle(document.documentElement).colorScheme === "dark";
  document.documentElement.dataset.theme = isDark ? "light" : "dark";
});
element("key-field").hidden = !facts.needsKey;
document.body.dataset.ready = "yes";
