import { expect, test } from "bun:test";
import { ports } from "../src/ports.ts";

test("ports come in order, and the next is the one after the highest", () => {
  expect(ports({ PORTS: "store=3004, wallet=3001" }, "PORTS")).toEqual({
    allocated: [
      { id: "wallet", port: 3001 },
      { id: "store", port: 3004 },
    ],
    next_available: 3005,
  });
  expect(ports({ PORTS: "a=65535,b=1024" }, "PORTS").next_available).toBe(1025);
});

test.each([undefined, "", "store", "store=80", "store=65536", "a=3001,,b=3002", "<b>=3001"])(
  "a setting of %p is none",
  (value) => {
    expect(() => ports({ PORTS: value }, "PORTS")).toThrow(
      expect.objectContaining({ status: 501, code: "not_configured" }),
    );
  },
);
