// Prints the code of Dollar.sol as a chain runs it, in hexadecimal digits.
// compile.mjs DIR: a directory in which npm installed solc, the compiler.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const require = createRequire(`${process.argv[2]}/`);
const solc = require("solc");
const content = readFileSync(new URL("Dollar.sol", import.meta.url), "utf8");
const output = JSON.parse(
  solc.compile(
    JSON.stringify({
      language: "Solidity",
      sources: { "Dollar.sol": { content } },
      settings: {
        optimizer: { enabled: true, runs: 200 },
        evmVersion: "cancun",
        // No hash of the sources' names and of the compiler's settings behind the code.
        metadata: { appendCBOR: false, bytecodeHash: "none" },
        outputSelection: { "*": { "*": ["evm.deployedBytecode.object"] } },
      },
    }),
  ),
);
const wrong = (output.errors ?? []).map((error) => error.formattedMessage);
if (wrong.length > 0) {
  console.error(wrong.join("\n"));
  process.exit(1);
}
console.log(output.contracts["Dollar.sol"].Dollar.evm.deployedBytecode.object);
