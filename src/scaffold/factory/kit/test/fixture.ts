// A service as a program: the process that server.test.ts starts and stops.
import { createService, serve } from "../src/index.ts";

const service = createService({ name: "slow", version: "0.0.1" }).route({
  method: "GET",
  path: "/v1/slow",
  price: "free",
  handler: async () => {
    console.log(JSON.stringify({ event: "working" }));
    await Bun.stdin.text(); // answers when the test closes the process's input
    return { done: true };
  },
});

export default service;

if (import.meta.main) serve(service);
