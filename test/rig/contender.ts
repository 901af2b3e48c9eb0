import { goBinary } from './go-binary.js';

/** The path of the program that contends for a lease with client-go's leader election. See contender/main.go. */
export function clientGoContender(): Promise<string> {
  return goBinary({ folder: 'contender', ldflags: '' });
}
