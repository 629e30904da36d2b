// Where comparisons come from: leases of three at a time, kept alive, and kept over a reload of this tab.

import { Refused, send } from "../pages/send.js";
import { Pane } from "./panes.js";
import { announceLeases, claimTab, leasesElsewhere } from "./tabs.js";

const AT_A_TIME = 3;
const LOW = 2; // so many ahead, or fewer: ask for more
const HEARTBEAT_MS = 4 * 60 * 1000; // a lease lasts fifteen minutes
const LOOK_AGAIN_MS = 30000;

export class Supply {
  // `paths` are the server's addresses.
  constructor(account, paths, { onArrival, onTrouble, onProgress, onlyOnce = false }) {
    this.account = account;
    this.place = `palate.room.${account}.${paths.lease}`;
    this.paths = paths;
    this.onArrival = onArrival;
    this.onTrouble = onTrouble;
    this.onProgress = onProgress;
    this.ahead = [];
    this.current = null;
    this.empty = "";
    this.wait = 1000;
    this.seen = new Set();
    this.declined = false; // the rater said no to warned ones, and a reply that was asked for before is on its way
    this.onlyOnce = onlyOnce; // an onboarding gives out what is unanswered, and our answers may still be on their way
    setInterval(() => this.heartbeat(), HEARTBEAT_MS);
  }

  // What was open before a reload comes back, if it is still ours; what the rater holds and no tab knows of (a reply
  // that was lost, a tab that was closed) comes as well. Returns the verdict before it, for Z.
  async start() {
    const first = await claimTab();
    const kept = first ? this.remembered() : {};
    const panes = kept.ahead ?? [];
    this.asking = true;
    let said = null;
    try {
      const known = [...panes.map((pane) => pane.task.lease), ...(await leasesElsewhere(this.account))];
      said = await send(this.paths.lease, { count: Math.max(0, AT_A_TIME - panes.length), known });
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.onTrouble(error);
      this.later();
    } finally {
      this.asking = false;
    }
    // While nobody answers, what we have is ours: verdicts on it will tell.
    const ours = panes.filter((pane) => !said || said.held.includes(pane.task.lease));
    this.ahead = ours.map((pane) => new Pane(pane.task, pane));
    if (said) this.take(said);
    return kept.done ?? null;
  }

  remembered() {
    try {
      return JSON.parse(sessionStorage.getItem(this.place) ?? "{}");
    } catch {
      return {};
    }
  }

  // `current` counts as ahead: after a reload it is what the rater sees again.
  keep(done) {
    const panes = [this.current, ...this.ahead].filter(Boolean);
    announceLeases(this.account, panes.map((pane) => pane.task.lease));
    const ahead = panes.map((pane) => pane.kept());
    try {
      sessionStorage.setItem(this.place, JSON.stringify({ ahead, done: done?.kept() ?? null }));
    } catch {
      // Too long for the browser: after a reload the server gives them again.
      sessionStorage.removeItem(this.place);
    }
  }

  async heartbeat() {
    const leases = [this.current, ...this.ahead].filter(Boolean).map((pane) => pane.task.lease);
    if (leases.length) await send(this.paths.heartbeat, { leases }).catch(() => {});
  }

  next() {
    this.current = this.ahead.shift() ?? null;
    this.refill();
    return this.current;
  }

  putBack(pane) {
    if (this.current) this.ahead.unshift(this.current);
    this.current = pane;
  }

  // "Not for me": what has a warning goes back, also what is still on its way to us.
  async decline() {
    const warned = [this.current, ...this.ahead].filter((pane) => pane?.task.warning);
    await send(this.paths.decline, { leases: warned.map((pane) => pane.task.lease) });
    this.declined = this.asking;
    const all = [this.current, ...this.ahead].filter((pane) => pane?.task.warning);
    this.giveBack(all.filter((pane) => !warned.includes(pane)).map((pane) => pane.task.lease));
    this.ahead = this.ahead.filter((pane) => !all.includes(pane));
    if (all.includes(this.current)) this.current = null;
    for (const pane of all) pane.remove();
  }

  // Should the server not hear of it, the leases run out.
  giveBack(leases) {
    if (leases.length) send(this.paths.release, { leases }).catch(() => {});
  }

  async refill() {
    if (this.asking || this.ahead.length > LOW) return;
    this.asking = true;
    clearTimeout(this.timer);
    try {
      this.take(await send(this.paths.lease, { count: AT_A_TIME }));
      this.onArrival();
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      this.onTrouble(error);
      if (error.passing) this.later();
    } finally {
      this.asking = false;
    }
  }

  take(said) {
    this.wait = 1000;
    const known = new Set([this.current, ...this.ahead].filter(Boolean).map((pane) => pane.task.comparison));
    const late = [];
    for (const task of said.tasks) {
      if (this.declined && task.warning) {
        late.push(task.lease);
        continue;
      }
      if (known.has(task.comparison) || (this.onlyOnce && this.seen.has(task.comparison))) continue;
      this.seen.add(task.comparison);
      this.ahead.push(new Pane(task));
    }
    this.declined = false;
    this.giveBack(late);
    this.empty = said.empty;
    this.onProgress(said);
    // Others may give tasks back, or new ones may come.
    if (late.length) this.timer = setTimeout(() => this.refill(), 0);
    else if (!said.tasks.length) this.timer = setTimeout(() => this.refill(), LOOK_AGAIN_MS);
  }

  later() {
    this.timer = setTimeout(() => this.refill(), this.wait);
    this.wait = Math.min(this.wait * 2, LOOK_AGAIN_MS);
  }
}
