// The list of changes, the youngest on top. Drawn once a frame at most, however many come.

import { element, shortened, sized, visible } from "./text.js";

const KEPT = 400;

export class Changes {
  constructor(list, rate) {
    this.list = list;
    this.rate = rate;
    this.kept = []; // changes and told sentences, oldest first
    this.fresh = [];
    this.paused = false;
    this.takes = () => true;
    this.came = 0;
    setInterval(() => this.#showRate(), 1000);
  }

  add(change) {
    this.came += 1;
    this.#keep({ change });
  }

  /** Put a sentence about the stream itself into the list. */
  tell(sentence) {
    this.#keep({ sentence });
  }

  pause(paused) {
    this.paused = paused;
    this.#draw();
  }

  /** Show only changes that a function takes. */
  select(takes) {
    this.takes = takes;
    this.list.replaceChildren();
    this.fresh = [...this.kept];
    this.#show();
  }

  #keep(one) {
    for (const queue of [this.kept, this.fresh]) {
      queue.push(one);
      if (queue.length > KEPT) queue.shift();
    }
    if (!this.frame) this.frame = requestAnimationFrame(() => this.#draw());
  }

  #draw() {
    this.frame = null;
    if (!this.paused) this.#show();
  }

  #show() {
    const rows = this.fresh.filter(({ change }) => !change || this.takes(change)).map(row);
    this.fresh = [];
    this.list.prepend(...rows.reverse());
    while (this.list.childElementCount > KEPT) this.list.lastElementChild.remove();
  }

  #showRate() {
    this.rate.textContent = this.came ? `${this.came} change${this.came === 1 ? "" : "s"}/s` : "";
    this.came = 0;
  }
}

function row({ change, sentence }) {
  if (!change) return element("li", { class: "told" }, sentence);
  const who = change.Origin === "host" ? "host" : change.Container;
  const at = new Date(change.TimeNano / 1e6);
  return element(
    "li",
    { class: change.Origin, "data-sequence": change.Sequence },
    element("time", { datetime: at.toISOString() }, at.toLocaleTimeString(undefined, { hour12: false })),
    element("bdi", { class: "who" }, visible(who)),
    element("span", { class: "kind" }, change.Kind),
    element("bdi", { class: "where" }, where(change)),
    element("span", { class: "by" }, by(change)),
  );
}

function where(change) {
  const to = change.NewPath === undefined ? "" : ` → ${visible(change.NewPath)}`;
  const path = change.Path ? `:${visible(change.Path)}` : "";
  return `${shortened(change.Volume || change.Source)}${path}${to}`;
}

function by(change) {
  const known = [];
  if (change.Command !== undefined) known.push(`${visible(change.Command)}[${change.PID ?? "?"}]`);
  if (change.UID !== undefined) known.push(`uid ${change.UID}`);
  if (change.Bytes !== undefined) known.push(`wrote ${sized(change.Bytes)}`);
  if (change.Size !== undefined) known.push(sized(change.Size));
  if (change.Detail) known.push(visible(change.Detail));
  return known.join(", ");
}
