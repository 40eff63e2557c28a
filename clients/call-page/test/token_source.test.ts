import assert from "node:assert/strict";
import { test } from "node:test";

import { TokenSource } from "../src/token_source.js";

function source(): { tokens: TokenSource; asked: () => number } {
  let asked = 0;
  return { tokens: new TokenSource("first", () => (asked += 1)), asked: () => asked };
}

test("before the call, a refused token is given again, so that the client reports the refusal", async () => {
  const { tokens, asked } = source();
  assert.equal(await tokens.take(), "first");
  assert.equal(await tokens.take(), "first");
  assert.equal(asked(), 0);
});

test("in a call, the same token serves each try to reconnect", async () => {
  const { tokens, asked } = source();
  await tokens.take();
  tokens.bePatient(true);
  for (let i = 0; i < 3; i += 1) {
    tokens.tries(false);
    assert.equal(await tokens.take(), "first");
  }
  assert.equal(asked(), 0);
});

test("when the server has ended a connection because of its token, the user is asked for another", async () => {
  const { tokens, asked } = source();
  tokens.bePatient(true);
  tokens.tries(true);
  const next = tokens.take();
  assert.equal(asked(), 1);
  tokens.renew("second");
  assert.equal(await next, "second");
});

test("when the server refuses the token of a try, the user is asked for another", async () => {
  const { tokens, asked } = source();
  tokens.bePatient(true);
  tokens.tries(false);
  await tokens.take();
  const next = tokens.take();
  assert.equal(asked(), 1);
  tokens.renew("second");
  assert.equal(await next, "second");
  const other = tokens.take();
  assert.equal(asked(), 2, "the second token was refused too");
  tokens.renew("third");
  assert.equal(await other, "third");
});

test("the wait for the user goes on over several tries", async () => {
  const { tokens } = source();
  tokens.bePatient(true);
  tokens.tries(true);
  const given = [tokens.take()];
  tokens.tries(false);
  given.push(tokens.take());
  tokens.renew("second");
  assert.deepEqual(await Promise.all(given), ["second", "second"]);
});

test("a token that the user entered between two tries is given to the next", async () => {
  const { tokens, asked } = source();
  tokens.bePatient(true);
  tokens.tries(true);
  tokens.renew("second");
  assert.equal(await tokens.take(), "second");
  assert.equal(asked(), 0);
});

test("after the call, each try to deliver the hang-up has a token", async () => {
  const { tokens, asked } = source();
  tokens.bePatient(true);
  tokens.tries(false);
  await tokens.take();
  tokens.bePatient(false);
  assert.equal(await tokens.take(), "first");
  assert.equal(await tokens.take(), "first");
  assert.equal(asked(), 0);
});
