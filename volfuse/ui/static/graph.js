// The picture: boxes and lines where the server has laid them out, what is chosen, and changes that flow.

import { drawn, visible } from "./text.js";

const FLOW_MS = 650;
const MOST_LINES = 120; // that are shown live at a time
const LIVE = { stroke: "var(--live)", strokeWidth: 3 };
const PAD = 12;
const HEAD = 26;

export class Picture {
  /** `chosen` is called with a key, or null when nothing is chosen any more. */
  constructor(svg, chosen) {
    this.svg = svg;
    this.told = chosen;
    this.boxes = new Map(); // by key: {box, node, count}
    this.lines = []; // {line, node}
    this.counts = new Map();
    this.fresh = new Map(); // by ends, changes that the next frame shows
    this.flowing = new Map(); // by ends, since when
    this.live = 0;
    this.chosen = null;
    this.sought = "";
    this.calm = matchMedia("(prefers-reduced-motion: reduce)");
    svg.addEventListener("click", (event) => this.choose(keyOf(event.target)));
    svg.addEventListener("keydown", (event) => this.#key(event));
  }

  draw(graph) {
    this.graph = graph;
    const focused = keyOf(document.activeElement);
    const { Width, Height, Boxes, Lines } = graph.Layout;
    this.names = new Map([...graph.Containers, ...graph.Sources].map((node) => [node.Key, visible(node.Name)]));
    this.lines = Lines.map((line) => ({ line, node: this.#line(line) }));
    this.boxes = new Map(Boxes.map((box) => [box.Key, this.#box(box)]));
    this.dots = drawn("g");
    for (const [key, value] of Object.entries({ width: Width, height: Height, viewBox: `0 0 ${Width} ${Height}` })) {
      this.svg.setAttribute(key, value);
    }
    const lines = drawn("g", {}, ...this.lines.map(({ node }) => node));
    this.svg.replaceChildren(lines, ...[...this.boxes.values()].map(({ node }) => node), this.dots);
    if (this.chosen && !this.names.has(this.chosen)) this.choose(null);
    else this.#show();
    const again = this.boxes.get(focused)?.node;
    if (again) again.focus({ preventScroll: true });
  }

  /** Choose a key, or let go of it if it is chosen. */
  choose(key) {
    this.chosen = key === this.chosen ? null : key;
    this.#show();
    this.told(this.chosen);
  }

  seek(text) {
    this.sought = text.toLowerCase();
    this.#show();
    this.svg.querySelector(".box:not(.dim)")?.scrollIntoView({ block: "nearest" });
  }

  /** Show a change: from who made it (null: the host) to the source, and on to all others that mount it. */
  flow(container, source) {
    this.counts.set(source, (this.counts.get(source) ?? 0) + 1);
    this.fresh.set(`${container}|${source}`, [container, source]);
    this.frame ??= requestAnimationFrame((now) => this.#flow(now));
  }

  #flow(now) {
    this.frame = null;
    for (const [ends, [container, source]] of this.fresh) {
      const box = this.boxes.get(source);
      if (!box) continue;
      box.count.textContent = this.counts.get(source);
      if (now - (this.flowing.get(ends) ?? -Infinity) < FLOW_MS || this.live > MOST_LINES) continue;
      this.flowing.set(ends, now);
      this.#spread(container, source);
      box.node.querySelector("rect").animate([LIVE, {}], { duration: 2 * FLOW_MS });
    }
    this.fresh.clear();
  }

  #spread(container, source) {
    const lines = this.lines.filter(({ line }) => line.End === source && line.Kind === "mount");
    const own = lines.filter(({ line }) => line.Begin === container);
    own.forEach(({ line, node }) => this.#along(line.Path, node, false, 0));
    lines
      .filter((one) => !own.includes(one))
      .forEach(({ line, node }) => this.#along(line.Path, node, true, own.length ? FLOW_MS : 0));
  }

  #along(path, node, back, delay) {
    const lit = node.animate([LIVE, {}], { duration: 2 * FLOW_MS, delay });
    this.live += 1;
    lit.finished.catch(() => {}).finally(() => (this.live -= 1));
    if (this.calm.matches) return;
    const dot = drawn("circle", { class: "dot", r: 4 });
    dot.style.offsetPath = `path("${path}")`;
    const [from, to] = back ? ["100%", "0%"] : ["0%", "100%"];
    const frames = [{ offsetDistance: from }, { offsetDistance: to }];
    this.dots.append(dot);
    dot.style.visibility = "hidden";
    const moving = dot.animate(
      frames.map((frame) => ({ ...frame, visibility: "visible" })),
      { duration: FLOW_MS, delay, easing: "ease-in-out" },
    );
    moving.finished.catch(() => {}).finally(() => dot.remove());
  }

  #line(line) {
    const verb = line.Kind === "mount" ? (line.RW ? "mounts" : "mounts read-only") : "takes volumes from";
    const said = `${this.names.get(line.Begin)} ${verb} ${this.names.get(line.End)}`;
    const title = drawn("title", {}, line.Where ? `${said} at ${line.Where}` : said);
    return drawn("path", { d: line.Path, class: line.RW ? line.Kind : `${line.Kind} ro` }, title);
  }

  #box(box) {
    const container = box.Kind === "container";
    const count = text("count", box.X + box.Width - PAD, box.Y + HEAD / 2 + 5, this.counts.get(box.Key) ?? "", true);
    const name = this.names.get(box.Key);
    const node = drawn(
      "g",
      {
        class: container ? `box container ${box.Note}` : `box ${box.Kind}`,
        role: "button",
        tabindex: -1,
        "data-key": box.Key,
        "aria-pressed": "false",
        "aria-label": [box.Kind, name, box.Note, ...box.Rows.map((row) => row.Text)].join(", "),
      },
      drawn("title", {}, name),
      drawn("rect", { x: box.X, y: box.Y, width: box.Width, height: box.Height, rx: 6 }),
      text("title", box.X + PAD, box.Y + HEAD / 2 + 5, box.Title),
      container
        ? text("note", box.X + box.Width - PAD, box.Y + HEAD / 2 + 5, box.Note, true)
        : text("note", box.X + PAD, box.Y + HEAD / 2 + 21, box.Note),
      ...box.Rows.map((row) => text("row", box.X + PAD, row.Y + 4, row.RW ? row.Text : `${row.Text} ro`)),
      ...(container ? [] : [count]),
    );
    return { box, node, count };
  }

  /** Set what is chosen, what is dim, and which box the tab key leads to. */
  #show() {
    const related = this.chosen ? this.#related(this.chosen) : null;
    const found = (key) => !this.sought || this.#said(key).includes(this.sought);
    const bright = new Set([...this.boxes.keys()].filter((key) => (!related || related.has(key)) && found(key)));
    for (const [key, { node }] of this.boxes) {
      node.classList.toggle("dim", !bright.has(key));
      node.setAttribute("aria-pressed", String(key === this.chosen));
      node.setAttribute("tabindex", -1);
    }
    for (const { line, node } of this.lines) {
      const own = !related || line.Begin === this.chosen || line.End === this.chosen || related.has(line.Begin);
      const shown = bright.has(line.Begin) || bright.has(line.End);
      node.classList.toggle("dim", !(own && shown && (!related || related.has(line.End))));
    }
    const first = this.boxes.get(this.chosen) ?? this.boxes.values().next().value;
    first?.node.setAttribute("tabindex", 0);
  }

  /** What shares with the chosen one: its sources, their users, donors and takers. */
  #related(key) {
    const related = new Set([key]);
    for (const { line } of this.lines) {
      if (line.Begin === key) related.add(line.End);
      if (line.End === key) related.add(line.Begin);
    }
    const sources = [...related].filter((one) => !one.startsWith("container:"));
    for (const { line } of this.lines) if (sources.includes(line.End)) related.add(line.Begin);
    return related;
  }

  #said(key) {
    const rows = this.graph.Containers.find((one) => one.Key === key)?.Mounts ?? [];
    return [this.names.get(key), ...rows.map((mount) => mount.Destination)].join("\n").toLowerCase();
  }

  #key(event) {
    const key = keyOf(event.target);
    const moves = { ArrowDown: 1, ArrowUp: -1, ArrowRight: "End", ArrowLeft: "Begin" };
    if (event.key === "Enter" || event.key === " ") this.choose(key);
    else if (event.key === "Escape") this.choose(null);
    else if (event.key in moves && key) this.#focus(this.#next(key, moves[event.key]));
    else return;
    event.preventDefault();
  }

  #next(key, move) {
    if (typeof move === "string") {
      const other = move === "End" ? "Begin" : "End";
      return this.lines.find(({ line }) => line.Kind === "mount" && line[other] === key)?.line[move];
    }
    const container = key.startsWith("container:");
    const column = [...this.boxes.keys()].filter((one) => one.startsWith("container:") === container);
    return column[column.indexOf(key) + move];
  }

  #focus(key) {
    const next = this.boxes.get(key)?.node;
    if (!next) return;
    for (const { node } of this.boxes.values()) node.setAttribute("tabindex", -1);
    next.setAttribute("tabindex", 0);
    next.focus();
  }
}

function keyOf(node) {
  return node?.closest?.("[data-key]")?.dataset.key ?? null;
}

function text(kind, x, y, content, end = false) {
  return drawn("text", { class: kind, x, y, "text-anchor": end ? "end" : "start" }, String(content));
}
