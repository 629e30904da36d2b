// Requests of our own scripts: JSON in, JSON out, with the session's CSRF token.

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

// What the server said no to. `status` 0 means that it did not answer at all.
export class Refused extends Error {
  constructor(status, message, code) {
    super(message);
    this.status = status;
    this.code = code;
  }

  // Trying again can help only where the server was away, busy or broken.
  get passing() {
    return this.status === 0 || this.status === 429 || this.status >= 500;
  }
}

export async function send(path, body, { method = "POST", timeout = 20000, keepalive = false } = {}) {
  let reply;
  try {
    reply = await fetch(path, {
      method,
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token },
      body: body === undefined ? undefined : JSON.stringify(body),
      credentials: "same-origin",
      keepalive,
      signal: AbortSignal.timeout(timeout),
    });
  } catch {
    throw new Refused(0, "The server does not answer.", "unreachable");
  }
  const said = await reply.json().catch(() => null);
  // Half a reply, or a page of someone between us and the server, says nothing of what was stored.
  if (reply.ok && !said) throw new Refused(0, "The server's reply broke off.", "torn");
  if (!reply.ok) throw new Refused(reply.status, said?.error?.message ?? reply.statusText, said?.error?.code ?? "");
  return said;
}
