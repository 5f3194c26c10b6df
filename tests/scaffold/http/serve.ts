/**
 * Serves packages until its input ends: `serve.ts FILE`, where the file has a list of
 * packages. Prints one line, an object of addresses by id.
 */
import { type Served, serving } from "./served.ts";

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error("name the file with the list of packages");
const packages = (await Bun.file(file).json()) as Served[];
const addresses: Record<string, string> = {};
const ended = Bun.stdin.text();
await Promise.all(
  packages.map((one) =>
    serving(one, async (base) => {
      addresses[one.id] = base;
      if (Object.keys(addresses).length === packages.length) console.log(JSON.stringify(addresses));
      await ended;
    }),
  ),
);
