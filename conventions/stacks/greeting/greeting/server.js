'use strict';

// Answers with the greeting that is in the redis, and counts its answers.

const dgram = require('dgram');
const http = require('http');
const { greet, reply } = require('./greet');

const statsd = dgram.createSocket('udp4').unref();
const count = (name) => statsd.send(`${name}:1|c`, 9125, 'localhost', () => {});

const server = http.createServer(async (request, response) => {
    const name = decodeURIComponent(request.url.slice(1)) || 'world';
    try {
        const word = await reply(process.env.REDIS_HOST, process.env.REDIS_PORT, ['GET', 'greeting']);
        response.end(greet(word, name));
        count('greeting.answers');
    } catch (error) {
        response.statusCode = 502;
        response.end(`no greeting: ${error.message}\n`);
        count('greeting.failures');
    }
});

server.listen(process.env.PORT || 3000, () => console.log(`listening on ${server.address().port}`));
process.on('SIGTERM', () => server.close(() => process.exit(0)));
