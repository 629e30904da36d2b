// How long something was read, two boxes that scroll as one, and a word on haste.

// Seconds during which the page could be seen; a lunch in another tab is no reading time.
export class Stopwatch {
  constructor(seconds = 0) {
    this.before = seconds;
    this.since = null;
  }

  start() {
    if (this.since === null && !document.hidden) this.since = performance.now();
  }

  stop() {
    if (this.since === null) return;
    this.before += (performance.now() - this.since) / 1000;
    this.since = null;
  }

  get seconds() {
    return this.before + (this.since === null ? 0 : (performance.now() - this.since) / 1000);
  }
}

// Both boxes show the same height of text; the shorter one waits at its end.
export function scrollTogether(one, other) {
  let leader = null;
  let timer;
  const follow = (from, to) => {
    if (leader && leader !== from) return; // the echo of our own change
    leader = from;
    to.scrollTop = from.scrollTop;
    clearTimeout(timer);
    timer = setTimeout(() => { leader = null; }, 80);
  };
  one.addEventListener("scroll", () => follow(one, other), { passive: true });
  other.addEventListener("scroll", () => follow(other, one), { passive: true });
}

const WORDS_A_SECOND = 4; // 240 words a minute, a usual pace of silent reading
const LEAST_SHARE = 0.25;

export function words(text) {
  return (text.match(/\S+/g) ?? []).length;
}

// A sentence when a verdict came faster than a quarter of the usual reading time. It is said, and nothing is locked.
export function haste(seconds, count) {
  if (seconds >= (count / WORDS_A_SECOND) * LEAST_SHARE) return "";
  return `That was quick: ${seconds.toFixed(1)} s for ${count} words. It counts; Z takes it back.`;
}
