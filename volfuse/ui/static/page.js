// The page: one stream of events from the server, the graph when it has changed, and what is chosen.

import { Changes } from "./changes.js";
import { Files } from "./files.js";
import { Picture } from "./graph.js";
import { element, fetched, shortened, visible } from "./text.js";

const AGAIN_MS = 2000;
const SETTLE_MS = 150;
const MANY = 40; // with more containers a choice draws only what has to do with it
const at = (id) => document.getElementById(id);

const changes = new Changes(at("log"), at("rate"));
const files = new Files(at("tree"));
const picture = new Picture(at("picture"), chosen);
let graph = { Containers: [], Sources: [] };
let drawnText = "";
let drawnAround = null;
let asked = 0;
let cursor = "";
let waiting = null;
let only = null; // until the button says so or not, with many containers

function state(name, sentence) {
  at("state").dataset.state = name;
  at("state").textContent = sentence;
}

function connect() {
  const stream = new EventSource(`changes?since=${encodeURIComponent(cursor)}`);
  const on = (name, act) =>
    stream.addEventListener(name, (event) => {
      cursor = event.lastEventId || cursor;
      act(JSON.parse(event.data));
    });
  on("message", came);
  on("missed", (gap) => changes.tell(`missed ${gap.Missed ?? "an unknown number of"} changes: ${gap.Reason}`));
  on("sharing", redrawSoon);
  on("up", () => {
    state("up", "following changes");
    redraw();
  });
  on("down", () => state("down", "the daemon does not answer, trying again"));
  stream.addEventListener("error", () => {
    if (at("state").dataset.state === "up") state("down", "the stream has ended, trying again");
    if (stream.readyState !== EventSource.CLOSED) return;
    state("down", "volfuse ui does not answer, trying again");
    setTimeout(connect, AGAIN_MS);
  });
}

function came(change) {
  const source = sourceOf(change);
  changes.add(change);
  picture.flow(change.Origin === "host" ? null : `container:${change.ContainerID}`, source);
  const container = graph.Containers.find((one) => one.Key === picture.chosen);
  for (const mount of container?.Mounts ?? []) {
    if (mount.Source !== source) continue;
    for (const path of [change.Path, change.NewPath]) {
      if (path !== undefined) files.changed(`${mount.Destination}/${path}`.replace(/\/[^/]*$/, ""));
    }
  }
}

function sourceOf(change) {
  return change.Volume ? `volume:${change.Volume}` : `bind:${change.Source}`;
}

function redrawSoon() {
  waiting ??= setTimeout(redraw, SETTLE_MS);
}

async function redraw() {
  clearTimeout(waiting);
  waiting = null;
  const turn = (asked += 1);
  const wanted = part();
  const found = await fetched(wanted ? `graph?around=${encodeURIComponent(wanted)}` : "graph").catch(() => null);
  if (!found || turn !== asked) return; // the stream tells when the daemon is back
  drawnAround = wanted;
  const text = JSON.stringify(found);
  if (text === drawnText) return;
  drawnText = text;
  graph = found;
  at("empty").hidden = graph.Containers.length + graph.Sources.length > 0;
  at("counts").textContent = `${counted(graph.Containers, "container")}, ${counted(graph.Sources, "volume or bind", "volumes and binds")}`;
  at("only").setAttribute("aria-pressed", String(only ?? graph.Containers.length > MANY));
  picture.draw(graph);
  facts(picture.chosen);
}

/** Return the key of the one around which alone is drawn, if so. */
function part() {
  return (only ?? graph.Containers.length > MANY) ? picture.chosen : null;
}

function counted(list, one, many = `${one}s`) {
  return `${list.length} ${list.length === 1 ? one : many}`;
}

function chosen(key) {
  const container = graph.Containers.find((one) => one.Key === key);
  facts(key);
  files.show(container?.Id ?? null);
  at("files").hidden = !container;
  if (container) changes.select((change) => change.ContainerID === container.Id);
  else changes.select(key ? (change) => sourceOf(change) === key : () => true);
  if (part() !== drawnAround) redraw();
  at("whose").textContent = key ? `${container ? "by" : "in"} ${nameOf(key)}` : "";
}

function nameOf(key) {
  const found = [...graph.Containers, ...graph.Sources].find((one) => one.Key === key);
  return found ? shortened(found.Name) : "";
}

/** Say what is known of the chosen one. */
function facts(key) {
  const container = graph.Containers.find((one) => one.Key === key);
  const source = graph.Sources.find((one) => one.Key === key);
  at("chosen-title").textContent = key ? `${container ? "container" : source.Type} ${visible((container ?? source).Name)}` : "Nothing chosen";
  at("chosen-hint").hidden = Boolean(key);
  const rows = container
    ? [
        ["id", container.Id.slice(0, 12)],
        ["state", container.State],
        ...container.Mounts.map((mount) => [
          "mount",
          `${visible(mount.Destination)} ← ${nameOf(mount.Source)}${mount.RW ? "" : " (read-only)"}`,
        ]),
        ...container.VolumesFrom.map((donor) => ["volumes from", nameOf(donor)]),
      ]
    : (source?.Containers.map((user) => ["container", nameOf(user)]) ?? []);
  at("chosen-facts").replaceChildren(...rows.flatMap(([term, said]) => [element("dt", {}, term), element("dd", {}, said)]));
}

at("pause").addEventListener("click", () => {
  const paused = !changes.paused;
  at("pause").setAttribute("aria-pressed", String(paused));
  changes.pause(paused);
});
at("only").addEventListener("click", () => {
  only = !(only ?? graph.Containers.length > MANY);
  at("only").setAttribute("aria-pressed", String(only));
  redraw();
});
at("find").addEventListener("input", (event) => picture.seek(event.target.value));
connect();
