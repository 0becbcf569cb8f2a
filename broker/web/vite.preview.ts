// What the broker does for the pages with a terminal: a policy of their own, with a
// nonce for the styles that the terminal's renderer makes.
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Plugin } from 'vite';

export function policy(style: string, frames = "'none'"): string {
  return `default-src 'none'; frame-src ${frames}; script-src 'self'; style-src ${style}; img-src 'self'; font-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types svelte-trusted-html`;
}

export function ownPolicies(): Plugin {
  return {
    name: 'sallyport-own-policies',
    configurePreviewServer(server) {
      server.middlewares.use((req, res, next) => {
        const path = (req.url ?? '').split('?')[0]!;
        if (!path.startsWith('/terminal/') && !path.startsWith('/watch/') && !/^\/recordings\/[^/]+/.test(path)) return next();
        const nonce = randomBytes(16).toString('base64');
        const html = readFileSync('dist/index.html', 'utf8').replace(/(<meta name="style-nonce" content=")"/, `$1${nonce}"`);
        res.setHeader('Content-Type', 'text/html; charset=utf-8');
        res.setHeader('Content-Security-Policy', policy(`'self' 'nonce-${nonce}'`, path.startsWith('/watch/') ? "'self'" : undefined));
        res.end(html);
      });
    },
  };
}
