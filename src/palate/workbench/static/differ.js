// Which words two texts share: a longest common subsequence, drawn as <del> and <ins>.

const MOST = 4_000_000; // cells of the table: two texts of 2,000 words take some tens of milliseconds

export function pieces(text) {
  return text.match(/\s+|[\p{L}\p{N}_]+|[^\s\p{L}\p{N}_]/gu) ?? [];
}

// For each text a list of [piece, shared]. Null when the texts are too long to compare at once.
export function compare(left, right) {
  const a = pieces(left);
  const b = pieces(right);
  if (a.length * b.length > MOST) return null;
  const width = b.length + 1;
  const table = new Uint16Array((a.length + 1) * width);
  for (let i = a.length - 1; i >= 0; i -= 1) {
    for (let j = b.length - 1; j >= 0; j -= 1) {
      table[i * width + j] = a[i] === b[j]
        ? table[(i + 1) * width + j + 1] + 1
        : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    }
  }
  const marks = [new Array(a.length).fill(false), new Array(b.length).fill(false)];
  let i = 0;
  let j = 0;
  while (i < a.length && j < b.length) {
    if (a[i] === b[j]) {
      marks[0][i] = true;
      marks[1][j] = true;
      i += 1;
      j += 1;
    } else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i += 1;
    else j += 1;
  }
  return [a.map((piece, place) => [piece, marks[0][place]]), b.map((piece, place) => [piece, marks[1][place]])];
}

// Puts one side into `box`; what the other side lacks is inside <tag>.
export function draw(box, marked, tag) {
  box.replaceChildren();
  let open = null;
  for (const [piece, shared] of marked) {
    const blank = /^\s+$/.test(piece);
    if (shared && !blank) open = null;
    if (!shared && !open && !blank) {
      open = document.createElement(tag);
      box.append(open);
    }
    (open && !shared ? open : box).append(piece);
    if (shared && blank) open = null;
  }
}
