'use strict';

// Tells who it is, counts its answers, writes them down, and keeps in the cache what it was asked last.

const dgram = require('dgram');
const fs = require('fs');
const http = require('http');
const net = require('net');

const statsd = dgram.createSocket('udp4').unref();
const log = fs.createWriteStream(`${process.env.LOG_DIRECTORY}/access.log`, { flags: 'a' });

/** What the cache answers to lines of memcached's protocol. */
const cache = (lines) => new Promise((resolve, reject) => {
    let text = '';
    const socket = net.connect(11213, 'localhost', () => socket.write(`${lines}quit\r\n`));
    socket.on('data', (data) => { text += data; });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
});

http.createServer(async (request, response) => {
    const before = await cache(`get last\r\nset last 0 0 ${request.url.length}\r\n${request.url}\r\n`);
    statsd.send('teller.answers:1|c', 9125, 'localhost');
    log.write(`asked for ${request.url}\n`);
    response.end(`node, asked before: ${before.split('\r\n')[0]}\n`);
}).listen(process.env.PORT);
