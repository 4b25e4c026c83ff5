/** Proposals that wait for their entry to be committed, by its index and term. */
import { RaftError } from './errors.ts';

const replaced = 'another leader replaced the proposal: try again';

interface Waiter<T> {
  readonly term: number;
  readonly resolve: (result: T) => void;
  readonly reject: (error: unknown) => void;
}

export class Waiters<T> {
  readonly #byIndex = new Map<number, Waiter<T>>();
  /** Their entries are committed, and are to be told of later. */
  readonly #settling = new Set<Waiter<T>>();

  get size(): number {
    return this.#byIndex.size + this.#settling.size;
  }

  wait(index: number, term: number): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    this.#byIndex.set(index, { term, resolve, reject });
    return promise;
  }

  /** The entry of this index is committed; one of another term has taken the proposal's place. */
  settle(index: number, term: number, result: T): void {
    this.settleLater(index, term, result)();
  }

  /** As `settle`, when the returned function is called. */
  settleLater(index: number, term: number, result: T): () => void {
    const waiter = this.#byIndex.get(index);
    if (waiter === undefined) return () => {};
    this.#byIndex.delete(index);
    this.#settling.add(waiter);
    return () => {
      if (!this.#settling.delete(waiter)) return;
      if (waiter.term === term) waiter.resolve(result);
      else waiter.reject(new RaftError('replaced', replaced));
    };
  }

  /** The lead is lost: what is not committed yet may be or not. */
  rejectUncommitted(error: RaftError): void {
    const waiting = [...this.#byIndex.values()];
    this.#byIndex.clear();
    for (const { reject } of waiting) reject(error);
  }

  rejectAll(error: RaftError): void {
    const settling = [...this.#settling];
    this.#settling.clear();
    for (const { reject } of settling) reject(error);
    this.rejectUncommitted(error);
  }
}
