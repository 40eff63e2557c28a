// A participant that never sends by itself. It creates a room, and answers every offer
// with an answer of the same text. It reads its tokens from standard input, one a line;
// with --fixed it reads only one. It prints each event as JSON.

import { createInterface } from "node:readline";

import { connect, DyadError } from "../src/index.js";

const [target = "", fixed] = process.argv.slice(2);
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

function print(event: string, rest: Record<string, unknown> = {}): void {
  console.log(JSON.stringify({ event, ...rest }));
}

async function nextToken(): Promise<string> {
  print("wants a token");
  const { value } = await lines.next();
  return String(value);
}

try {
  const connection = connect(target, fixed === "--fixed" ? await nextToken() : nextToken);
  print("room", { room: (await connection.create()).roomId });
  for await (const event of connection) {
    if (event.type === "offer") connection.sendAnswer(event.sdp);
    print(event.type, event.type === "reconnected" ? { resumed: event.resumed } : {});
  }
} catch (reason) {
  if (!(reason instanceof DyadError)) throw reason;
  print("over", { code: reason.code, message: reason.message });
}
process.exit(0);
