// The framing of gRPC and grpc-web: one byte of flags, four of length, then the content.

const HEAD_BYTES = 5;

/** Marks the trailers of grpc-web. */
export const TRAILERS = 0x80;

// A page that is no gRPC would otherwise announce a length of hundreds of megabytes.
const MOST_BYTES = 4 * 1024 * 1024;

export interface Envelope {
  readonly flags: number;
  readonly content: Uint8Array;
}

/** A message as gRPC sends it. */
export function inEnvelope(message: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(HEAD_BYTES + message.length);
  new DataView(bytes.buffer).setUint32(1, message.length);
  bytes.set(message, HEAD_BYTES);
  return bytes;
}

/** The envelopes in a body, as they arrive. Throws if the body is something else, or ends early. */
export async function* envelopes(body: ReadableStream<Uint8Array>): AsyncGenerator<Envelope> {
  const reader = body.getReader();
  let buffer = new Uint8Array();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) break;
    buffer = joined(buffer, value);
    for (let next = firstOf(buffer); next !== undefined; next = firstOf(buffer)) {
      buffer = buffer.subarray(HEAD_BYTES + next.content.length);
      yield next;
    }
  }
  if (buffer.length > 0) {
    throw new Error("The response ended within a message.");
  }
}

/** The first envelope, if all of it is there. */
function firstOf(bytes: Uint8Array): Envelope | undefined {
  if (bytes.length < HEAD_BYTES) {
    return undefined;
  }
  const head = new DataView(bytes.buffer, bytes.byteOffset, HEAD_BYTES);
  const end = HEAD_BYTES + head.getUint32(1);
  if (end > MOST_BYTES) {
    throw new Error("The response is not gRPC.");
  }
  return bytes.length < end ? undefined : { flags: head.getUint8(0), content: bytes.slice(HEAD_BYTES, end) };
}

function joined(one: Uint8Array, other: Uint8Array): Uint8Array<ArrayBuffer> {
  const both = new Uint8Array(one.length + other.length);
  both.set(one);
  both.set(other, one.length);
  return both;
}
