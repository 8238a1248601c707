// Describes a picture, and lights it up where the model looked at the word that is pointed at.

const $ = (id) => document.getElementById(id);

/** Captions that are asked for: the best and its alternatives. */
const CAPTIONS = 4;
/** Times that a busy service is asked again by itself. */
const RETRIES = 3;
/** Longest side in pixels of a picture that must be made smaller, or another format. */
const SMALLER = 1600;

const picture = { file: null, name: "", shown: false };
let limits = null;
let defaults = null;
/** All captions of the picture, best first, and the one that is shown. */
let captions = [];
let caption = null;
let grid = [1, 1];
let asking = null;
let seed = 1;
let pinned = -1;

// --- the service

async function ask(path, request = {}) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  return fetch(path, { ...request, headers: { ...headers, ...request.headers } });
}

async function aboutModel() {
  if (limits) return;
  const answer = await ask("v1/model");
  if (answer.status === 401) throw { status: 401 };
  if (!answer.ok) return;
  const about = await answer.json();
  limits = about.limits;
  defaults = about.options;
  $("beam").value = defaults.beam;
  const cannot = (key) => !(key in defaults);
  document.querySelector('[value="sample"]').disabled = cannot("samples");
  $("prefix").disabled = cannot("prefix");
  showOptions();
}

function query() {
  const wanted = new URLSearchParams({ alphas: true });
  const set = (key, value) => defaults && key in defaults && wanted.set(key, value);
  const beam = Number($("beam").value);
  if ($("form").how.value === "sample") {
    set("samples", CAPTIONS);
    set("n_best", CAPTIONS);
    set("temperature", $("temperature").value);
    set("seed", seed);
  } else {
    set("beam", beam);
    set("n_best", Math.min(CAPTIONS, beam));
  }
  const prefix = $("prefix").value.trim().toLowerCase();
  if (prefix) set("prefix", prefix);
  return wanted;
}

/** Asks for the picture's captions; an earlier question is dropped. */
async function describe() {
  if (!picture.file) return;
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  working(true);
  try {
    await aboutModel();
    let body = picture.file;
    if (limits && body.size > limits.bytes) body = await remade(body);
    let answer = await post(body, signal);
    if (answer.status === 415 && body === picture.file && picture.shown) {
      // The browser knows a format that the service does not.
      answer = await post(await remade(body), signal);
    }
    if (!answer.ok) throw { status: answer.status, error: (await answer.json()).error };
    const found = await answer.json();
    if (signal.aborted) return;
    show(found);
  } catch (problem) {
    if (!signal.aborted) fail(problem);
  } finally {
    if (!signal.aborted) working(false);
  }
}

async function post(body, signal) {
  for (let tries = 0; ; tries += 1) {
    const headers = { "Content-Type": "application/octet-stream" };
    const answer = await ask(`v1/caption?${query()}`, { method: "POST", body, headers, signal });
    if (![429, 503].includes(answer.status) || tries === RETRIES) return answer;
    say("The service is busy; waiting for a place…");
    const seconds = Number(answer.headers.get("Retry-After")) || 1;
    await new Promise((later) => setTimeout(later, 1000 * seconds * 2 ** tries));
  }
}

/** The picture as a smaller JPEG; itself, if the browser can't read it. */
async function remade(file) {
  try {
    const bitmap = await createImageBitmap(file);
    const scale = Math.min(1, SMALLER / Math.max(bitmap.width, bitmap.height));
    const canvas = canvasOf(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
    canvas.getContext("2d").drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return await new Promise((done) => canvas.toBlob(done, "image/jpeg", 0.92));
  } catch {
    return file;
  }
}

// --- pictures

async function take(file) {
  if (!file) return;
  asking?.abort();
  forget();
  picture.file = file;
  picture.name = file.name || "the picture";
  const image = $("image");
  URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(file);
  picture.shown = await image.decode().then(() => true, () => false);
  if (picture.file !== file) return;
  $("frame").hidden = !picture.shown;
  $("frame").style.setProperty("--width", image.naturalWidth);
  $("frame").style.setProperty("--height", image.naturalHeight);
  $("picture").classList.toggle("shown", picture.shown);
  $("choose").textContent = picture.shown ? "Another picture" : "Choose a picture";
  await describe();
}

/** Clears what was said of the picture before. */
function forget() {
  captions = [];
  caption = null;
  pinned = -1;
  $("result").hidden = true;
  $("problem").hidden = true;
  light(null);
}

for (const [button, input] of [["choose", "file"], ["take", "camera"]]) {
  $(button).addEventListener("click", () => $(input).click());
  $(input).addEventListener("change", () => {
    take($(input).files[0]);
    $(input).value = ""; // so that the same file can be chosen again
  });
}
document.addEventListener("paste", (event) => {
  const file = event.clipboardData?.files[0];
  if (file) {
    event.preventDefault();
    take(file);
  }
});
let depth = 0;
const over = (change) => {
  depth = change === 0 ? 0 : depth + change;
  $("picture").classList.toggle("over", depth > 0);
};
document.addEventListener("dragenter", () => over(1));
document.addEventListener("dragleave", () => over(-1));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  over(0);
  take(event.dataTransfer.files[0]);
});

// --- what is said

function say(text) {
  $("status").textContent = text;
}

function working(on) {
  document.body.classList.toggle("working", on);
  if (on) {
    document.body.classList.remove("said");
    $("problem").hidden = true;
    $("token-form").hidden = true;
    say("Looking…");
  }
}

function fail({ status, error }) {
  forget();
  say("");
  const name = `“${picture.name}”`;
  const kinds = "JPEG, PNG, WebP, GIF, BMP or TIFF";
  const size = limits ? `${Math.floor(limits.bytes / 2 ** 20)} MB` : "the service's limit";
  const words = {
    400: "The service did not understand these options.",
    401: "",
    413: `${name} is too large. Pictures may have up to ${size}.`,
    415: `${name} is not a picture that can be read here. Choose a ${kinds} file.`,
    422: `${name} can't be described.`,
    429: "The service is busy. Try again in a moment.",
    503: "The service is busy. Try again in a moment.",
  };
  const gone = "The service does not answer. Is it still running? Your picture is still here.";
  const why = status ? (words[status] ?? "The service failed.") : gone;
  if (status === 401) {
    $("token-form").hidden = false;
    $("token").focus();
    return;
  }
  $("why").textContent = why;
  $("details").textContent = status && error ? error[0].toUpperCase() + error.slice(1) : "";
  $("retry").hidden = [413, 415].includes(status);
  $("problem").hidden = false;
}

$("retry").addEventListener("click", describe);
$("token-form").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem("token", $("token").value);
  describe();
});

/** Shows what the service found. */
function show(found) {
  captions = [found, ...found.alternatives];
  grid = found.grid;
  choose(found);
  document.body.classList.add("said");
  say(`Caption: ${found.caption}`);
  const list = $("alternatives");
  list.replaceChildren(...captions.map((one) => item(one.caption || "(no words)", chance(one), () => choose(one))));
  $("others").hidden = captions.length < 2;
  current();
  $("result").hidden = false;
}

/** A list's item with a button: a text and a probability. */
function item(text, probability, click) {
  const button = element("button", "");
  button.type = "button";
  button.append(element("span", text, "word"), " ", element("span", probability, "probability"));
  button.addEventListener("click", click);
  const li = document.createElement("li");
  li.append(button);
  return li;
}

function element(name, text, className = "") {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

const percent = (p) => (p >= 0.995 ? ">99 %" : p < 0.005 ? "<1 %" : `${Math.round(100 * p)} %`);
function chance(one) {
  const p = Math.exp(one.log_prob);
  return p >= 0.0005 ? `${(100 * p).toPrecision(2)} %` : "<0.1 %";
}

/** Shows one of the captions, word by word. */
function choose(one) {
  caption = one;
  pinned = -1;
  light(null);
  const words = one.words.map((word, at) => {
    const probability = Math.exp(one.word_log_probs[at]);
    const li = item(word, percent(probability), () => pin(at));
    const button = li.firstChild;
    button.style.setProperty("--p", probability);
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("pointerenter", () => point(at));
    button.addEventListener("pointerleave", () => point(pinned));
    button.addEventListener("focus", () => point(at));
    button.addEventListener("blur", () => point(pinned));
    return li;
  });
  $("words").replaceChildren(...words);
  current();
}

function current() {
  [...$("alternatives").querySelectorAll("button")].forEach((button, at) => {
    button.setAttribute("aria-current", String(captions[at] === caption));
  });
}

const wordButtons = () => [...$("words").querySelectorAll("button")];

/** Lights the picture up where the model looked at that word; -1: nowhere. */
function point(at) {
  wordButtons().forEach((button, i) => button.classList.toggle("lit", i === at));
  const cells = caption?.alphas[at];
  light(cells);
  $("where").textContent = cells
    ? `For “${caption.words[at]}”, it looked ${where(cells)}.`
    : "Point at a word, or tab to it, to see where the model looked.";
}

function pin(at) {
  pinned = pinned === at ? -1 : at;
  wordButtons().forEach((button, i) => button.setAttribute("aria-pressed", String(i === pinned)));
  point(at);
}

$("words").addEventListener("keydown", (event) => {
  const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
  if (!step) return;
  const buttons = wordButtons();
  const next = buttons[buttons.indexOf(document.activeElement) + step];
  next?.focus();
  event.preventDefault();
});

/** Where attention lies, in words: the ninth of the picture that has most of it. */
function where(attention) {
  const [rows, columns] = grid;
  const ninths = new Array(9).fill(0);
  attention.forEach((share, cell) => {
    const row = Math.floor((3 * (Math.floor(cell / columns) + 0.5)) / rows);
    const column = Math.floor((3 * ((cell % columns) + 0.5)) / columns);
    ninths[3 * row + column] += share;
  });
  const most = Math.max(...ninths);
  const names = ["at the upper left", "at the top", "at the upper right", "at the left", "at the centre", "at the right", "at the lower left", "at the bottom", "at the lower right"];
  return most < 0.2 ? "all over the picture" : `${most > 0.5 ? "" : "mostly "}${names[ninths.indexOf(most)]}`;
}

// --- where it looked

/** Cells interpolated smoothly (cubic B-spline) to `height` x `width`, the largest 1. */
function spread(cells, height, width) {
  const [rows, columns] = grid;
  const along = (count, length) =>
    Array.from({ length }, (_, at) => {
      const x = ((at + 0.5) * count) / length - 0.5;
      const first = Math.floor(x) - 1;
      const t = x - Math.floor(x);
      const weights = [(1 - t) ** 3, 3 * t ** 3 - 6 * t ** 2 + 4, -3 * t ** 3 + 3 * t ** 2 + 3 * t + 1, t ** 3];
      return weights.map((weight, i) => [Math.min(count - 1, Math.max(0, first + i)), weight / 6]);
    });
  const vertical = along(rows, height);
  const horizontal = along(columns, width);
  const made = new Float32Array(height * width);
  let highest = 1e-9;
  for (let y = 0; y < height; y += 1) {
    const row = new Float32Array(columns);
    for (const [r, weight] of vertical[y]) {
      for (let c = 0; c < columns; c += 1) row[c] += weight * cells[r * columns + c];
    }
    for (let x = 0; x < width; x += 1) {
      const value = horizontal[x].reduce((sum, [c, weight]) => sum + weight * row[c], 0);
      made[y * width + x] = value;
      highest = Math.max(highest, value);
    }
  }
  return made.map((value) => value / highest);
}

/** Draws light (0 to 1) over a picture: dark where there is none, a warm glow where it is. */
function draw(canvas, lights, strength = 1) {
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(canvas.width, canvas.height);
  lights.forEach((value, i) => {
    const shade = 0.62 * (1 - value) ** 1.5;
    const glow = 0.2 * value;
    const alpha = shade + glow;
    pixels.data.set([(255 * glow) / alpha, (176 * glow) / alpha, (32 * glow) / alpha, 255 * alpha * strength], 4 * i);
  });
  context.putImageData(pixels, 0, 0);
}

function canvasOf(width, height) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [Math.max(1, width), Math.max(1, height)];
  return canvas;
}

/** Height and width of the light's raster, in the picture's shape. */
function raster() {
  const { naturalWidth: w, naturalHeight: h } = $("image");
  const scale = 112 / Math.max(w, h, 1);
  return [Math.max(1, Math.round(h * scale)), Math.max(1, Math.round(w * scale))];
}

/** What the overlay shows now. */
const overlay = { lights: null, strength: 0, frame: 0 };
const still = matchMedia("(prefers-reduced-motion: reduce)");

/** Moves the light to the attention of a word, or takes it away (null). */
function light(attention) {
  if (!picture.shown) return;
  cancelAnimationFrame(overlay.frame);
  const [height, width] = raster();
  const canvas = $("overlay");
  if (canvas.width !== width || canvas.height !== height || overlay.lights?.length !== height * width) {
    [canvas.width, canvas.height] = [width, height];
    overlay.lights = null;
    overlay.strength = 0;
  }
  const target = attention ? spread(attention, height, width) : overlay.lights;
  if (!target) return;
  const from = overlay.lights ?? target;
  const [begin, end] = [overlay.strength, attention ? 1 : 0];
  const start = performance.now();
  const step = (now) => {
    const time = still.matches ? 1 : Math.min(1, Math.max(0, (now - start) / 220));
    const t = time * time * (3 - 2 * time);
    overlay.lights = from.map((value, i) => value + t * (target[i] - value));
    overlay.strength = begin + t * (end - begin);
    draw(canvas, overlay.lights, overlay.strength);
    if (time < 1) overlay.frame = requestAnimationFrame(step);
  };
  step(start);
}

let playing = 0;
$("play").addEventListener("click", () => {
  clearInterval(playing);
  let at = 0;
  const next = () => {
    const last = at >= (caption?.words.length ?? 0);
    point(last ? pinned : at);
    at += 1;
    if (last) clearInterval(playing);
  };
  next();
  playing = setInterval(next, 900);
});

// --- taking away

$("copy").addEventListener("click", async () => {
  const copied = await copyText(caption.caption);
  $("copy").textContent = copied ? "Copied" : "Select and copy by hand";
  setTimeout(() => ($("copy").textContent = "Copy caption"), 2000);
});

async function copyText(text) {
  if (navigator.clipboard) {
    return navigator.clipboard.writeText(text).then(() => true, () => false);
  }
  // Without HTTPS there is no clipboard.
  const area = element("textarea", text);
  document.body.append(area);
  area.select();
  const copied = document.execCommand("copy");
  area.remove();
  return copied;
}

$("download").addEventListener("click", () => {
  sheet().toBlob((png) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(png);
    link.download = `${picture.name.replace(/\.[^.]*$/, "")}-attention.png`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }, "image/png");
});

/** The caption, the picture, and the picture once more for each word. */
function sheet() {
  const image = $("image");
  const tile = 260;
  const scale = tile / Math.max(image.naturalWidth, image.naturalHeight);
  const [w, h] = [image.naturalWidth * scale, image.naturalHeight * scale].map((side) => Math.max(1, Math.round(side)));
  const tiles = [null, ...caption.words];
  const columns = Math.min(5, Math.max(3, Math.ceil(tiles.length / Math.ceil(tiles.length / 5))));
  const [margin, gap, label] = [36, 20, 34];
  const cell = Math.max(w, 170);
  const width = 2 * margin + columns * (cell + gap) - gap;
  const title = "600 30px Georgia, 'DejaVu Serif', serif";
  const lines = wrapped(caption.caption, title, width - 2 * margin);
  const top = margin + 40 * lines.length + 12;
  const made = canvasOf(width, top + Math.ceil(tiles.length / columns) * (label + h + gap) - gap + margin);
  const context = made.getContext("2d");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, made.width, made.height);
  context.fillStyle = "#1d1b18";
  context.font = title;
  lines.forEach((line, i) => context.fillText(line, margin, margin + 28 + 40 * i));
  tiles.forEach((word, i) => {
    const x = margin + (i % columns) * (cell + gap);
    const y = top + Math.floor(i / columns) * (label + h + gap) + label;
    context.drawImage(image, x, y, w, h);
    if (!word) return;
    const lit = canvasOf(w, h);
    draw(lit, spread(caption.alphas[i - 1], h, w));
    context.drawImage(lit, x, y);
    context.font = "600 20px Georgia, 'DejaVu Serif', serif";
    context.fillText(word, x, y - 10, cell - 60);
    context.font = "15px system-ui, 'DejaVu Sans', sans-serif";
    context.textAlign = "right";
    context.fillText(percent(Math.exp(caption.word_log_probs[i - 1])), x + w, y - 10);
    context.textAlign = "left";
  });
  return made;
}

function wrapped(text, font, width) {
  const context = canvasOf(1, 1).getContext("2d");
  context.font = font;
  const lines = [""];
  for (const word of text.split(" ")) {
    const longer = `${lines.at(-1)} ${word}`.trim();
    if (context.measureText(longer).width > width && lines.at(-1)) lines.push(word);
    else lines[lines.length - 1] = longer;
  }
  return lines;
}

// --- options

function showOptions() {
  const sampled = $("form").how.value === "sample";
  $("temperature-field").hidden = !sampled;
  $("beam-field").hidden = sampled;
  $("beam-now").textContent = $("beam").value;
  $("temperature-now").textContent = Number($("temperature").value).toFixed(1);
}

let later = 0;
$("form").addEventListener("input", () => {
  showOptions();
  clearTimeout(later);
  later = setTimeout(describe, 350);
});
$("form").addEventListener("submit", (event) => event.preventDefault());
$("again").addEventListener("click", () => {
  seed += 1;
  describe();
});

showOptions();
aboutModel().catch(() => {}); // said once a picture is there
