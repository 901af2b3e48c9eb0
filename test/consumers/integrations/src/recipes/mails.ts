/** What docs/sharing-work.md sends. */
export abstract class Mails {
  abstract due(shard: { shard: number; of: number }): Promise<string[]>;
  abstract deliver(mail: string, fencingToken: bigint): Promise<void>;
}
