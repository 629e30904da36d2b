// Several tabs of one rater: each knows its own name, and which leases the others work on.

import { newId } from "./ids.js";

const NAME = "palate.tab";
const TOO_OLD_MS = 15 * 60 * 1000; // no lease lasts longer without a sign of life

const lockOf = (tab) => `palate-tab-${tab}`;
const placeOf = (account, tab) => `palate.leases.${account}.${tab}`;

// True when this tab is the one whose memory it carries. A tab that was duplicated carries a copy of its twin's:
// the lock, which is held for as long as a tab lives, says which of them came first.
export async function claimTab() {
  const tab = sessionStorage.getItem(NAME) ?? newId();
  sessionStorage.setItem(NAME, tab);
  if (!navigator.locks) return true; // only over plain http, where browsers have no locks
  // A reload may still be letting go of the lock when the new page asks for it.
  for (let attempt = 0; attempt < 5; attempt += 1) {
    if (await hold(tab)) return true;
    await new Promise((done) => { setTimeout(done, 40); });
  }
  sessionStorage.setItem(NAME, newId());
  await hold(sessionStorage.getItem(NAME));
  return false;
}

function hold(tab) {
  return new Promise((decide) => {
    navigator.locks.request(lockOf(tab), { ifAvailable: true }, (lock) => {
      decide(lock !== null);
      return lock && new Promise(() => {});
    });
  });
}

export function announceLeases(account, leases) {
  try {
    const mine = JSON.stringify({ leases, at: Date.now() });
    localStorage.setItem(placeOf(account, sessionStorage.getItem(NAME)), mine);
  } catch {
    // A full storage costs at worst that two tabs show the same comparison, and the server takes one verdict.
  }
}

// Leases of tabs that live. What dead tabs held is forgotten, so that it can be taken up again.
export async function leasesElsewhere(account) {
  const locks = navigator.locks ? (await navigator.locks.query()).held.map((lock) => lock.name) : null;
  const own = placeOf(account, sessionStorage.getItem(NAME));
  const prefix = placeOf(account, "");
  const found = [];
  for (const key of Object.keys(localStorage).filter((one) => one.startsWith(prefix) && one !== own)) {
    const { leases = [], at = 0 } = JSON.parse(localStorage.getItem(key) ?? "{}");
    const alive = locks ? locks.includes(lockOf(key.slice(prefix.length))) : Date.now() - at < TOO_OLD_MS;
    if (alive) found.push(...leases);
    else localStorage.removeItem(key);
  }
  return found;
}
