/** Callers of packages in process, who pay what is asked. */
import { join } from "node:path";
import type { Env, Service } from "@flywheel/kit";
import { payment, paymentTerms, stubFacilitator, testEnv } from "@flywheel/kit/testing";

export const alice = "0x000000000000000000000000000000000000000a";
export const bob = "0x000000000000000000000000000000000000000b";

/** Something that a service keeps. */
export interface Item {
  id: string | number;
  [field: string]: unknown;
}

/** A caller of a package whose data is new, unless `more` names a file: answers' status, text and JSON. */
export async function calling(id: string, headers: Record<string, string> = {}, more: Env = {}) {
  const { default: service } = (await import(
    join(process.cwd(), "packages", id, "src/index.ts")
  )) as { default: Service };
  const env = { ...testEnv, PRIM_INTERNAL_KEY: "a key for tests", ...more };
  const app = service.build({ env, facilitator: stubFacilitator() });
  return async (method: string, path: string, body?: unknown, from = alice, own = headers) => {
    const sent = body instanceof Uint8Array ? (body as Uint8Array<ArrayBuffer>) : undefined;
    const text = body === undefined ? undefined : JSON.stringify(body);
    const init = { method, headers: own, ...(text === undefined ? {} : { body: sent ?? text }) };
    let answer = await app.request(path, init);
    if (answer.status === 402) {
      const paid = { ...own, ...payment(paymentTerms(answer), from) };
      answer = await app.request(path, { ...init, headers: paid });
    }
    const said = await answer.text();
    const isJson = answer.headers.get("content-type")?.includes("json") ?? false;
    const json = isJson ? JSON.parse(said) : undefined;
    return { status: answer.status, headers: answer.headers, text: said, json };
  };
}
