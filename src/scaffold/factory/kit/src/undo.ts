/**
 * What a call did to what is kept, to be taken back where the call comes to
 * nothing: its work is done before its payment is settled.
 */
import { AsyncLocalStorage } from "node:async_hooks";

const current = new AsyncLocalStorage<(() => void)[]>();

/** Notes how what was just done is taken back; forgotten where nobody may want that. */
export function undoable(back: () => void): void {
  current.getStore()?.push(back);
}

/** Does something. What comes back takes back what was noted meanwhile, the last first. */
export async function attempt(work: () => Promise<void>): Promise<() => void> {
  const steps: (() => void)[] = [];
  await current.run(steps, work);
  return () => {
    for (const back of steps.splice(0).reverse()) back();
  };
}

/** Does several things at once, or none of them: what one did before another throws is taken back. */
export function together<T>(work: () => T): T {
  const steps: (() => void)[] = [];
  try {
    return current.run(steps, work);
  } catch (error) {
    for (const back of steps.splice(0).reverse()) back();
    throw error;
  } finally {
    for (const back of steps) undoable(back);
  }
}
