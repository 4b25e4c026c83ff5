/**
 * A manager's keys, in one small file: those of its log (data keys), and the secret that its
 * private key is encrypted with. The file is plain, and for root alone, or wrapped by the unlock
 * key. As everything secret hangs on this one file, which is replaced in one step, a lock is put
 * on, taken off or changed wholly or not at all.
 */
import { createPrivateKey, randomBytes } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { SwarmError } from '../../lib/errors.ts';
import { readIfThere, writeFileAtomic, type KeyProtection } from '../../lib/identity/index.ts';
import { AesCipher, aesKeyBytes, aesKeyId } from '../../raft/index.ts';
import { swarmLocked, unwrap, wrap } from './unlock-key.ts';

interface DataKey {
  readonly key: string;
  readonly createdAtMs: number;
}

/** Newest first; older ones are still needed. */
interface Secrets {
  readonly dataKeys: readonly DataKey[];
  readonly nodeSecrets: readonly string[];
}

/** What is on the disk. */
type Stored = { readonly format: 1; readonly lockVersion: number } & (
  | { readonly secrets: Secrets }
  | { readonly wrapped: string }
);

export interface KeyStoreParts {
  readonly nowMs: () => number;
  /** A file could not be replaced: what was to be forgotten is still there. */
  readonly onProblem: (error: unknown) => void;
}

const fileName = 'manager-keys.json';
const secretBytes = 32;

export class KeyStore {
  readonly cipher: AesCipher;
  readonly #path: string;
  readonly #parts: KeyStoreParts;
  #secrets: Secrets;
  #unlockKey: string | undefined;
  #lockVersion: number;
  #writing: Promise<unknown> = Promise.resolve();

  private constructor(
    path: string,
    parts: KeyStoreParts,
    { secrets, unlockKey, lockVersion }: State,
  ) {
    this.#path = path;
    this.#parts = parts;
    this.#secrets = secrets;
    this.#unlockKey = unlockKey;
    this.#lockVersion = lockVersion;
    const [newest, ...older] = secrets.dataKeys.map(({ key }) => Buffer.from(key, 'base64'));
    if (newest === undefined) throw new RangeError(`${path} holds no data key`);
    this.cipher = new AesCipher([newest, ...older], { onRetain: (ids) => this.#retain(ids) });
  }

  /** New keys, without a lock. */
  static async create(folder: string, parts: KeyStoreParts): Promise<KeyStore> {
    const secrets = { dataKeys: [newDataKey(parts.nowMs())], nodeSecrets: [newSecret()] };
    const state = { secrets, unlockKey: undefined, lockVersion: 0 };
    await mkdir(folder, { recursive: true, mode: 0o700 });
    const store = new KeyStore(join(folder, fileName), parts, state);
    await store.#write(state);
    return store;
  }

  /**
   * Undefined where there are no keys: the node is no manager. Throws `unavailable` (with the detail
   * `reason: 'locked'`) where they are locked and no key is given, and `unauthenticated` for a wrong
   * one.
   */
  static async open(
    folder: string,
    parts: KeyStoreParts,
    unlockKey?: string,
  ): Promise<KeyStore | undefined> {
    const path = join(folder, fileName);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    const stored = parse(path, text);
    const { lockVersion } = stored;
    if ('secrets' in stored) {
      return new KeyStore(path, parts, { ...stored, unlockKey: undefined });
    }
    if (unlockKey === undefined) {
      throw new SwarmError('unavailable', swarmLocked, { details: { reason: 'locked' } });
    }
    const plain = unwrap(unlockKey, Buffer.from(stored.wrapped, 'base64'));
    const secrets = JSON.parse(plain.toString('utf8')) as Secrets;
    return new KeyStore(path, parts, { secrets, unlockKey: unlockKey.trim(), lockVersion });
  }

  /** The node is no manager any more. Its private key must be kept otherwise by then. */
  static async remove(folder: string): Promise<void> {
    await rm(join(folder, fileName), { force: true });
  }

  /** Undefined without a lock. */
  get unlockKey(): string | undefined {
    return this.#unlockKey;
  }

  /** Which of the swarm's locks it is: they are numbered. */
  get lockVersion(): number {
    return this.#lockVersion;
  }

  /** When the present data key was made. */
  get dataKeyCreatedAtMs(): number {
    return this.#secrets.dataKeys[0]?.createdAtMs ?? 0;
  }

  /** How the node's private key is kept. */
  get protection(): KeyProtection {
    return {
      seal: (keyPem) => {
        const passphrase = this.#secrets.nodeSecrets[0] ?? '';
        return createPrivateKey(keyPem)
          .export({ type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase })
          .toString();
      },
      open: (text) => this.#openKey(text),
    };
  }

  /**
   * Replaces the lock: by another, or by none. What was plain on the disk counts as seen: where
   * there was no lock, the log gets a new data key, and the private key a new secret. The caller
   * then has the log use the one, writes the private key again, and calls `forgetNodeSecrets`.
   */
  async setLock(unlockKey: string | undefined, lockVersion: number): Promise<void> {
    const isNew = this.#unlockKey === undefined && unlockKey !== undefined;
    const key = newDataKey(this.#parts.nowMs());
    await this.#change(({ secrets }) => {
      const { dataKeys, nodeSecrets } = secrets;
      const renewed = { dataKeys: [key, ...dataKeys], nodeSecrets: [newSecret(), ...nodeSecrets] };
      return { secrets: isNew ? renewed : secrets, unlockKey, lockVersion };
    });
    if (isNew) this.cipher.use(Buffer.from(key.key, 'base64'));
  }

  /** The private key is encrypted with the newest secret. */
  async forgetNodeSecrets(): Promise<void> {
    if (this.#secrets.nodeSecrets.length === 1) return;
    await this.#change((state) => {
      const { dataKeys, nodeSecrets } = state.secrets;
      return { ...state, secrets: { dataKeys, nodeSecrets: nodeSecrets.slice(0, 1) } };
    });
  }

  /** What the log writes from now on is under a new key, which is on the disk first. */
  async rotateDataKey(): Promise<void> {
    const key = newDataKey(this.#parts.nowMs());
    await this.#change((state) => {
      const { dataKeys, nodeSecrets } = state.secrets;
      return { ...state, secrets: { dataKeys: [key, ...dataKeys], nodeSecrets } };
    });
    this.cipher.use(Buffer.from(key.key, 'base64'));
  }

  /** Resolves when changes that are under way are on the disk. */
  async settled(): Promise<void> {
    await this.#writing;
  }

  #openKey(text: string): string {
    if (!text.includes('ENCRYPTED PRIVATE KEY')) return text;
    let failure: unknown;
    for (const passphrase of this.#secrets.nodeSecrets) {
      try {
        const key = createPrivateKey({ key: text, passphrase });
        return key.export({ type: 'pkcs8', format: 'pem' }).toString();
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  #retain(keyIds: ReadonlySet<string>): void {
    this.#change((state) => {
      const { dataKeys, nodeSecrets } = state.secrets;
      const [newest, ...older] = dataKeys;
      // The newest may have been made after the log said what it needs.
      const kept = older.filter(({ key }) => keyIds.has(aesKeyId(Buffer.from(key, 'base64'))));
      const all = newest === undefined ? kept : [newest, ...kept];
      return { ...state, secrets: { dataKeys: all, nodeSecrets } };
    }).catch((error: unknown) => this.#parts.onProblem(error));
  }

  /** One change after another; what cannot be written is not so. */
  async #change(next: (state: State) => State): Promise<void> {
    const done = this.#writing.then(async () => {
      const state = next({
        secrets: this.#secrets,
        unlockKey: this.#unlockKey,
        lockVersion: this.#lockVersion,
      });
      await this.#write(state);
      this.#secrets = state.secrets;
      this.#unlockKey = state.unlockKey;
      this.#lockVersion = state.lockVersion;
    });
    // The next one only waits for the end; a failure is its own caller's.
    this.#writing = Promise.allSettled([done]);
    await done;
  }

  async #write({ secrets, unlockKey, lockVersion }: State): Promise<void> {
    const content =
      unlockKey === undefined
        ? { secrets }
        : { wrapped: wrap(unlockKey, Buffer.from(JSON.stringify(secrets))).toString('base64') };
    const stored: Stored = { format: 1, lockVersion, ...content };
    await writeFileAtomic(this.#path, `${JSON.stringify(stored)}\n`);
  }
}

interface State {
  readonly secrets: Secrets;
  readonly unlockKey: string | undefined;
  readonly lockVersion: number;
}

function newDataKey(createdAtMs: number): DataKey {
  return { key: randomBytes(aesKeyBytes).toString('base64'), createdAtMs };
}

function newSecret(): string {
  return randomBytes(secretBytes).toString('base64');
}

function parse(path: string, text: string): Stored {
  try {
    const stored = JSON.parse(text) as Stored;
    if (stored.format === 1) return stored;
  } catch (error) {
    throw damaged(path, error);
  }
  throw damaged(path);
}

function damaged(path: string, cause?: unknown): SwarmError {
  return new SwarmError(
    'failed-precondition',
    `the manager's keys in ${path} are damaged: restore the file from a backup, or leave the swarm ` +
      'with --force and join again',
    { cause },
  );
}
