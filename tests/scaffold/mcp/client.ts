/**
 * A client of the Model Context Protocol: the TypeScript SDK's. Lists a server's
 * tools, calls some, and prints what came. Arguments: the calls as JSON, then the
 * server's command.
 */
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";

const [calls = "[]", command = "", ...args] = process.argv.slice(2);
const client = new Client({ name: "test", version: "1.0.0" });
await client.connect(new StdioClientTransport({ command, args, stderr: "inherit" }));
const { tools } = await client.listTools();
const results = [];
for (const call of JSON.parse(calls)) {
  try {
    results.push(await client.callTool(call));
  } catch (error) {
    results.push({ thrown: String(error) });
  }
}
console.log(JSON.stringify({ tools, results }));
await client.close();
