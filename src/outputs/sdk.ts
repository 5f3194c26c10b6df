/** Where the service is, and how it is asked. */
export interface Options {
  /** Its address: the public one unless given. */
  url?: string;
  /** Sends requests: one that pays, such as that of `@x402/fetch`, where routes have a price. */
  fetch?: (request: Request) => Promise<Response>;
  /** Sent with every request. */
  headers?: Record<string, string>;
}

/** Bytes that a route takes. */
export type Bytes = ArrayBuffer | Blob | Uint8Array<ArrayBuffer> | string;

/** An answer that is no success. */
export class ServiceError extends Error {
  /** HTTP status. */
  readonly status: number;
  /** The stable code that tells what is wrong; empty where the answer has none. */
  readonly code: string;
  /** The answer's headers: PAYMENT-REQUIRED has the terms of a 402, Retry-After when to come again. */
  readonly headers: Headers;

  constructor(status: number, code: string, message: string, headers: Headers) {
    super(message);
    this.name = "ServiceError";
    this.status = status;
    this.code = code;
    this.headers = headers;
  }

  static async of(response: Response): Promise<ServiceError> {
    const text = await response.text();
    let [code, message] = ["", text];
    try {
      const { error } = JSON.parse(text) as { error: { code: string; message: string } };
      [code, message] = [String(error.code), String(error.message)];
    } catch {
      // Not from the service itself, or not in its envelope.
    }
    return new ServiceError(response.status, code, message || `status ${response.status}`, response.headers);
  }
}

/** One segment of a path. An empty one, or dots, would be another route's path. */
function part(value: unknown): string {
  const text = String(value);
  if (text === "" || text === "." || text === "..") {
    throw new TypeError(`${JSON.stringify(text)} can't stand in a path`);
  }
  return encodeURIComponent(text);
}

/** The rest of a path, with its slashes. */
function rest(value: unknown): string {
  return String(value).split("/").map(part).join("/");
}
void part;
void rest;

function caller(options: Options) {
  const base = (options.url ?? URL_OF_SERVICE).replace(/\/+$/, "");
  const send = options.fetch ?? ((request: Request) => fetch(request));
  return async (
    method: string,
    path: string,
    query: Record<string, string | number | boolean | undefined>,
    body?: Bytes,
    type?: string,
  ): Promise<Response> => {
    const url = new URL(base + path);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) {
        url.searchParams.set(name, String(value));
      }
    }
    const headers = new Headers(options.headers);
    if (type !== undefined) {
      headers.set("content-type", type);
    }
    const init = { method, headers, body: body ?? null, redirect: "manual" } as const;
    const response = await send(new Request(url.href, init));
    if (response.status >= 400 || (!response.ok && !response.headers.has("location"))) {
      throw await ServiceError.of(response);
    }
    return response;
  };
}
