// The rater's room: a verdict key shows the next comparison at once, and everything else happens behind it.

import { Editor } from "./editor.js";
import { newId } from "./ids.js";
import { keySwitch, listen } from "./keys.js";
import { Notes } from "./notes.js";
import { Outbox } from "./outbox.js";
import { Pane } from "./panes.js";
import { haste } from "./reading.js";
import { Supply } from "./supply.js";

const room = document.querySelector("#room");
const { account, mode } = room.dataset;
const at = (name) => `${room.dataset.base}/${name}`;
const one = (selector) => room.querySelector(selector);
const REMEMBERED = 5; // so many verdicts back goes Z

const done = []; // the last ones, newest at the end
let differences = false;
let judged = 0;

const outbox = new Outbox(account, showSaved, settled);
const supply = new Supply(account, {
  lease: at("lease"), heartbeat: at("heartbeat"), decline: at("decline"), release: at("release"),
}, { onArrival: arrived, onTrouble: showTrouble, onProgress: showProgress, onlyOnce: mode === "onboarding" });
const notes = new Notes(keep, mode === "onboarding" ? "" : at("draft"));
const editor = new Editor(saveEdit);

function keep() {
  supply.keep(done.at(-1));
}

// The heart: hide one, show the other. No request stands between the key and the picture.
function show(pane) {
  const empty = one("#waiting");
  if (pane) pane.show();
  empty.hidden = Boolean(pane);
  one("#controls").hidden = !pane;
  room.dataset.current = pane?.task.comparison ?? "";
  room.dataset.number = String(judged + 1);
  notes.showFor(pane);
  applyDifferences(pane);
  showEdited(pane);
  const back = one('[data-key="z"]');
  if (back) back.disabled = done.length === 0;
  if (!pane) one("#waiting-text").textContent = supply.empty || "Fetching the next comparison …";
  scrollTo(0, 0);
}

function forward() {
  supply.current?.hide();
  show(supply.next());
  keep();
  announce(supply.current ? `Comparison ${judged + 1}.` : "Nothing is waiting.");
}

function judge(scale, skipReason = "") {
  const pane = supply.current;
  if (!pane || (!pane.uncovered && scale !== "skip")) return;
  const seconds = pane.watch.seconds;
  outbox.add(pane.uid, at("verdict"), {
    uid: pane.uid, lease: pane.task.lease, comparison: pane.task.comparison, scale, skip_reason: skipReason,
    reasons: pane.reasons, note: pane.note.trim(), seconds: Math.round(seconds * 1000) / 1000,
    guideline: room.dataset.guideline,
  });
  pane.scale = scale;
  done.push(pane);
  if (done.length > REMEMBERED) done.shift().remove();
  judged += 1;
  forward();
  say(scale === "skip" ? "" : haste(seconds, pane.words));
}

// Unsent verdicts are simply taken back; sent ones are retracted on the server, which gives a new lease.
function undo() {
  const pane = done.pop();
  if (!pane) return;
  if (!outbox.remove(pane.uid)) outbox.add(newId(), at("undo"), { uid: pane.uid, comparison: pane.task.comparison });
  pane.uid = newId();
  judged -= 1;
  supply.current?.hide();
  supply.putBack(pane);
  show(pane);
  keep();
  say(`Taken back. You had said: ${spoken(pane.scale)}.`);
}

function spoken(scale) {
  const button = one(`[data-scale="${scale}"] .word`) ?? one(`[data-scale="${scale}"]`);
  return (button?.dataset.says ?? button?.textContent ?? "skip").trim();
}

function saveEdit({ uid, pane, side, text, seconds }) {
  outbox.add(uid, at("edit"), {
    uid, comparison: pane.task.comparison, lease: pane.task.lease, side, text, seconds, judgement: pane.uid,
    guideline: room.dataset.guideline,
  });
  showEdited(pane);
  keep();
  say("Your version is kept. Now judge the two answers.");
}

function showEdited(pane) {
  for (const side of ["left", "right"]) {
    const tag = pane?.element.querySelector(`[data-edited="${side}"]`);
    if (tag) tag.hidden = pane.edited !== side;
  }
}

// A verdict that the server will not take is said once, with its words.
function settled(item, said, error) {
  if (error) say(`Not stored: ${error.message}`, true);
  if (said?.progress) showProgress(said);
  if (said?.task) {
    const pane = [supply.current, ...supply.ahead, ...done].find((p) => p?.task.comparison === said.task.comparison);
    if (pane) pane.task.lease = said.task.lease;
    keep();
  }
  if (said?.finished) location.assign(said.finished);
}

function arrived() {
  if (supply.current) return keep();
  if (supply.ahead.length) forward();
  else show(null);
}

function applyDifferences(pane) {
  if (!pane || pane.differs === differences) return;
  if (pane.showDifferences(differences)) pane.differs = differences;
  else say("These answers are too long to compare word by word.");
}

function toggle(selector, button) {
  const part = document.querySelector(selector);
  part.hidden = !part.hidden;
  button.setAttribute("aria-expanded", String(!part.hidden));
  return !part.hidden;
}

const actions = {
  undo,
  skip: () => document.querySelector("#skipping").showModal(),
  edit: () => supply.current?.uncovered && editor.open(supply.current, supply.current.edited || "left"),
  reasons: () => notes.toReasons(),
  note: () => notes.toNote(),
  guideline: (button) => toggle("#drawer", button) && document.querySelector("#drawer").focus(),
  uncover: () => { supply.current?.uncover(); keep(); },
  decline: () => decline(),
  differences: (button) => {
    differences = !differences;
    button.setAttribute("aria-pressed", String(differences));
    applyDifferences(supply.current);
  },
};

async function decline() {
  try {
    await supply.decline();
  } catch (error) {
    say(error.message, true);
    return;
  }
  if (!supply.current) forward();
  say("You will not be given such comparisons. Your account page takes this back.");
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("button");
  if (!button) return;
  if (button.dataset.scale) judge(button.dataset.scale);
  else if (button.dataset.skip) {
    document.querySelector("#skipping").close();
    judge("skip", button.dataset.skip);
  } else if (button.dataset.action) actions[button.dataset.action](button);
  else if (button.dataset.close !== undefined) button.closest("dialog")?.close();
});

function say(text, warn = false) {
  const line = document.querySelector("#said");
  line.textContent = text;
  line.classList.toggle("warn", warn);
}

function announce(text) {
  document.querySelector("#announced").textContent = text;
}

function showSaved({ waiting, trouble }) {
  const line = document.querySelector("#saved");
  line.dataset.waiting = String(waiting);
  const kept = `${waiting} waiting, kept on this computer.`;
  if (!waiting) line.textContent = "All saved";
  else if (trouble === "login") line.innerHTML = `${kept} <a href="/login?next=${location.pathname}">Log in again</a>`;
  else line.textContent = trouble ? `${kept} ${trouble}` : `Saving ${waiting} …`;
}

function showProgress({ progress, guideline }) {
  // A verdict carries the version that was before the rater's eyes, so the page must not change it silently.
  const changed = guideline !== undefined && guideline !== room.dataset.guideline;
  if (changed) document.querySelector("#changed").hidden = false;
  if (progress) document.querySelector("#progress").textContent = progress;
}

function showTrouble(error) {
  supply.empty = error.status === 401 ? "Your session has ended. Log in again; nothing is lost." : error.message;
  if (!supply.current) show(null);
}

listen({ blocked: () => editor.isOpen });
keySwitch(document.querySelector("#keys-on"));
addEventListener("pagehide", keep);
document.addEventListener("visibilitychange", () => {
  const watch = supply.current?.watch;
  if (document.hidden) watch?.stop();
  else if (supply.current?.uncovered) watch?.start();
});

const last = await supply.start();
if (last) done.push(new Pane(last.task, last));
outbox.soon(0);
showSaved({ waiting: outbox.items().length, trouble: "" });
if (supply.ahead.length) forward();
else show(null);
