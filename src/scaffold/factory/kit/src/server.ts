import { readConfig } from "./config.ts";
import type { Service } from "./service.ts";

/** How long requests in flight may take once the process was told to stop. */
const DRAIN_MS = 10_000;

/**
 * Listens on `PORT` until SIGTERM or SIGINT, then lets requests in flight
 * finish and exits. A package calls it when it is the program:
 * `if (import.meta.main) serve(service)`.
 */
export function serve(service: Service): ReturnType<typeof Bun.serve> {
  const { port } = readConfig(process.env);
  const log = (line: object) => console.log(JSON.stringify(line));
  const app = service.build({ log });
  const server = Bun.serve({ port, hostname: "0.0.0.0", fetch: app.fetch });
  console.log(JSON.stringify({ event: "listening", service: service.name, port: server.port }));

  let stopping = false;
  const stop = async (signal: NodeJS.Signals) => {
    if (stopping) return;
    stopping = true;
    console.log(JSON.stringify({ event: "stopping", service: service.name, signal }));
    const late = setTimeout(() => void server.stop(true), DRAIN_MS);
    await server.stop();
    clearTimeout(late);
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  return server;
}
