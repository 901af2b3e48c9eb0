import { spawn } from 'node:child_process';

/** Opens a page in the user's browser, unless nobody would see it: in CI, or without a display. */
export function openBrowser(url: string, env: NodeJS.ProcessEnv = process.env): void {
  const { platform } = process;
  const hasDisplay = platform !== 'linux' || Boolean(env['DISPLAY'] ?? env['WAYLAND_DISPLAY']);
  if (env['CI'] || !hasDisplay) return;
  const [program, ...args] =
    platform === 'darwin'
      ? ['open', url]
      : platform === 'win32'
        ? ['cmd', '/c', 'start', '', url]
        : ['xdg-open', url];
  const browser = spawn(program, args, { stdio: 'ignore', detached: true });
  // The address was printed, so nothing is lost.
  browser.on('error', () => undefined);
  browser.unref();
}
