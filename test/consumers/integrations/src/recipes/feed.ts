/** What docs/recipes/cron.md reads. */
export abstract class Feed {
  abstract readonly url: string;
  abstract read(): Promise<void>;
}
