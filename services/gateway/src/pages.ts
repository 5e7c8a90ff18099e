import { createHash } from 'node:crypto';
import type { FastifyReply } from 'fastify';

const style = `
:root { color-scheme: light dark; --ink: #10201f; --soft: #5b6b6a; --line: #d5dedd; --page: #f3f6f5; --card: #fff;
  --accent: #0b6e69; --accent-ink: #fff; --bad: #a32020; --bad-page: #fdeeee; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8efee; --soft: #9fb0ae; --line: #2b3a39; --page: #0f1716;
  --card: #172221; --accent: #3fb8af; --accent-ink: #06201e; --bad: #ff9d9d; --bad-page: #3a1c1c; } }
* { box-sizing: border-box; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--page);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
main { width: min(100%, 24rem); background: var(--card); border: 1px solid var(--line); border-radius: 14px;
  padding: 2rem; box-shadow: 0 12px 32px rgb(0 0 0 / 8%); }
.mark { display: flex; align-items: center; gap: .6rem; font-weight: 650; letter-spacing: .01em; }
.mark svg { width: 28px; height: 28px; color: var(--accent); }
h1 { font-size: 1.35rem; line-height: 1.25; margin: 1.4rem 0 .3rem; }
p { margin: 0 0 1.2rem; color: var(--soft); }
label { display: block; font-size: .875rem; font-weight: 600; margin-bottom: .3rem; }
input { width: 100%; font: inherit; color: inherit; background: var(--page); border: 1px solid var(--line);
  border-radius: 9px; padding: .6rem .75rem; margin-bottom: 1rem; }
input:focus-visible, button:focus-visible, a:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
button { width: 100%; font: inherit; font-weight: 650; color: var(--accent-ink); background: var(--accent); border: 0;
  border-radius: 9px; padding: .7rem; cursor: pointer; }
button:hover { filter: brightness(1.08); }
.refused { color: var(--bad); background: var(--bad-page); border-radius: 9px; padding: .6rem .75rem; font-size: .925rem; }
a { color: var(--accent); }
.back { display: block; text-align: center; margin-top: 1rem; }
`;
const styleHash = createHash('sha256').update(style).digest('base64');

const mark = `<div class="mark"><svg viewBox="0 0 32 32" aria-hidden="true" fill="none" stroke="currentColor" stroke-width="2.6"
 stroke-linecap="round"><path d="M4 10h10a4 4 0 0 1 4 4v4a4 4 0 0 0 4 4h6"/><circle cx="6" cy="22" r="2.4"/><circle cx="26" cy="10" r="2.4"/></svg>Flowstate</div>`;

type Page = { title: string; body: string };

/** Sends a page of our own: no script, nothing from elsewhere, not to be framed, not to be kept. */
export function sendPage(reply: FastifyReply, status: number, { title, body }: Page): FastifyReply {
  return reply
    .code(status)
    .headers({
      'content-security-policy': `default-src 'none'; style-src 'sha256-${styleHash}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'`,
      'x-content-type-options': 'nosniff',
      // Not no-referrer: with that a browser would send its own forms with the origin "null".
      'referrer-policy': 'same-origin',
      'cache-control': 'no-store',
    })
    .type('text/html; charset=utf-8')
    .send(
      `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">` +
        `<meta name="robots" content="noindex"><title>${escapeHtml(title)} · Flowstate</title><style>${style}</style></head>` +
        `<body><main>${mark}${body}</main></body></html>`,
    );
}

export function loginPage({ next, email, refusal }: { next: string; email?: string; refusal?: string }): Page {
  return {
    title: 'Log in',
    body:
      `<h1>Log in</h1><p>Queues and runs, for administrators, managers and analysts.</p>` +
      (refusal === undefined ? '' : `<p class="refused" role="alert">${escapeHtml(refusal)}</p>`) +
      `<form method="post" action="/admin/login"><input type="hidden" name="next" value="${escapeHtml(next)}">` +
      `<label for="email">Email</label><input id="email" name="email" type="email" autocomplete="username" required maxlength="254" value="${escapeHtml(email ?? '')}"${email === undefined ? ' autofocus' : ''}>` +
      `<label for="password">Password</label><input id="password" name="password" type="password" autocomplete="current-password" required maxlength="1024"${email === undefined ? '' : ' autofocus'}>` +
      `<button>Log in</button></form>`,
  };
}

export function logoutPage({ email, role }: { email: string; role: string }): Page {
  return {
    title: 'Log out',
    body:
      `<h1>Log out?</h1><p>You are logged in as ${escapeHtml(email)} (${escapeHtml(role)}).</p>` +
      `<form method="post" action="/admin/logout"><button>Log out</button></form>` +
      `<a class="back" href="/admin/queues">Back to the queues</a>`,
  };
}

function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
