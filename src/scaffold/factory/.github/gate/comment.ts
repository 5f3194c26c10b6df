/**
 * Puts $TABLE under a pull request: into the comment that is there from the last
 * time, or else into a new one. Where the job's token may not comment, as in a fork's
 * pull request, the table is in the job's summary alone.
 *
 *   TOKEN=… API=… REPOSITORY=owner/name PULL=7 TABLE=… bun .github/gate/comment.ts
 */
const MARK = "<!-- flywheel: gate.yml -->";
/** Whose comments a job's token writes. */
const OURS = ["github-actions[bot]", "gitea-actions", "forgejo-actions"];
const PAGE = 50;

const { TOKEN = "", API = "", REPOSITORY = "", PULL = "", TABLE = "" } = process.env;
const issue = `repos/${REPOSITORY}/issues/${Number.parseInt(PULL, 10)}`;

interface Comment {
  id: number;
  body: string;
  user: { login: string };
}

async function ask(method: string, path: string, body?: object): Promise<Response> {
  return fetch(`${API.replace(/\/$/, "")}/${path}`, {
    method,
    headers: {
      Authorization: `Bearer ${TOKEN}`,
      Accept: "application/json",
      "Content-Type": "application/json",
      "User-Agent": "flywheel-gate",
    },
    ...(body ? { body: JSON.stringify(body) } : {}),
    signal: AbortSignal.timeout(20_000),
  });
}

/** The comment of an earlier run, if there is one; or the answer that keeps that from being known. */
async function earlier(): Promise<Comment | Response | undefined> {
  let first: number | undefined;
  for (let page = 1; ; page += 1) {
    // The one forge says per_page, the other limit, or gives all each time.
    const query = `per_page=${PAGE}&limit=${PAGE}&page=${page}`;
    const answer = await ask("GET", `${issue}/comments?${query}`);
    if (!answer.ok) return answer;
    const comments = (await answer.json()) as Comment[];
    const found = comments.find(
      ({ body, user }) => body.startsWith(MARK) && OURS.includes(user.login),
    );
    if (found || comments.length < PAGE || comments[0]?.id === first) return found;
    first = comments[0]?.id;
  }
}

const found = await earlier();
const body = { body: `${MARK}\n${TABLE}` };
// Where the comments can't be read, another one would be one too many.
const answer =
  found instanceof Response
    ? found
    : found
      ? await ask("PATCH", `repos/${REPOSITORY}/issues/comments/${found.id}`, body)
      : await ask("POST", `${issue}/comments`, body);
if (answer.ok) {
  console.log(found instanceof Response || found === undefined ? "commented" : "comment edited");
} else if ([401, 403, 404].includes(answer.status)) {
  console.log(`::notice title=Gate::This token may not comment (${answer.status}).`);
  console.log(TABLE);
} else {
  console.log(`::error title=Gate::The forge answers ${answer.status} to the comment.`);
  process.exit(1);
}
