#!/bin/bash
# SPDX-License-Identifier: MIT
# labels: long
# timeout: 1500
#
# gnumach.sh with every way of running: the record streams are the same.
exec "$(dirname "$0")/gnumach.sh" all
