'use strict';

const net = require('net');

/** A greeting as it is answered. */
exports.greet = (word, name) => `${word || 'good day'} ${name}\n`;

/** What a redis replies to a command, as far as it is one line or one text. */
exports.reply = (host, port, words) => new Promise((resolve, reject) => {
    const socket = net.connect({ host, port, timeout: 2000 });
    let text = '';
    socket.on('error', reject);
    socket.on('timeout', () => socket.destroy(new Error('the redis does not answer')));
    socket.on('data', (data) => {
        text += data;
        const lines = text.split('\r\n');
        if (lines.length < 2 || (/^\$\d/.test(text) && lines.length < 3)) {
            return;
        }
        socket.end();
        resolve(text.startsWith('$-1') ? null : lines[text.startsWith('$') ? 1 : 0]);
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join('')}`);
});
