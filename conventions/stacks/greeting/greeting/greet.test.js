'use strict';

const assert = require('assert');
const test = require('node:test');
const { greet } = require('./greet');

test('a greeting names who is greeted', () => {
    assert.strictEqual(greet('hello', 'you'), 'hello you\n');
});

test('without a word there is still a greeting', () => {
    assert.strictEqual(greet(null, 'you'), 'good day you\n');
});
