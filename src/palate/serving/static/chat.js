// One chat: send, stream, draw again, choose between drafts. What is said of answers is in marks.js.

import { send } from "/static/pages/send.js";
import { announce, askedWas, finish, grow, newAnswer, newTurn, question } from "./answers.js";
import { close, mark, newUid, save, say } from "./marks.js";
import { lines } from "./stream.js";

const chat = document.getElementById("chat");
const talk = document.getElementById("talk");
const text = document.getElementById("text");
const stop = document.getElementById("stop");
const problem = document.getElementById("problem");
const TYPING = "input:not([type=checkbox]), textarea, select";
let running = null;

function policy() {
  return document.getElementById("policy")?.value ?? "";
}

function trouble(message) {
  problem.textContent = message;
  problem.hidden = !message;
}

// `order` is the server's name for what is being written, "" until it has one.
function busy(order) {
  running = order;
  stop.hidden = order === null;
  for (const id of ["send", "two"]) document.getElementById(id).disabled = order !== null;
}

// The stream then ends as any other does, so that what was shown is stored and can be spoken of.
async function cut() {
  if (running) await send(`/chat/${chat.dataset.id}/stop`, { order: running }).catch((error) => trouble(error.message));
}

// Streams into these answers; the server says which of two stands on the left.
async function write(body, turn, answers) {
  busy("");
  trouble("");
  let over = 0;
  try {
    for await (const line of lines(`/chat/${chat.dataset.id}/answer`, body)) {
      if (line.error) throw new Error(line.error);
      if ("asked" in line) {
        busy(line.order);
        if (!body.again) askedWas(turn, line);
        document.getElementById("title").textContent = line.title;
        document.getElementById("asks").textContent = "Your next message";
        if (line.swapped) answers[0].before(answers[1]);
      } else if ("completion" in line) {
        finish(answers[line.index], line);
        over += 1;
      } else {
        grow(answers[line.index], line.text);
      }
    }
    if (over < answers.length) throw new Error("The answer broke off.");
    announce(answers.length === 2 ? "Both answers are there." : "The answer is there.");
    return true;
  } catch (error) {
    for (const answer of answers) {
      if (answer.dataset.completion) continue;
      if (answer.textContent.trim() && answer.querySelector(".said").textContent) answer.removeAttribute("aria-busy");
      else answer.remove();
    }
    trouble(error.message);
    return false;
  } finally {
    busy(null);
  }
}

async function ask(drafts) {
  const said = text.value.trim();
  if (!said || running !== null) return;
  const turn = newTurn(said);
  const place = turn.querySelector(".drafts");
  const answers = Array.from({ length: drafts }, newAnswer);
  place.classList.toggle("two", drafts === 2);
  place.append(...answers);
  turn.scrollIntoView({ block: "nearest" });
  text.value = "";
  const body = { text: said, after: chat.dataset.last, drafts, policy: policy() };
  if (!(await write(body, turn, answers))) {
    text.value = said;
    if (!place.childElementCount) turn.remove();
    return;
  }
  chat.dataset.last = answers.at(-1).dataset.completion;
  if (drafts === 2) question("ask-two", place, (verdict, asking) => choose(answers, verdict, asking));
}

async function choose([first, second], verdict, asking) {
  const [left, right] = first.compareDocumentPosition(second) & 4 ? [first, second] : [second, first];
  const better = { left, right }[verdict];
  try {
    const told = await send(`/chat/${chat.dataset.id}/pick`, {
      uid: newUid(),
      first: first.dataset.completion,
      second: second.dataset.completion,
      better: better?.dataset.completion ?? "",
    });
    (better ?? left).querySelector(".became").textContent = told.sentence;
    if (better) chat.dataset.last = better.dataset.completion;
    asking.remove();
    text.focus();
  } catch (error) {
    trouble(error.message);
  }
}

async function again(old) {
  if (running !== null || !old.dataset.completion) return;
  const turn = old.closest(".turn");
  if (turn !== talk.lastElementChild) {
    old.querySelector(".became").textContent = "Only the latest answer can be drawn again.";
    return;
  }
  const place = turn.querySelector(".drafts");
  place.querySelector(".asking")?.remove();
  for (const other of place.querySelectorAll(".answer")) if (other !== old) other.remove();
  const fresh = newAnswer();
  old.after(fresh);
  place.classList.add("two");
  fresh.querySelector(".whose").textContent = "New answer";
  if (!(await write({ again: old.dataset.completion, policy: policy() }, turn, [fresh]))) {
    place.classList.remove("two");
    return;
  }
  chat.dataset.last = fresh.dataset.completion;
  await say(old, "regenerate", { value: `drawn ${fresh.dataset.completion}` });
  question("ask-again", place, async (verdict, asking) => {
    if (!(await say(old, "regenerate", { value: `${verdict} ${fresh.dataset.completion}` }))) return;
    if (verdict === "worse") chat.dataset.last = old.dataset.completion;
    asking.remove();
    text.focus();
  });
}

function edited(answer, told) {
  if (!told.completion) return;
  const own = newAnswer();
  own.querySelector(".whose").textContent = "Your version";
  finish(own, { completion: told.completion, html: told.html, source: told.source, cut: false });
  answer.after(own);
  if (answer.closest(".turn") === talk.lastElementChild) chat.dataset.last = told.completion;
}

talk.addEventListener("click", (event) => {
  const button = event.target.closest("[data-mark]");
  if (!button) return;
  const answer = button.closest(".answer");
  if (button.dataset.mark === "again") again(answer);
  else mark(answer, button.dataset.mark);
});

talk.addEventListener("submit", async (event) => {
  event.preventDefault();
  const answer = event.target.closest(".answer");
  const told = await save(answer);
  if (told) edited(answer, told);
});

talk.addEventListener("keydown", (event) => {
  const form = event.target.closest(".writing");
  if (!form) return;
  if (event.key === "Escape") close(form.closest(".answer"));
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) form.requestSubmit();
});

document.getElementById("composer").addEventListener("submit", (event) => {
  event.preventDefault();
  ask(1);
});
document.getElementById("two").addEventListener("click", () => ask(2));
stop.addEventListener("click", cut);

text.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && running === null) {
    text.blur();
    (talk.querySelector(".turn:last-child .answer") ?? chat).focus();
  }
  if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
  event.preventDefault();
  ask(event.ctrlKey || event.metaKey ? 2 : 1);
});

// A key does what its button does: on the answer that has the focus, else on the latest.
document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.repeat || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "Escape") cut();
  if (event.target.closest(TYPING)) return;
  const turn = talk.lastElementChild;
  const place = event.target.closest(".answer") ?? turn?.querySelector(".answer:last-of-type");
  const key = CSS.escape(event.key.toLowerCase());
  const button = turn?.querySelector(`.asking [data-key="${key}"]`) ?? place?.querySelector(`[data-key="${key}"]`);
  if (!button) return;
  event.preventDefault();
  button.click();
});

document.getElementById("agree").addEventListener("change", async (event) => {
  const box = event.target;
  const became = document.getElementById("agree-became");
  try {
    const told = await send(`/chat/${chat.dataset.id}/consent`, { given: box.checked });
    document.getElementById("agreed-word").textContent = told.given ? "yes" : "no";
    became.textContent = told.sentence;
  } catch (error) {
    box.checked = !box.checked;
    became.textContent = error.message;
  }
});
