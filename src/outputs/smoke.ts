/** What the service is, and what its routes are asked that leaves no trace. */
interface About {
  id: string;
  names: string[];
  url: string;
  routes: Asked[];
}

interface Asked {
  method: string;
  path: string;
  /** What it costs; `free` where nothing. */
  price: string;
  /** Whether it refuses what is no JSON. */
  json: boolean;
  /** Statuses of a good request. */
  answers: number[];
}

// SERVICE_URL is for one that is not at its public address yet.
const base = (process.env["SERVICE_URL"] ?? SERVICE.url).replace(/\/+$/, "");

function ask(method: string, path: string, body?: string): Promise<Response> {
  const sent = body === undefined ? {} : { body, headers: { "content-type": "application/json" } };
  return fetch(base + path, { method, redirect: "manual", signal: AbortSignal.timeout(20_000), ...sent });
}

async function codeOf(answer: Response): Promise<unknown> {
  const { error } = (await answer.json()) as { error: { code: unknown } };
  return error.code;
}

test(`${SERVICE.id} says who it is and that it is well`, async () => {
  const answer = await ask("GET", "/");
  expect(answer.status).toBe(200);
  const health = (await answer.json()) as { service: string; status: string };
  expect(SERVICE.names).toContain(health.service);
  expect(health.status).toBe("ok");
});

test("what no route takes is 404 in the envelope", async () => {
  const answer = await ask("GET", "/no/such/route");
  expect(answer.status).toBe(404);
  expect(await codeOf(answer)).toBe("not_found");
});

for (const { method, path, price, json, answers } of SERVICE.routes) {
  if (price !== "free") {
    test(`${method} ${path} asks for ${price}`, async () => {
      const answer = await ask(method, path);
      expect(answer.status).toBe(402);
      const terms = JSON.parse(atob(answer.headers.get("PAYMENT-REQUIRED") ?? "")) as {
        accepts: { amount: string }[];
      };
      const micros = Math.round(Number(price.slice(1)) * 1_000_000);
      expect(terms.accepts[0]?.amount).toBe(String(micros));
    });
  } else if (json) {
    test(`${method} ${path} refuses what is no JSON`, async () => {
      const answer = await ask(method, path, "{");
      expect([400, 401, 501]).toContain(answer.status);
      expect(await codeOf(answer)).toBeString();
    });
  } else if (method === "GET") {
    test(`${method} ${path} answers as declared`, async () => {
      const answer = await ask(method, path);
      expect([...answers, 401]).toContain(answer.status);
    });
  }
}
