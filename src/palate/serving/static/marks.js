// What someone says of an answer, and the line below it that tells what became of that.

import { send } from "/static/pages/send.js";

const chat = document.getElementById("chat");
const ASKS = {
  note: "Why? A note for whoever judges this answer",
  edit: "Write it as it should have been",
  report: "What is wrong with it?",
};

export function newUid() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

export async function say(answer, kind, { value = "", note = "" } = {}) {
  const became = answer.querySelector(".became");
  try {
    const completion = answer.dataset.completion;
    const told = await send(`/chat/${chat.dataset.id}/signal`, { uid: newUid(), completion, kind, value, note });
    became.textContent = told.sentence;
    return told;
  } catch (error) {
    became.textContent = `Not stored: ${error.message}`;
    return null;
  }
}

export async function mark(answer, what) {
  if (!answer.dataset.completion) return;
  if (what === "up" || what === "down") await thumb(answer, what);
  else if (what === "copy") await copy(answer);
  else if (what === "close") close(answer);
  else if (what in ASKS) open(answer, what);
}

async function thumb(answer, what) {
  const taken = answer.dataset.thumb === what;
  if (!(await say(answer, taken ? "none" : what))) return;
  answer.dataset.thumb = taken ? "" : what;
  for (const button of answer.querySelectorAll("[data-mark=up], [data-mark=down]")) {
    button.setAttribute("aria-pressed", String(button.dataset.mark === answer.dataset.thumb));
  }
}

async function copy(answer) {
  const text = answer.dataset.source ?? answer.querySelector(".said").innerText;
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    answer.querySelector(".became").textContent = "This browser does not let pages copy.";
    return;
  }
  const told = await say(answer, "copy");
  if (told) answer.querySelector(".became").textContent = `Copied. ${told.sentence}`;
}

function open(answer, what) {
  const form = answer.querySelector(".writing");
  const field = form.querySelector("textarea");
  close(answer);
  form.dataset.what = what;
  form.querySelector(".asks").textContent = ASKS[what];
  field.value = what === "edit" ? (answer.dataset.source ?? answer.querySelector(".said").innerText.trim()) : "";
  form.hidden = false;
  answer.querySelector(`[data-mark=${what}]`).setAttribute("aria-expanded", "true");
  field.focus();
}

export function close(answer) {
  const form = answer.querySelector(".writing");
  const within = form.contains(document.activeElement);
  form.hidden = true;
  for (const button of answer.querySelectorAll("[aria-expanded]")) button.setAttribute("aria-expanded", "false");
  if (within) answer.querySelector(`[data-mark=${form.dataset.what}]`).focus();
}

export async function save(answer) {
  const form = answer.querySelector(".writing");
  const text = form.querySelector("textarea").value;
  if (!text.trim()) return null;
  const what = form.dataset.what;
  const told = await say(answer, what, what === "edit" ? { value: text } : { note: text });
  if (told) close(answer);
  return told && what === "edit" ? { ...told, source: text } : null;
}
