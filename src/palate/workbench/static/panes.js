// Comparisons as they lie on the page: the one in view, and the next ones, drawn ahead and hidden.

import { newId } from "./ids.js";
import { compare, draw } from "./differ.js";
import { scrollTogether, Stopwatch, words } from "./reading.js";

const pattern = document.querySelector("#pane");
const place = document.querySelector("#panes");

// One comparison in front of one rater. `uid` is the id of the verdict to come, so that an edit can name it.
export class Pane {
  constructor(task, kept = {}) {
    this.task = task;
    this.uid = kept.uid ?? newId();
    this.reasons = kept.reasons ?? [];
    this.note = kept.note ?? task.note ?? "";
    this.edited = kept.edited ?? "";
    this.uncovered = kept.uncovered ?? !task.warning;
    this.watch = new Stopwatch(kept.seconds ?? 0);
    this.words = words(task.left_text) + words(task.right_text);
    this.element = this.build();
  }

  // What must survive a reload.
  kept() {
    const { task, uid, reasons, note, edited, uncovered } = this;
    return { task, uid, reasons, note, edited, uncovered, seconds: this.watch.seconds };
  }

  build() {
    const element = pattern.content.firstElementChild.cloneNode(true);
    element.dataset.comparison = this.task.comparison;
    const part = (name) => element.querySelector(`[data-part="${name}"]`);
    // These were sanitised by the server, which alone knows how.
    part("prompt").innerHTML = this.task.prompt_html;
    part("help").innerHTML = this.task.help_html ?? "";
    element.querySelector(".help").hidden = !this.task.help_html;
    element.classList.toggle("helped", Boolean(this.task.help_html));
    part("left").innerHTML = this.task.left_html;
    part("right").innerHTML = this.task.right_html;
    part("warning").textContent = this.task.warning ?? "";
    this.boxes = [part("left"), part("right")];
    scrollTogether(...this.boxes);
    element.hidden = true;
    element.classList.toggle("covered", !this.uncovered);
    place.append(element);
    return element;
  }

  show() {
    this.element.hidden = false;
    if (this.uncovered) this.watch.start();
  }

  hide() {
    this.watch.stop();
    this.element.hidden = true;
  }

  uncover() {
    this.uncovered = true;
    this.element.classList.remove("covered");
    this.watch.start();
  }

  // Word differences in place of the formatted answers; false when the texts are too long.
  showDifferences(on) {
    if (on) {
      const found = compare(this.task.left_text, this.task.right_text);
      if (!found) return false;
      for (const [box, marked, tag] of [[this.boxes[0], found[0], "del"], [this.boxes[1], found[1], "ins"]]) {
        draw(box, marked, tag);
        box.classList.add("plain-text");
      }
    } else {
      this.boxes[0].innerHTML = this.task.left_html;
      this.boxes[1].innerHTML = this.task.right_html;
      for (const box of this.boxes) box.classList.remove("plain-text");
    }
    return true;
  }

  remove() {
    this.watch.stop();
    this.element.remove();
  }
}
