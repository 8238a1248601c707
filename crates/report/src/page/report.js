"use strict";
// The gallery. Only a page of cards is in the document; sorting and searching work on arrays.
// All text reaches the document as text (textContent), never as markup.

const PER_PAGE = 24;
const byId = (id) => document.getElementById(id);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// What the page holds in the element `id`: base64 of deflated bytes.
async function unpacked(id) {
  const text = byId(id).textContent;
  byId(id).remove();
  const bytes = Uint8Array.from(atob(text), (character) => character.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

function chooseTheme() {
  const names = { auto: "automatic", light: "light", dark: "dark" };
  const button = byId("theme");
  const kept = { get: () => null, set: () => {} };
  try {
    const store = window.localStorage;
    kept.get = () => store.getItem("attend-theme");
    kept.set = (theme) => store.setItem("attend-theme", theme);
  } catch { /* no storage for files: the choice lasts as long as the page */ }
  const show = (theme) => {
    button.textContent = `Theme: ${names[theme]}`;
    if (theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.value = theme;
  };
  show(names[kept.get()] ? kept.get() : "auto");
  button.hidden = false;
  button.addEventListener("click", () => {
    const order = Object.keys(names);
    const next = order[(order.indexOf(button.value) + 1) % order.length];
    show(next);
    kept.set(next);
  });
}

async function main() {
  chooseTheme();
  if (!("DecompressionStream" in window)) {
    byId("count").textContent = "This browser is too old to show the captions; Firefox 113, Chrome 80 and Safari 16.4 can.";
    return;
  }
  const data = JSON.parse(new TextDecoder().decode(await unpacked("data")));
  new Gallery(data).start();
}

class Attention {
  constructor(data) {
    this.counts = data.words;
    this.grid = data.grid;
    this.cells = data.grid[0] * data.grid[1];
    this.begins = [];
    let words = 0;
    for (const count of this.counts) {
      this.begins.push(words);
      words += count;
    }
    this.levels = null;
  }

  has(image) {
    return this.counts[image] > 0;
  }

  // Darkens the cells at which the model did not look, and puts a warm light on the others.
  async draw(canvas, image, word) {
    this.levels ??= unpacked("attention");
    const levels = await this.levels;
    const [height, width] = this.grid;
    canvas.width = width;
    canvas.height = height;
    const context = canvas.getContext("2d");
    const picture = context.createImageData(width, height);
    const begin = (this.begins[image] + word) * this.cells;
    for (let cell = 0; cell < this.cells; cell++) {
      const light = (levels[begin + cell] / 15) ** 0.7;
      const [dark, glow] = [0.72 * (1 - light), 0.3 * light];
      const share = glow / (dark + glow);
      picture.data.set([255 * share, 176 * share, 32 * share, 255 * (dark + glow)], 4 * cell);
    }
    context.putImageData(picture, 0, 0);
  }
}

class Gallery {
  constructor(data) {
    this.data = data;
    this.attention = new Attention(data);
    this.images = data.files.map((_, image) => image);
    this.state = { sort: data.metrics.length ? "cider" : "order", order: "up", beam: data.primary, page: 0, query: "" };
    this.orders = this.sortable();
    if (!this.orders.has(this.state.sort)) this.state.sort = "order";
  }

  // What images are sorted by: its name, and its value for an image, which may be null.
  sortable() {
    const { data } = this;
    const orders = new Map();
    data.metrics.forEach(([key, name], at) => orders.set(key, [name, (image) => data.scores[this.state.beam][at]?.[image] ?? null]));
    const length = (image) => this.caption(image).split(" ").length;
    orders.set("length", ["length", length]);
    if (data.logProbs.length) {
      const logProb = (image) => data.logProbs[this.state.beam][image];
      orders.set("log_prob", ["probability", logProb]);
      orders.set("per_word", ["probability of a word", (image) => (logProb(image) === null ? null : logProb(image) / (length(image) + 1))]);
    }
    if (data.other) {
      data.metrics.forEach(([key, name], at) => {
        orders.set(`change_${key}`, [`change of ${name}`, (image) => this.change(at, image)]);
        orders.set(`size_${key}`, [`size of the change of ${name}`, (image) => (this.change(at, image) === null ? null : Math.abs(this.change(at, image)))]);
      });
    }
    orders.set("order", ["order of the data set", (image) => -image]);
    return orders;
  }

  // How much better a caption scores than the other run's.
  change(at, image) {
    const { scores, other } = this.data;
    const [ours, theirs] = [scores[this.data.primary][at][image], other.scores[at][image]];
    return ours === null || theirs === null ? null : ours - theirs;
  }

  caption(image) {
    return this.data.captions[this.state.beam][image];
  }

  start() {
    const { data } = this;
    for (const [key, [name]] of this.orders) byId("sort").append(element("option", { value: key, textContent: name }));
    data.beams.forEach((size, beam) => byId("beam").append(element("option", { value: beam, textContent: size })));
    this.text = data.files.map((file, image) =>
      [file, ...data.references[image], ...data.captions.map((captions) => captions[image]), data.other?.captions[image] ?? ""].join("\n").toLowerCase());
    this.read();
    const input = (id, key, convert = String) => byId(id).addEventListener("input", () => this.go({ [key]: convert(byId(id).value), page: 0 }));
    input("query", "query");
    input("sort", "sort");
    input("order", "order");
    input("beam", "beam", Number);
    byId("controls").addEventListener("submit", (event) => event.preventDefault());
    for (const button of document.querySelectorAll("#controls [data-sort]")) {
      button.addEventListener("click", () => this.go({ sort: button.dataset.sort, order: button.dataset.order, page: 0 }));
    }
    window.addEventListener("hashchange", () => {
      this.read();
      this.show();
    });
    for (const id of ["controls", "hint"]) byId(id).hidden = false;
    this.show();
  }

  // The state is kept in the page's address, so that a view can be sent to others.
  read() {
    const given = new URLSearchParams(location.hash.slice(1));
    const { state } = this;
    if (this.orders.has(given.get("sort"))) state.sort = given.get("sort");
    if (["up", "down"].includes(given.get("order"))) state.order = given.get("order");
    const beam = this.data.beams.indexOf(Number(given.get("beam")));
    if (beam >= 0) state.beam = beam;
    state.query = given.get("query") ?? state.query;
    state.page = Math.max(0, (Number.parseInt(given.get("page"), 10) || 1) - 1);
  }

  go(change) {
    Object.assign(this.state, change);
    const { sort, order, beam, query, page } = this.state;
    const kept = new URLSearchParams({ sort, order, beam: this.data.beams[beam], page: page + 1 });
    if (query) kept.set("query", query);
    history.replaceState(null, "", `#${kept}`);
    this.show();
  }

  // The images that match the search, in order; those without a value come last.
  selected() {
    const { sort, order, query } = this.state;
    const words = query.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.images.filter((image) => words.every((word) => this.text[image].includes(word)));
    const [, value] = this.orders.get(sort);
    const values = new Map(found.map((image) => [image, value(image)]));
    const sign = order === "up" ? 1 : -1;
    return found.sort((a, b) => {
      const [one, two] = [values.get(a), values.get(b)];
      if (one === null || two === null) return (one === null) - (two === null) || a - b;
      return sign * (one - two) || a - b;
    });
  }

  show() {
    const { state } = this;
    for (const key of ["query", "sort", "order", "beam"]) {
      if (byId(key).value !== String(state[key])) byId(key).value = state[key];
    }
    const found = this.selected();
    const pages = Math.max(1, Math.ceil(found.length / PER_PAGE));
    state.page = Math.min(state.page, pages - 1);
    const first = state.page * PER_PAGE;
    const shown = found.slice(first, first + PER_PAGE);
    const all = this.images.length;
    const number = (n) => n.toLocaleString("en");
    const range = shown.length ? `${number(first + 1)} to ${number(first + shown.length)} of ` : "";
    byId("count").textContent = `${range}${number(found.length)} captions${found.length < all ? `, out of ${number(all)}` : ""}`;
    byId("cards").replaceChildren(...shown.map((image) => this.card(image)));
    for (const nav of document.querySelectorAll(".pages")) this.pager(nav, pages);
  }

  pager(nav, pages) {
    const { page } = this.state;
    nav.hidden = pages < 2;
    const go = (to) => {
      this.go({ page: to });
      if (nav.getAttribute("aria-label").includes("below")) {
        byId("gallery").scrollIntoView();
        byId("gallery").focus({ preventScroll: true });
      }
    };
    const turn = (label, to) => {
      const button = element("button", { type: "button", textContent: label, disabled: to < 0 || to >= pages });
      button.addEventListener("click", () => go(to));
      return button;
    };
    const input = element("input", { type: "number", min: 1, max: pages, value: page + 1 });
    input.addEventListener("change", () => go(Math.min(pages, Math.max(1, Number(input.value) || 1)) - 1));
    const focused = [...nav.children].findIndex((child) => child.contains(document.activeElement));
    nav.replaceChildren(turn("Previous", page - 1), element("label", {}, "Page ", input, ` of ${pages.toLocaleString("en")}`), turn("Next", page + 1));
    if (focused >= 0) (nav.children[focused].querySelector("input") ?? nav.children[focused]).focus();
  }

  card(image) {
    const { data } = this;
    const [width, height] = data.sizes[image];
    const picture = element("div", { className: "picture" });
    picture.style.aspectRatio = `${width} / ${height}`;
    const canvas = element("canvas", { hidden: true });
    canvas.setAttribute("aria-hidden", "true");
    picture.append(
      element("img", { loading: "lazy", decoding: "async", width, height, alt: `photograph ${data.files[image]}`, src: `thumbnails/${data.ids[image]}.jpg` }),
      canvas,
    );
    const text = element("div", {}, element("p", { className: "file", textContent: data.files[image] }));
    text.append(...this.said(image, canvas), this.scores(image), this.more(image));
    return element("li", { className: "card" }, picture, text);
  }

  // The caption. If its words have attention, each is a button that shows it: one stop of the
  // tab key, and arrows from word to word.
  said(image, canvas) {
    const { data, state, attention } = this;
    const caption = this.caption(image);
    const said = element("p", { className: "said" });
    if (state.beam !== data.primary || !attention.has(image)) {
      said.textContent = caption || "(no words)";
      return [said];
    }
    said.className = "said seen";
    said.setAttribute("role", "toolbar");
    said.setAttribute("aria-label", `Caption: ${caption}. Arrow keys go from word to word`);
    const chance = element("p", { className: "chance" });
    const logProbs = data.wordLogProbs[image] ?? [];
    const buttons = caption.split(" ").map((word, at) => {
      const button = element("button", { type: "button", textContent: word, tabIndex: at ? -1 : 0 });
      const likely = at in logProbs ? percent(logProbs[at]) : "";
      if (likely) button.setAttribute("aria-label", `${word}, ${likely}`);
      const show = () => {
        buttons.forEach((other) => other.classList.toggle("on", other === button));
        chance.textContent = likely && `“${word}”: probability ${likely}`;
        attention.draw(canvas, image, at).then(() => { canvas.hidden = !button.classList.contains("on"); });
      };
      for (const event of ["pointerenter", "focus", "click"]) button.addEventListener(event, show);
      return button;
    });
    const hide = () => {
      buttons.forEach((button) => button.classList.remove("on"));
      chance.textContent = "";
      canvas.hidden = true;
    };
    said.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && !said.contains(document.activeElement) && hide());
    said.addEventListener("focusout", (event) => said.contains(event.relatedTarget) || hide());
    said.addEventListener("keydown", (event) => {
      const at = buttons.indexOf(document.activeElement);
      const last = buttons.length - 1;
      const to = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
      if (event.key === "Escape") document.activeElement.blur();
      if (to === undefined) return;
      event.preventDefault();
      buttons.forEach((button, place) => { button.tabIndex = place === to ? 0 : -1; });
      buttons[to].focus();
    });
    buttons.forEach((button, at) => said.append(...(at ? [" ", button] : [button])));
    return logProbs.length ? [said, chance] : [said];
  }

  scores(image) {
    const { data, state } = this;
    const list = element("dl", { className: "scores" });
    const add = (name, value) => list.append(element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: value })));
    data.metrics.forEach(([, name], at) => {
      const score = data.scores[state.beam][at][image];
      if (score !== null) add(name, (score / 100).toFixed(1));
    });
    const logProb = data.logProbs[state.beam]?.[image] ?? null;
    if (logProb !== null) add("log-probability", (logProb / 100).toFixed(2).replace("-", "−"));
    return list;
  }

  more(image) {
    const { data, state } = this;
    const list = element("dl", { className: "more" });
    const add = (name, ...texts) => list.append(element("dt", { textContent: name }), ...texts.map((text) => element("dd", { textContent: text })));
    const references = new Map();
    for (const text of data.references[image]) references.set(text, (references.get(text) ?? 0) + 1);
    if (references.size) add("people say", ...[...references].map(([text, times]) => (times > 1 ? `${text} (${times} times)` : text)));
    data.beams.forEach((size, beam) => {
      if (beam !== state.beam) add(`beam size ${size}`, data.captions[beam][image] || "(no words)");
    });
    if (data.other) {
      add(`${data.other.name}, beam size ${data.other.beam}`, data.other.captions[image] || "(no words)");
      const changes = data.metrics.map(([, name], at) => [name, this.change(at, image)]).filter(([, change]) => change !== null);
      const line = element("dd");
      changes.forEach(([name, change], at) => {
        const sign = change > 0 ? "+" : change < 0 ? "−" : "±";
        const shown = `${name} ${sign}${(Math.abs(change) / 100).toFixed(1)}`;
        line.append(at ? ", " : `${data.name} scores `, element("span", { className: change > 0 ? "up" : change < 0 ? "down" : "", textContent: shown }));
      });
      if (changes.length) list.append(line);
    }
    return list;
  }
}

function percent(logProb) {
  const share = 100 * Math.exp(logProb / 100);
  return share < 1 ? "under 1 %" : `${Math.round(share)} %`;
}

main().catch((error) => {
  byId("count").textContent = `The captions can't be shown: ${error.message}`;
  throw error;
});
