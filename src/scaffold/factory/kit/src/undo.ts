/**
 * What a call did to what is kept, to be taken back where the call comes to
 * nothing: its work is done before its payment is settled.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** Something that was done. */
interface Step {
  /** Takes it back. */
  back: () => void;
  /** Is told that it stays. */
  keep: () => void;
}

/** What an attempt did: one of the two is called, and once. */
export interface Attempt {
  /** Takes all of it back, the last first. */
  undo: () => void;
  /** Lets all of it stay. */
  keep: () => void;
}

const current = new AsyncLocalStorage<Step[]>();

/** Notes how what was just done is taken back; it stays where nobody may want that. */
export function undoable(back: () => void, keep = () => {}): void {
  const steps = current.getStore();
  if (steps === undefined) keep();
  else steps.push({ back, keep });
}

/** Whether what is done now may be taken back. */
export const isAttempt = () => current.getStore() !== undefined;

/** What was noted, to be taken back or kept. */
function noted(steps: Step[]): Attempt {
  return {
    undo: () => {
      for (const { back } of steps.splice(0).reverse()) back();
    },
    keep: () => {
      for (const { keep } of steps.splice(0)) keep();
    },
  };
}

/** Does something, and answers with what may be done about it; what throws has not been. */
export async function attempt(work: () => Promise<void>): Promise<Attempt> {
  const steps: Step[] = [];
  const done = noted(steps);
  try {
    await current.run(steps, work);
  } catch (error) {
    done.undo();
    throw error;
  }
  return done;
}

/** Does several things at once, or none of them: what one did before another throws is taken back. */
export function together<T>(work: () => T): T {
  const steps: Step[] = [];
  let made: T;
  try {
    made = current.run(steps, work);
  } catch (error) {
    noted(steps).undo();
    throw error;
  }
  for (const { back, keep } of steps) undoable(back, keep);
  return made;
}
