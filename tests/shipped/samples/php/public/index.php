<?php

echo 'php ', basename( $_SERVER['REQUEST_URI'] ), "\n";
