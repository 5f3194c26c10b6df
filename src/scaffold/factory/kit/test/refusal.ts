// What a test looks at of what is refused.
import { ServiceError } from "../src/index.ts";

/** The refusal that `work` throws. */
export function refused(work: () => unknown): ServiceError {
  try {
    work();
  } catch (error) {
    if (error instanceof ServiceError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

/** Its status and code. */
export function refusal(work: () => unknown): [number, string] {
  const { status, code } = refused(work);
  return [status, code];
}
