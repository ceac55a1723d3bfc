#!/bin/sh
cat words/*
