'use strict';

// A stand-in for RESTBase: formulas are checked and rendered by Mathoid, pages come from MediaWiki.
// What was checked is remembered by its hash while this runs.

const { createHash } = require('crypto');
const http = require('http');

const { MATHOID_URL, MEDIAWIKI_URL, PORT = 7231 } = process.env;
const checked = new Map();

const form = (fields) => ({ method: 'POST', body: new URLSearchParams(fields) });

async function body(request) {
    let text = '';
    for await (const part of request) {
        text += part;
    }
    return new URLSearchParams(text);
}

async function check(type, request, response) {
    const q = (await body(request)).get('q') || '';
    const answer = await fetch(`${MATHOID_URL}/texvcinfo`, form({ q, type }));
    const hash = createHash('sha1').update(`${type}:${q}`).digest('hex');
    if (answer.ok) {
        checked.set(hash, { q, type });
        response.setHeader('x-resource-location', hash);
    }
    response.writeHead(answer.status, { 'content-type': 'application/json' });
    response.end(await answer.text());
}

async function render(format, hash, response) {
    const formula = checked.get(hash);
    const answer = formula && await fetch(`${MATHOID_URL}/`, form(formula));
    const rendered = answer && answer.ok && await answer.json();
    if (!rendered || !rendered[format]) {
        return response.writeHead(404).end();
    }
    const type = format === 'svg' ? 'image/svg+xml' : 'application/mathml+xml';
    response.writeHead(200, { 'content-type': type, 'x-mathoid-style': rendered.mathoidStyle || '' });
    response.end(rendered[format]);
}

async function page(title, response) {
    const answer = await fetch(`${MEDIAWIKI_URL}/rest.php/v1/page/${title}/html`);
    response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') || 'text/html' });
    response.end(Buffer.from(await answer.arrayBuffer()));
}

const server = http.createServer((request, response) => {
    const [, , version, kind, ...rest] = new URL(request.url, 'http://here').pathname.split('/');
    const is = (...words) => version === 'v1' && words.every((word, index) => [kind, ...rest][index] === word);
    const work = is('media', 'math', 'check') ? check(rest[2], request, response)
        : is('media', 'math', 'render') ? render(rest[2], rest[3], response)
            : is('page', 'html') ? page(rest[1], response)
                : Promise.resolve(response.writeHead(request.url === '/' ? 200 : 404).end());
    work.catch((error) => response.headersSent || response.writeHead(502).end(`${error.message}\n`));
});

server.listen(PORT, () => console.log(`listening on ${server.address().port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
