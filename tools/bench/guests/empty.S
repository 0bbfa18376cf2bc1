// SPDX-License-Identifier: MIT
// An empty guest: what it costs to start and end.
#include "bench.inc"

GUEST empty

FUNC main
    DONE
END main

#include "guestlib.inc"
