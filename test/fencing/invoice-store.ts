import { Injectable } from '@nestjs/common';
import { currentTerm } from 'nestjs-leader';
import { Database } from './database.js';
import { CLAIM, SAVE } from './statements.js';

/** A later leader has been there: the term that this work belongs to is over, whatever this process believes. */
export class WriteRefusedError extends Error {
  override readonly name = 'WriteRefusedError';

  constructor(id: string, token: string) {
    super(`Invoice '${id}' is not there, or a leader later than fencing token ${token} has written it.`);
  }
}

@Injectable()
export class InvoiceStore {
  constructor(private readonly database: Database) {}

  /** For a body that does not depend on the one that is there. */
  async save(id: string, body: string): Promise<void> {
    const token = String(currentTerm().fencingToken);
    const { affectedRows } = await this.database.run(SAVE, { id, body, token });
    if (affectedRows === 0) throw new WriteRefusedError(id, token);
  }

  /** For one that does. */
  async change(id: string, work: (body: string) => string | Promise<string>): Promise<void> {
    const token = String(currentTerm().fencingToken);
    const [row] = (await this.database.run(CLAIM, { id, token })).rows;
    if (row === undefined) throw new WriteRefusedError(id, token);
    await this.save(id, await work(String(row['body'])));
  }
}
