// One side of the scripted call in clients/INTEROP.md. Another client plays the other side.

import { readFile } from "node:fs/promises";
import { parseArgs } from "node:util";

import { connect, type Connection, DyadError, type Token } from "../src/index.js";
import { ENDS, play, REFUSALS, SCENARIOS } from "./pair_scenarios.js";
import { print } from "./pair_script.js";

const GIVE_UP_MS = 100_000;

/** Prints the refusal or the end that the scenario expects. False: it expects another one. */
function isExpected(scenario: string, reason: unknown): boolean {
  if (!(reason instanceof DyadError)) {
    return false;
  }
  const code = reason.code === "taken_over" ? "ABORTED" : reason.code.toUpperCase();
  if (ENDS[scenario] === code) {
    print("ended", { code, retry: reason.retryable });
    return !reason.retryable;
  }
  if (REFUSALS[scenario] === code) {
    print("refused", { code });
    return true;
  }
  return false;
}

async function main(): Promise<void> {
  const text = { type: "string", default: "" } as const;
  let given;
  try {
    const options = { role: text, target: text, token: text, "token-file": text, room: text, scenario: text };
    given = parseArgs({ options }).values;
  } catch {
    given = undefined;
  }
  const role = given?.role;
  if ((role !== "caller" && role !== "callee") || !given?.target || !SCENARIOS.includes(given.scenario)) {
    console.error(
      `usage: dyad-pair --role caller|callee --target URL --token TOKEN|--token-file PATH [--room ID] --scenario ${SCENARIOS.join("|")}`,
    );
    process.exit(2);
  }
  setTimeout(() => {
    console.error(`The scenario was not over after ${GIVE_UP_MS / 1000} s.`);
    process.exit(1);
  }, GIVE_UP_MS).unref();
  let connection: Connection | undefined;
  try {
    const path = given["token-file"];
    // The file may be a pipe, with one token for each connection.
    const token: Token = path === "" ? given.token : async () => (await readFile(path, "utf8")).trim();
    connection = connect(given.target, token);
    await play(connection, role, given.scenario, given.room);
  } catch (reason) {
    if (!isExpected(given.scenario, reason)) {
      console.error(reason instanceof Error ? `${reason.name}: ${reason.message}` : String(reason));
      process.exitCode = 1;
    }
  } finally {
    connection?.close();
  }
}

await main();
