import assert from "node:assert/strict";
import { afterEach } from "node:test";

import { connect, type Connection, type ConnectionEvent, type ConnectOptions, DyadError, type Token, type Transport } from "../src/index.js";
import { FakeServer } from "../src/testing/index.js";

/** The id of a room that does not exist. */
export const UNKNOWN_ROOM = "6c1f3c3e-9d2c-4b7e-8f53-0d6f3f9f7a10";

/** For assert.throws and assert.rejects: the error is of this library, with this code. */
export const code = (expected: string) => (reason: unknown) => {
  assert.ok(reason instanceof DyadError, String(reason));
  assert.equal(reason.code, expected);
  return true;
};

// A test may mock the timers.
const { setTimeout: later } = globalThis;

/** Resolves once the condition holds. The runner's time-out ends a test in which it never does. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) {
    await new Promise((resolve) => later(resolve, 1));
  }
}

const opened: Connection[] = [];

afterEach(() => opened.splice(0).forEach((connection) => connection.detach()));

/** A connection that ends with the test. */
export function client(server: FakeServer, token: Token, options: ConnectOptions = {}): Connection {
  const connection = connect("http://fake", token, { transport: server.transport, ...options });
  opened.push(connection);
  return connection;
}

/** A connection whose events are collected in `heard`. */
export interface Listener {
  readonly connection: Connection;
  readonly heard: ConnectionEvent[];
  hears<T extends ConnectionEvent["type"]>(type: T): Promise<Extract<ConnectionEvent, { type: T }>>;
}

const TYPES = [
  "peerJoined", "peerLeft", "offer", "answer", "candidate", "error", "reconnecting", "reconnected",
] as const;

export function listening(connection: Connection): Listener {
  const heard: ConnectionEvent[] = [];
  for (const type of TYPES) connection.on(type, (event) => heard.push(event));
  return {
    connection,
    heard,
    async hears(type) {
      const found = () => heard.find((event) => event.type === type);
      await until(() => found() !== undefined);
      return heard.splice(heard.indexOf(found() as ConnectionEvent), 1)[0] as never;
    },
  };
}

/** A transport that calls `at` before and after each thing that is awaited, with a growing number. */
export function stepping(transport: Transport, at: (step: number) => void): Transport {
  let step = 0;
  const next = (): void => at((step += 1));
  return {
    async unary(method, request, options) {
      next();
      const response = await transport.unary(method, request, options);
      next();
      return response;
    },
    async *stream(method, request, options) {
      next();
      for await (const response of transport.stream(method, request, options)) {
        next();
        yield response;
        next();
      }
    },
  };
}
