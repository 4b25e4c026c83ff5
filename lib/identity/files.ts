import { createPrivateKey } from 'node:crypto';
import { mkdir, open, readFile, rename, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SwarmError, errnoOf, messageOf } from '../errors.ts';
import { checkIssuer, parseCertificate, parseChain } from './certificate.ts';

/** What a node proves itself with, as PEM. */
export interface IdentityMaterial {
  readonly certPem: string;
  readonly keyPem: string;
  readonly rootPem: string;
}

/** How the private key is kept in its file. */
export interface KeyProtection {
  /** What is written in the key's place. */
  seal(keyPem: string): string;
  /** The key again; what is not protected comes back as it is. Throws where it cannot. */
  open(text: string): string;
}

/** The file's mode is all the protection there is. */
export const plainKey: KeyProtection = { seal: (keyPem) => keyPem, open: (text) => text };

const certFile = 'node.crt';
const keyFile = 'node.key';
/** Holds the key of a certificate that is about to replace the present one. */
const nextKeyFile = 'node-next.key';
const rootFile = 'ca.crt';
const secretMode = 0o600;

/**
 * Writes the file so that after a crash it is there as it was or as it shall be, never in between.
 */
export async function writeFileAtomic(path: string, text: string): Promise<void> {
  const temporary = `${path}.tmp`;
  const file = await open(temporary, 'w', secretMode);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  await syncFolder(dirname(path));
}

/**
 * Replaces the identity. The certificate's rename decides: until then the old key and certificate
 * count, from then on the new ones, also if the process ends before the key's own rename.
 */
export async function saveIdentity(
  folder: string,
  material: IdentityMaterial,
  protection: KeyProtection = plainKey,
): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  await writeFileAtomic(join(folder, nextKeyFile), protection.seal(material.keyPem));
  await writeFileAtomic(join(folder, rootFile), material.rootPem);
  await writeFileAtomic(join(folder, certFile), material.certPem);
  await rename(join(folder, nextKeyFile), join(folder, keyFile));
  await syncFolder(folder);
}

/** Nothing where the folder holds no identity. Throws SwarmError naming a file that is damaged. */
export async function loadIdentity(
  folder: string,
  protection: KeyProtection = plainKey,
): Promise<IdentityMaterial | undefined> {
  const [certPem, rootPem, keyPem, nextKeyPem] = await Promise.all(
    [certFile, rootFile, keyFile, nextKeyFile].map((name) => readIfThere(join(folder, name))),
  );
  if (certPem === undefined) return undefined;
  if (rootPem === undefined) throw damaged(join(folder, rootFile), 'it is missing');
  const [certificate, ...between] = readPart(join(folder, certFile), () => parseChain(certPem));
  if (certificate === undefined) throw damaged(join(folder, certFile), 'it is empty');
  const root = readPart(join(folder, rootFile), () => parseCertificate(rootPem));
  readPart(join(folder, certFile), () => checkIssuer(certificate, root, between));
  for (const [name, text] of [
    [keyFile, keyPem],
    [nextKeyFile, nextKeyPem],
  ] as const) {
    if (text === undefined) continue;
    const pem = readPart(join(folder, name), () => protection.open(text));
    const key = readPart(join(folder, name), () => createPrivateKey(pem));
    if (!certificate.checkPrivateKey(key)) continue;
    if (name === nextKeyFile) await rename(join(folder, nextKeyFile), join(folder, keyFile));
    return { certPem, keyPem: pem, rootPem };
  }
  throw damaged(join(folder, keyFile), `it does not belong to ${certFile}`);
}

/** Forgets the identity: the node has left its swarm. */
export async function removeIdentity(folder: string): Promise<void> {
  for (const name of [certFile, keyFile, nextKeyFile, rootFile]) {
    try {
      await unlink(join(folder, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
  }
}

export async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw new SwarmError('internal', `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}

function readPart<T>(path: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw damaged(path, messageOf(error));
  }
}

function damaged(path: string, why: string): SwarmError {
  return new SwarmError(
    'failed-precondition',
    `the node's identity in ${path} is damaged: ${why}; restore the file, or remove the folder ` +
      'and join the swarm again',
  );
}

async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}
