/** What the jobs of docs/coming-from-node.md do. */
export abstract class Reports {
  abstract send(signal?: AbortSignal): Promise<void>;
}
