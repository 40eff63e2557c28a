import type { DyadError } from "./errors.js";

/** What a connection is doing. The app is told of a state once it is true. */
export type ConnectionState =
  /** In no room, and without a network connection. */
  | { readonly type: "idle" }
  /** `create` or `join` is under way. */
  | { readonly type: "connecting" }
  /** In a room. */
  | { readonly type: "connected" }
  /** In a room, but the connection broke. Each try is told. */
  | {
      readonly type: "reconnecting";
      /** The number of the next try, from 1. */
      readonly attempt: number;
      /** Why the connection broke, or why the last try failed. */
      readonly cause: DyadError;
    }
  /** The stay in the room ended by this error, or by `close` or `detach` without an error. */
  | { readonly type: "ended"; readonly error?: DyadError };
