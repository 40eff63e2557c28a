import { PeerServer } from "peer";

// As its README starts it; `allow_discovery` and the like stay at their defaults.
PeerServer({ host: "127.0.0.1", port: Number(process.env.PORT), path: "/" });
