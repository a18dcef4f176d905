// A container's tree, a directory at a time, and only those that are open.

import { element, fetched, sized, visible } from "./text.js";

const AGAIN_MS = 300;

export class Files {
  constructor(place) {
    this.place = place;
    this.container = null;
    this.open = new Map(); // by encoded path, directories that are open: their lists
    this.stale = new Set();
  }

  /** Show the tree of a container (its id), or of none. */
  show(container) {
    this.container = container;
    this.open.clear();
    const root = element("ul");
    this.place.replaceChildren(root);
    if (container) this.#list("", root);
  }

  /** Look again at an open directory (its absolute path, not encoded), soon. */
  changed(path) {
    const encoded = path.split("/").map(encodeURIComponent).join("/").replace(/\/+$/, "");
    if (!this.open.has(encoded)) return;
    this.stale.add(encoded);
    this.timer ??= setTimeout(() => {
      this.timer = null;
      for (const one of this.stale) if (this.open.has(one)) this.#list(one, this.open.get(one));
      this.stale.clear();
    }, AGAIN_MS);
  }

  async #list(path, list) {
    const container = this.container;
    this.open.set(path, list);
    const rows = await fetched(`files?container=${encodeURIComponent(container)}&path=${path || "/"}`).then(
      (found) => this.#rows(path, found, list),
      (fault) => [said(fault.message)],
    );
    if (container === this.container) list.replaceChildren(...rows);
  }

  #rows(path, found, list) {
    const before = new Map([...list.children].map((row) => [row.dataset.path, row]));
    const rows = found.Entries.map((entry) => {
      const below = `${path}/${encoded(entry)}`;
      const directory = entry.Type === "directory";
      const kept = before.get(below);
      if (kept && directory && kept.dataset.type === "directory") return kept;
      return directory ? this.#directory(entry, below) : file(entry, below);
    });
    const left = found.Total - found.Entries.length;
    if (!found.Total) rows.push(said("empty"));
    if (left > 0) rows.push(said(`and ${left} more`));
    return rows;
  }

  #directory(entry, path) {
    const list = element("ul");
    const name = element("bdi", { class: entry.Mount ? "name mount" : "name" }, `${visible(entry.Name)}/`);
    const summary = element("summary", { title: facts(entry) }, name);
    if (entry.Mount) summary.append(element("span", { class: "fact" }, "mounted"));
    const details = element("details", {}, summary, list);
    details.addEventListener("toggle", () => {
      if (details.open) this.#list(path, list);
      else this.open.delete(path);
    });
    return element("li", { "data-path": path, "data-type": "directory" }, details);
  }
}

function file(entry, path) {
  const target = entry.Target === undefined ? "" : ` → ${visible(entry.Target)}`;
  const name = element("bdi", { class: entry.Mount ? "name mount" : "name" }, visible(entry.Name) + target);
  const fact = entry.Type === "file" ? sized(entry.Size) : (entry.Type ?? "cannot be looked at");
  const shown = element("span", { class: "file", title: facts(entry) }, name, element("span", { class: "fact" }, fact));
  return element("li", { "data-path": path, "data-type": entry.Type ?? "" }, shown);
}

function facts(entry) {
  if (entry.Mode === undefined) return "";
  const modified = new Date(entry.ModifiedNano / 1e6).toLocaleString();
  return `mode ${entry.Mode.toString(8).padStart(4, "0")}, owner ${entry.UID}:${entry.GID}, changed ${modified}`;
}

/** Return the name of an entry for a query: names are any bytes. */
function encoded(entry) {
  if (entry.NameBase64 === undefined) return encodeURIComponent(entry.Name);
  return [...atob(entry.NameBase64)].map((c) => `%${c.charCodeAt(0).toString(16).padStart(2, "0")}`).join("");
}

function said(sentence) {
  return element("li", { class: "said" }, sentence);
}
