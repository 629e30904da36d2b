// E: take the better answer and make it better still. What is saved is a demonstration, and beats its original.

import { newId } from "./ids.js";

export class Editor {
  // `onSave({pane, side, text, seconds})` is called when something was changed.
  constructor(onSave) {
    this.dialog = document.querySelector("#editor");
    this.text = this.dialog.querySelector("textarea");
    this.sides = [...this.dialog.querySelectorAll("input[name=side]")];
    this.onSave = onSave;
    for (const side of this.sides) side.addEventListener("change", () => this.fill(side.value));
    this.dialog.querySelector("form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.save();
    });
    this.dialog.querySelector("[data-close]").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("close", () => this.keepDraft());
    this.text.addEventListener("input", () => this.keepDraft());
    this.text.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) this.save();
    });
  }

  open(pane, side = "left") {
    this.pane = pane;
    this.begun = performance.now();
    this.fill(pane.editing?.side ?? side);
    this.dialog.showModal();
    this.text.focus();
    this.text.setSelectionRange(0, 0);
  }

  get side() {
    return this.sides.find((side) => side.checked)?.value ?? "left";
  }

  fill(side) {
    for (const choice of this.sides) choice.checked = choice.value === side;
    const draft = this.pane.editing?.side === side ? this.pane.editing.text : null;
    this.text.value = draft ?? this.original(side);
  }

  original(side) {
    return side === "left" ? this.pane.task.left_text : this.pane.task.right_text;
  }

  keepDraft() {
    if (this.pane) this.pane.editing = { side: this.side, text: this.text.value };
  }

  save() {
    const text = this.text.value.trim();
    if (text && text !== this.original(this.side).trim()) {
      const seconds = (performance.now() - this.begun) / 1000;
      this.pane.edited = this.side;
      this.onSave({ uid: newId(), pane: this.pane, side: this.side, text, seconds });
    }
    this.dialog.close();
  }

  get isOpen() {
    return this.dialog.open;
  }
}
