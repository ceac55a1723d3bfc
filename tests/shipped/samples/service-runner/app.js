'use strict';

const http = require('http');

/** What service-runner starts with the service's part of the configuration file. */
module.exports = ({ name, config }) => new Promise((resolve) => {
    const server = http.createServer((request, response) => {
        response.end(JSON.stringify({ name, greeting: config.greeting, path: request.url }));
    });
    server.listen(config.port, () => resolve(server));
});
