/** Packages behind real HTTP servers on loopback, and callers who pay what is asked. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Service } from "@flywheel/kit";
import { payment, paymentTerms, stubFacilitator, testEnv } from "@flywheel/kit/testing";

/** What a package is served with. */
export interface Served {
  id: string;
  /** Settings under which its routes can be tried. */
  env: Record<string, string>;
  /** The variable that names its SQLite file, if it keeps data. */
  keeps_data: string | null;
}

const folder = mkdtempSync(join(tmpdir(), "flywheel-http-"));

/** Starts a package, its data in a file; `use` gets its address. */
export async function serving<T>(
  { id, env, keeps_data }: Served,
  use: (base: string) => Promise<T>,
): Promise<T> {
  const { default: service } = (await import(
    join(process.cwd(), "packages", id, "src/index.ts")
  )) as {
    default: Service;
  };
  const data = keeps_data === null ? {} : { [keeps_data]: join(folder, `${id}.sqlite`) };
  const app = service.build({
    env: { ...env, ...testEnv, ...data },
    facilitator: stubFacilitator(),
  });
  const server = Bun.serve({ hostname: "127.0.0.1", port: 0, fetch: app.fetch });
  try {
    return await use(`http://127.0.0.1:${server.port}`);
  } finally {
    await server.stop(true);
  }
}

/** Calls a route, and pays as `from` where that is asked for. */
export async function pay(url: string, init: RequestInit, from?: string): Promise<Response> {
  const answer = await fetch(url, init);
  if (answer.status !== 402) return answer;
  const headers = {
    ...(init.headers as Record<string, string>),
    ...payment(paymentTerms(answer), from),
  };
  return fetch(url, { ...init, headers });
}
