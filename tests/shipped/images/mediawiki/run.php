<?php
// Debian's MediaWiki is older than `run.php`: this runs the maintenance script of that name.
$script = $argv[1];
array_splice( $argv, 1, 1 );
$_SERVER['argv'] = $argv;
require __DIR__ . "/$script.php";
