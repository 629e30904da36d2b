// Ranking by keyboard: arrows choose an answer, digits give it a rank, Enter hands the whole order in.

import { newId } from "./ids.js";
import { Outbox } from "./outbox.js";
import { Stopwatch } from "./reading.js";

const form = document.querySelector("#ranking");
const items = [...form.querySelectorAll("[data-place]")];
const watch = new Stopwatch();
const place = `palate.rank.${form.dataset.slate}`;
const ranks = new Array(items.length).fill(0);
const line = document.querySelector("#said");

const outbox = new Outbox(form.dataset.account, ({ waiting, trouble }) => {
  document.querySelector("#saved").textContent = waiting ? trouble || "Saving …" : "All saved";
}, (item, said, error) => {
  if (error) line.textContent = `Not stored: ${error.message}`;
  else if (item.path === form.dataset.path) location.assign("/rank");
});

function give(index, rank) {
  ranks[index] = ranks[index] === rank ? 0 : rank;
  draw();
}

function draw() {
  items.forEach((item, index) => {
    for (const button of item.querySelectorAll("[data-rank]")) {
      button.setAttribute("aria-pressed", String(Number(button.dataset.rank) === ranks[index]));
    }
  });
  sessionStorage.setItem(place, JSON.stringify({ ranks, note: form.querySelector("textarea").value }));
  const rated = ranks.filter(Boolean).length;
  document.querySelector("#hand-in").disabled = rated < 2;
  line.textContent = rated < items.length ? `${rated} of ${items.length} have a rank.` : "All have a rank.";
}

function handIn() {
  if (ranks.filter(Boolean).length < 2) return;
  const uid = newId();
  outbox.add(uid, form.dataset.path, {
    uid, slate: form.dataset.slate, ranks, order: JSON.parse(form.dataset.order), seconds: watch.seconds,
    guideline: form.dataset.guideline, note: form.querySelector("textarea").value.trim(),
    reasons: [...form.querySelectorAll("input:checked")].map((box) => box.value),
  });
  sessionStorage.removeItem(place);
  document.querySelector("#hand-in").disabled = true;
}

form.addEventListener("click", (event) => {
  const button = event.target.closest("[data-rank]");
  if (button) give(items.indexOf(button.closest("[data-place]")), Number(button.dataset.rank));
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  handIn();
});
form.querySelector("textarea").addEventListener("input", draw);

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("textarea, input")) return;
  const index = items.findIndex((item) => item.contains(document.activeElement));
  const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
  if (step) {
    event.preventDefault();
    items[(index + step + items.length) % items.length].querySelector("[data-rank]").focus();
  } else if (/^[1-6]$/.test(event.key) && index >= 0 && Number(event.key) <= items.length) {
    event.preventDefault();
    give(index, Number(event.key));
  } else if (event.key === "Enter" && !event.target.closest("a, button:not([data-rank])")) {
    event.preventDefault();
    handIn();
  }
});

const kept = JSON.parse(sessionStorage.getItem(place) ?? "null");
if (kept?.ranks.length === ranks.length) {
  kept.ranks.forEach((rank, index) => { ranks[index] = rank; });
  form.querySelector("textarea").value = kept.note;
}
document.addEventListener("visibilitychange", () => (document.hidden ? watch.stop() : watch.start()));
watch.start();
draw();
items[0].querySelector("[data-rank]").focus();
outbox.soon(0);
