// Reasons and a note for the comparison in view. Both are kept as they are written, and sent with the verdict.

import { send } from "../pages/send.js";

const SAVE_AFTER_MS = 1500;
const OWN = "palate.reasons";

export class Notes {
  constructor(onChange, draftPath) {
    this.onChange = onChange;
    this.draftPath = draftPath;
    this.panel = document.querySelector("#reasons");
    this.list = document.querySelector("#reason-list");
    this.note = document.querySelector("#note");
    this.own = document.querySelector("#own-reason");
    this.pane = null;
    for (const reason of JSON.parse(localStorage.getItem(OWN) ?? "[]")) this.addBox(reason);
    this.list.addEventListener("change", () => this.read());
    this.note.addEventListener("input", () => { this.read(); this.saveSoon(); });
    this.note.addEventListener("blur", () => this.save());
    this.note.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.note.blur();
    });
    this.own.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.own.blur();
      if (event.key !== "Enter" || !this.own.value.trim()) return;
      event.preventDefault();
      this.remember(this.own.value.trim());
    });
    // Within the list, letters that are printed on the boxes tick them.
    this.list.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.preventDefault();
      document.activeElement.blur();
    });
  }

  boxes() {
    return [...this.list.querySelectorAll("input[type=checkbox]")];
  }

  addBox(reason) {
    if (this.boxes().some((box) => box.value === reason)) return;
    const label = document.createElement("label");
    label.className = "inline";
    const box = document.createElement("input");
    box.type = "checkbox";
    box.value = reason;
    label.append(box, reason);
    this.list.append(label);
  }

  remember(reason) {
    const mine = JSON.parse(localStorage.getItem(OWN) ?? "[]").filter((one) => one !== reason);
    localStorage.setItem(OWN, JSON.stringify([...mine, reason].slice(-8)));
    this.addBox(reason);
    this.boxes().find((box) => box.value === reason).checked = true;
    this.own.value = "";
    this.read();
  }

  showFor(pane) {
    this.save();
    this.pane = pane;
    if (pane) for (const reason of pane.reasons) this.addBox(reason);
    for (const box of this.boxes()) box.checked = Boolean(pane?.reasons.includes(box.value));
    this.note.value = pane?.note ?? "";
    this.saved = this.note.value;
  }

  read() {
    if (!this.pane) return;
    this.pane.reasons = this.boxes().filter((box) => box.checked).map((box) => box.value);
    this.pane.note = this.note.value;
    this.onChange();
  }

  toReasons() {
    (this.boxes().find((box) => box.checked) ?? this.boxes()[0] ?? this.own).focus();
  }

  toNote() {
    this.note.focus();
  }

  saveSoon() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.save(), SAVE_AFTER_MS);
  }

  // The draft goes to the server as well, so that it is there on another machine. This tab has its own copy.
  save() {
    clearTimeout(this.timer);
    if (!this.draftPath || !this.pane || this.note.value === this.saved) return;
    this.saved = this.note.value;
    send(this.draftPath, { comparison: this.pane.task.comparison, text: this.note.value }, { keepalive: true })
      .catch(() => { this.saved = null; });
  }
}
