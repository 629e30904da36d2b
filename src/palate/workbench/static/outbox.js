// What a rater did, until the server says that it is stored.
//
// Each item lies in localStorage under a key of its own, so that a reload, a crash, a second tab or a dead server
// loses nothing, and two tabs never overwrite each other's list. Items carry ids of their own: sending one twice
// stores it once, so in doubt it is sent again.

import { Refused, send } from "../pages/send.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 20000;

export class Outbox {
  // `onChange` gets {waiting, trouble, refused}: how many wait, why, and what was refused for good.
  constructor(account, onChange, onDone = () => {}) {
    this.prefix = `palate.out.${account}.`;
    this.onChange = onChange;
    this.onDone = onDone;
    this.memory = new Map(); // where storage is full or forbidden
    this.trouble = "";
    this.wait = FIRST_WAIT_MS;
    this.busy = false;
    this.counter = 0;
    addEventListener("online", () => this.soon(0));
    addEventListener("storage", (event) => {
      if (event.key === null || event.key.startsWith(this.prefix)) this.tell();
    });
    addEventListener("beforeunload", (event) => {
      if (this.memory.size) event.preventDefault();
    });
  }

  add(id, path, body) {
    // The order within one millisecond matters: an undo must not overtake its verdict.
    const item = { id, path, body, order: Date.now() * 1000 + (this.counter++ % 1000) };
    this.write(item);
    this.tell();
    this.soon(0);
  }

  // Takes an item back that was not sent yet; false when it is gone already.
  remove(id) {
    if (this.sending === id) return false;
    const there = this.memory.has(id) || localStorage.getItem(this.prefix + id) !== null;
    this.forget(id);
    this.tell();
    return there;
  }

  has(id) {
    return this.memory.has(id) || localStorage.getItem(this.prefix + id) !== null;
  }

  read(id) {
    return this.memory.get(id) ?? JSON.parse(localStorage.getItem(this.prefix + id));
  }

  write(item) {
    try {
      localStorage.setItem(this.prefix + item.id, JSON.stringify(item));
      this.memory.delete(item.id);
    } catch {
      this.memory.set(item.id, item);
    }
  }

  // An undo brings a new lease, and a verdict that was given meanwhile must carry it.
  relabel({ comparison, lease }) {
    for (const item of this.items()) {
      if (item.body.comparison === comparison) this.write({ ...item, body: { ...item.body, lease } });
    }
  }

  items() {
    const found = [...this.memory.values()];
    for (let index = 0; index < localStorage.length; index += 1) {
      const key = localStorage.key(index);
      if (!key.startsWith(this.prefix)) continue;
      try {
        found.push(JSON.parse(localStorage.getItem(key)));
      } catch {
        localStorage.removeItem(key); // not ours, or torn
      }
    }
    return found.filter((item) => item && item.id).sort((a, b) => a.order - b.order);
  }

  soon(ms) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.empty(), ms);
  }

  // One tab sends at a time where the browser can arrange it; elsewhere twice is harmless.
  async empty() {
    if (this.busy) return;
    this.busy = true;
    try {
      if (navigator.locks) await navigator.locks.request(this.prefix, () => this.sendAll());
      else await this.sendAll();
    } finally {
      this.busy = false;
    }
    if (this.items().length && this.trouble !== "login") this.soon(this.trouble ? this.nextWait() : 0);
  }

  async sendAll() {
    for (const { id } of this.items()) {
      const item = this.read(id);
      if (!item) continue; // taken back, or sent by another tab meanwhile
      this.sending = item.id;
      try {
        const said = await send(item.path, item.body, { keepalive: true });
        this.forget(item.id);
        this.trouble = "";
        this.wait = FIRST_WAIT_MS;
        if (said.task) this.relabel(said.task);
        this.onDone(item, said);
      } catch (error) {
        if (!(error instanceof Refused)) throw error;
        if (!this.refused(item, error)) return;
      } finally {
        this.sending = null;
        this.tell();
      }
    }
  }

  // True when the next item may be tried.
  refused(item, error) {
    if (error.status === 401 || error.code === "csrf") {
      this.trouble = "login";
      return false;
    }
    if (error.passing) {
      this.trouble = error.message;
      return false;
    }
    this.forget(item.id);
    this.trouble = "";
    this.onDone(item, null, error);
    return true;
  }

  nextWait() {
    const wait = this.wait * (0.75 + Math.random() / 2);
    this.wait = Math.min(this.wait * 2, LONGEST_WAIT_MS);
    return wait;
  }

  forget(id) {
    this.memory.delete(id);
    localStorage.removeItem(this.prefix + id);
  }

  tell() {
    this.onChange({ waiting: this.items().length, trouble: this.trouble });
  }
}
