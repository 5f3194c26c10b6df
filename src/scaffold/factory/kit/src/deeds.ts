/**
 * What calls that are not settled yet did to the same rows. A call may be refused
 * while others went on from what it did: then theirs is done anew on what was there
 * before it, so that nothing stays of what nobody paid for.
 */
import type { Row } from "./items.ts";
import { isAttempt, undoable } from "./undo.ts";

/** A row with all that there is of it. */
export interface Whole extends Row {
  collection: string;
  bytes: Uint8Array<ArrayBuffer> | null;
}

/** A row, or undefined where it is not there. */
export type State = Whole | undefined;

/** What was done to a row, as it is done to that row in any state. */
export type Deed = (row: State) => State;

/** A row that something was done to, the first first. */
interface Pile {
  /** The row before all of it. */
  base: State;
  deeds: { does: Deed; stays: boolean }[];
}

/** What was done to rows, as long as it may be taken back. */
export class Deeds {
  readonly #piles = new Map<number, Pile>();
  readonly #write: (seq: number, is: State, becomes: State) => void;

  /** `write` brings a row from one state into another. */
  constructor(write: (seq: number, is: State, becomes: State) => void) {
    this.#write = write;
  }

  /** Notes what is done to a row, which `before` reads as it was. */
  note(seq: number, before: () => State, does: Deed): void {
    let pile = this.#piles.get(seq);
    if (pile === undefined) {
      if (!isAttempt()) return;
      pile = { base: before(), deeds: [] };
      this.#piles.set(seq, pile);
    }
    const deed = { does, stays: false };
    pile.deeds.push(deed);
    const there = pile;
    undoable(
      () => {
        const is = stateOf(there);
        there.deeds.splice(there.deeds.indexOf(deed), 1);
        const becomes = stateOf(there);
        this.#trim(seq, there);
        this.#write(seq, is, becomes);
      },
      () => {
        deed.stays = true;
        this.#trim(seq, there);
      },
    );
  }

  /** Forgets what lies on nothing that may still be taken back. */
  #trim(seq: number, pile: Pile): void {
    while (pile.deeds[0]?.stays) pile.base = pile.deeds.shift()?.does(pile.base);
    if (pile.deeds.length === 0 && this.#piles.get(seq) === pile) this.#piles.delete(seq);
  }
}

const stateOf = ({ base, deeds }: Pile): State => deeds.reduce((row, { does }) => does(row), base);
