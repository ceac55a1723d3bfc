'use strict';

const ServiceRunner = require('service-runner');

new ServiceRunner().start();
