// Answers with what it is, which the benchmark changes.
const http = require('http');
const said = 'round 0';
http.createServer((request, response) => response.end(said)).listen(process.env.PORT || 8080);
process.on('SIGTERM', () => process.exit());
