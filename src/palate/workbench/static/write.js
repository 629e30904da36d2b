// Writing an answer: what is typed is kept at once here, and soon on the server.

import { send } from "../pages/send.js";
import { newId } from "./ids.js";
import { Outbox } from "./outbox.js";
import { Stopwatch, words } from "./reading.js";

const form = document.querySelector("#writing");
const text = form.querySelector("textarea");
const place = `palate.written.${form.dataset.account}.${form.dataset.prompt}`;
const watch = new Stopwatch();
let timer;

const outbox = new Outbox(form.dataset.account, ({ waiting, trouble }) => {
  document.querySelector("#saved").textContent = waiting ? trouble || "Saving …" : "";
}, (item, said, error) => {
  if (item.path !== form.dataset.path) return;
  if (error) {
    localStorage.setItem(place, item.body.text); // refused is not lost
    document.querySelector("#said").textContent = `Not stored: ${error.message}`;
  } else location.assign("/write?stored=1");
});

function count() {
  document.querySelector("#count").textContent = `${words(text.value)} words`;
}

text.value = localStorage.getItem(place) ?? text.value;
text.addEventListener("input", () => {
  count();
  localStorage.setItem(place, text.value);
  clearTimeout(timer);
  timer = setTimeout(() => {
    send(form.dataset.draft, { comparison: form.dataset.prompt, text: text.value })
      .then(() => { document.querySelector("#saved").textContent = "Draft saved"; })
      .catch(() => { document.querySelector("#saved").textContent = "Draft kept on this computer"; });
  }, 1200);
});
text.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  if (!text.value.trim()) return;
  clearTimeout(timer);
  const uid = newId();
  outbox.add(uid, form.dataset.path, {
    uid, prompt: form.dataset.prompt, text: text.value.trim(), seconds: watch.seconds, guideline: form.dataset.guideline,
  });
  // Safe in the outbox now; a draft that stayed would be offered again.
  localStorage.removeItem(place);
});
document.addEventListener("visibilitychange", () => (document.hidden ? watch.stop() : watch.start()));
watch.start();
count();
outbox.soon(0);
