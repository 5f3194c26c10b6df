/**
 * Serves one package on loopback as it would run, but for its facilitator, which
 * is the kit's stub: it accepts every payment, so that no chain is asked.
 *
 *   bun .github/gate/serve.ts ID PORT
 */
import { join } from "node:path";
import type { Service } from "@flywheel/kit";
import { stubFacilitator, testEnv } from "@flywheel/kit/testing";

const [id = "", port = ""] = process.argv.slice(2);
const entry = join(import.meta.dir, "../../packages", id, "src/index.ts");
const { default: service } = (await import(entry)) as { default: Service };
const app = service.build({
  env: { ...process.env, ...testEnv },
  facilitator: stubFacilitator(),
});
Bun.serve({ hostname: "127.0.0.1", port: Number(port), fetch: app.fetch });
