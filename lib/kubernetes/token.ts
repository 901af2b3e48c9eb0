import { readFile } from 'node:fs/promises';
import { LeaseRequestError } from '../election/index.js';

/** A token, or the file that contains it. */
export interface TokenSource {
  readonly token?: string | undefined;
  readonly tokenFile?: string | undefined;
}

/**
 * The token to send now, if any. A file is read each time, because it is replaced while the process runs, as by the kubelet.
 *
 * @throws LeaseRequestError `LEADER_KUBECONFIG_INVALID`. Neither path nor cause is passed on, because the token itself may have
 * been given as the path.
 */
export async function readToken({ token, tokenFile }: TokenSource): Promise<string | undefined> {
  if (tokenFile === undefined) return token?.trim();
  let text: string;
  try {
    text = (await readFile(tokenFile, 'utf8')).trim();
  } catch (error) {
    throw unusable(`cannot be read (${(error as NodeJS.ErrnoException).code ?? 'unknown'})`);
  }
  if (isToken(text)) return text;
  throw unusable('holds no token, which is one word');
}

/** Whether a value can be sent as a token, in a header. */
export function isToken(text: string): boolean {
  return /^[\x21-\x7e]+$/.test(text);
}

function unusable(why: string): LeaseRequestError {
  return new LeaseRequestError(
    'LEADER_KUBECONFIG_INVALID',
    `The file that kubernetes.tokenFile names ${why}. Check the path and its permissions; it is read again for the next request.`,
    { maybeCommitted: false },
  );
}
