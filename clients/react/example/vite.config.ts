import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

// The page asks its own origin, and Vite forwards to Envoy. So there is no CORS.
const proxy = { "/dyad.v1.Signaling": "http://localhost:8080" };

export default defineConfig({
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
});
