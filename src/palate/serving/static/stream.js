// Lines of JSON as they come over one long reply.

import { Refused } from "/static/pages/send.js";

const token = document.querySelector('meta[name="csrf"]')?.content ?? "";

export async function* lines(path, body) {
  let reply;
  try {
    reply = await fetch(path, {
      method: "POST",
      headers: { "Content-Type": "application/json", Accept: "application/json", "X-CSRF-Token": token },
      body: JSON.stringify(body),
      credentials: "same-origin",
    });
  } catch {
    throw new Refused(0, "The server does not answer.", "unreachable");
  }
  if (!reply.ok) {
    const said = await reply.json().catch(() => ({}));
    throw new Refused(reply.status, said.error?.message ?? reply.statusText, said.error?.code ?? "");
  }
  const reader = reply.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "";
  while (true) {
    const { value, done } = await reader.read();
    rest += value ?? "";
    const whole = rest.split("\n");
    rest = whole.pop();
    for (const line of whole) if (line) yield JSON.parse(line);
    if (done) return;
  }
}
