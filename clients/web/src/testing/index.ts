export { FakeServer } from "./fake_server.js";
export type { FakeServerOptions } from "./fake_server.js";
